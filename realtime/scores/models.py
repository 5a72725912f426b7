"""A match, and its score.

Every change is one UPDATE with its condition, and raises ``revision``. So two writers cannot
overwrite each other, and a reader who gets an older state after a newer one can tell.
"""

import json
from typing import Any

from django.db import models
from django.db.models import F

from djchan import Group

GROUP = "scores"
MINUTES = 90
FIELDS = ("home_goals", "away_goals", "minute")


class Match(models.Model):
    slug = models.SlugField(unique=True)
    home = models.CharField(max_length=40)
    away = models.CharField(max_length=40)
    home_goals = models.PositiveSmallIntegerField(default=0)
    away_goals = models.PositiveSmallIntegerField(default=0)
    minute = models.PositiveSmallIntegerField(default=0)  # 0: not begun; MINUTES: over.
    revision = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.home} {self.home_goals}:{self.away_goals} {self.away}"

    def change(self, *, seen: int | None = None, **by: int) -> bool:
        """Add to some of FIELDS (``home_goals=1``), and tell all readers.

        False, and nothing is changed: the revision is not ``seen`` any more, or a number
        would be below 0 (or the minute above MINUTES).
        """
        matches = type(self).objects.filter(pk=self.pk)
        if seen is not None:
            matches = matches.filter(revision=seen)
        for field in FIELDS:
            matches = matches.filter(**{f"{field}__gte": -by.get(field, 0)})
        matches = matches.filter(minute__lte=MINUTES - by.get("minute", 0))
        values = {field: F(field) + step for field, step in by.items()}
        return self._changed(matches.update(revision=F("revision") + 1, **values))

    def begin(self) -> bool:
        """Set all back to nothing, before the kick-off, and tell all readers."""
        matches = type(self).objects.filter(pk=self.pk)
        zeros = dict.fromkeys(FIELDS, 0)
        return self._changed(matches.update(revision=F("revision") + 1, **zeros))

    def _changed(self, rows: int) -> bool:
        self.refresh_from_db()
        if rows:
            # One message, serialized once: the server hands it to each of its sockets.
            # on_commit: who asks meanwhile must not be told what may be rolled back.
            Group(GROUP).send(told([self]), on_commit=True)
        return bool(rows)

    def as_state(self) -> dict[str, Any]:
        """All that a page shows of the match, ready for JSON."""
        numbers = {field: getattr(self, field) for field in (*FIELDS, "revision")}
        return {"match": self.slug, **numbers}


def told(matches: list[Match]) -> dict[str, str]:
    """What a reader is sent of some matches."""
    return {"text": json.dumps({"matches": [match.as_state() for match in matches]})}
