"""A piece of work and how far it is: what a page shows when it is loaded anew.

::

    waiting --begin--> working --finish--> done
                          |  ^
                        fail  begin (the same message, run again)
                          v  |
                         failed

Every change is one UPDATE with its condition, and raises ``revision``: work may be run
twice, at times by two workers at once, and a page may get an older state after a newer.

Jobs do not stay for ever: each new upload removes those that are too old or too many.
"""

import shutil
import uuid
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from workers.images import SIZES

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

KEEP = timedelta(days=1)  # for so long at most, whatever its state
MOST = 100  # so many at most that are done or failed; those that are not, the channel bounds


def original_path(job: "Job", filename: str) -> str:
    """Where an upload is kept. Nothing of the name that the visitor gave is in it."""
    return f"jobs/{job.pk}/original"


class Job(models.Model):
    """Thumbnails to be made of one uploaded image."""

    class State(models.TextChoices):
        WAITING = "waiting"
        WORKING = "working"
        DONE = "done"
        FAILED = "failed"

    # Who knows the id may see the job: it is in the page's address, and cannot be guessed.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    image = models.FileField(upload_to=original_path)
    name = models.CharField(max_length=100)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    error = models.CharField(max_length=200, blank=True)
    message_id = models.CharField(max_length=200, blank=True)
    runs = models.PositiveIntegerField(default=0)
    revision = models.PositiveIntegerField(default=0)
    created = models.DateTimeField(auto_now_add=True)

    if TYPE_CHECKING:
        thumbnails: RelatedManager["Thumbnail"]  # By its foreign key.

    def __str__(self) -> str:
        return f"{self.name} ({self.state})"

    @property
    def group_name(self) -> str:
        """The group of the sockets whose pages show this job."""
        return f"job-{self.pk}"

    @property
    def archive_url(self) -> str:
        """Where all thumbnails are in one file, once they are made."""
        return reverse("thumbnails:archive", args=[self.pk])

    def thumbnail_path(self, size: int) -> Path:
        return Path(self.image.storage.path(f"jobs/{self.pk}/{size}.webp"))

    @classmethod
    def remove_old(cls) -> None:
        """Discard what is older than KEEP, and what has ended but for the newest MOST."""
        ended = cls.objects.filter(state__in=(cls.State.DONE, cls.State.FAILED))
        too_many = ended.order_by("-created")[MOST:]
        too_old = cls.objects.filter(created__lt=timezone.now() - KEEP)
        for job in (*too_old, *too_many):
            job.discard()

    def discard(self) -> None:
        """Remove the job and its files. Harmless if another does the same."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.image.storage.path(f"jobs/{self.pk}"))
        type(self).objects.filter(pk=self.pk).delete()

    def begin(self, message_id: str) -> bool:
        """Take the job for the message with this id.

        True for the first message about this job, however often that is run, until the
        job is done; False for any other message.
        """
        ours = Q(message_id="") | Q(message_id=message_id)
        return self._change(
            ours & ~Q(state=self.State.DONE),
            state=self.State.WORKING,
            message_id=message_id,
            runs=F("runs") + 1,
        )

    def add(self, size: int, width: int, height: int) -> None:
        """Note that the thumbnail of this size is there."""
        self.thumbnails.update_or_create(size=size, defaults={"width": width, "height": height})
        self._change(Q())

    def finish(self) -> None:
        self._change(Q(), state=self.State.DONE, error="")

    def fail(self, why: str) -> None:
        """Give up, unless another run of the same message has finished it."""
        self._change(~Q(state=self.State.DONE), state=self.State.FAILED, error=why[:200])

    def _change(self, condition: Q, **fields: Any) -> bool:
        jobs = type(self).objects.filter(condition, pk=self.pk)
        changed = jobs.update(revision=F("revision") + 1, **fields)
        self.refresh_from_db()
        return bool(changed)

    def as_state(self) -> dict[str, Any]:
        """All that a page shows of the job, ready for JSON."""
        return {
            "revision": self.revision,
            "state": self.state,
            "error": self.error,
            "total": len(SIZES),
            "thumbnails": [thumbnail.as_state() for thumbnail in self.thumbnails.all()],
            "archive": self.archive_url if self.state == self.State.DONE else "",
        }


class Thumbnail(models.Model):
    """One finished thumbnail; its file is at ``job.thumbnail_path(size)``."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="thumbnails")
    size = models.PositiveIntegerField()
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()

    class Meta:
        ordering = ("size",)
        constraints = (models.UniqueConstraint(fields=["job", "size"], name="one_per_size"),)

    def __str__(self) -> str:
        return f"{self.width} x {self.height} of {self.job.pk}"

    def as_state(self) -> dict[str, Any]:
        return {
            "size": self.size,
            "width": self.width,
            "height": self.height,
            "url": reverse("thumbnails:thumbnail", args=[self.job.pk, self.size]),
        }
