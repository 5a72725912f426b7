"""Thumbnails of real images by the real consumer, which may be run twice, or by two at once."""

import io
import json
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command
from PIL import Image

from djchan import Group
from djchan.exceptions import BrokerUnavailable, Fenced
from tests.realtime.site import Sent, run
from workers import images
from workers.models import Job

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("site")]


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def new_job(data: bytes) -> Job:
    job = Job(name="test")
    job.image.save("test", ContentFile(data))
    return job


def make(job: Job, **how: Any) -> Job:
    run("thumbnails", {"job": str(job.pk)}, **how)
    return Job.objects.get(pk=job.pk)


def states(sent: list[Sent]) -> list[dict[str, Any]]:
    return [json.loads(call.what["text"]) for call in sent]


@pytest.fixture
def job(site: Path) -> Job:
    return new_job(encoded(Image.radial_gradient("L").resize((1000, 500)).convert("RGB")))


class TestMaking:
    def test_every_size_is_made_within_its_bounds(self, job, sent):
        job = make(job)
        assert job.state == "done"
        assert [(t.size, t.width, t.height) for t in job.thumbnails.all()] == [
            (size, size, size // 2) for size in images.SIZES
        ]
        for thumbnail in job.thumbnails.all():
            with Image.open(job.thumbnail_path(thumbnail.size)) as image:
                assert (image.format, image.size) == ("WEBP", (thumbnail.width, thumbnail.height))

    def test_nothing_else_is_left_in_the_folder(self, job, sent):
        make(job)
        names = sorted(path.name for path in job.thumbnail_path(96).parent.iterdir())
        assert names == sorted(["original", *(f"{size}.webp" for size in images.SIZES)])

    def test_the_group_is_told_at_once_after_each(self, job, sent):
        make(job)
        assert {call[:2] for call in sent} == {("group_send", f"job-{job.pk}")}
        told = states(sent)
        assert [len(state["thumbnails"]) for state in told] == [0, 1, 2, 3, 4, 4]
        assert [state["state"] for state in told] == ["working"] * 5 + ["done"]
        assert [call.how["immediately"] for call in sent] == [True] * 5 + [False]

    def test_the_revision_rises_with_every_state(self, job, sent):
        make(job)
        revisions = [state["revision"] for state in states(sent)]
        assert revisions == sorted(set(revisions))

    def test_a_small_image_is_not_made_larger(self, sent):
        job = make(new_job(encoded(Image.new("RGB", (20, 10)))))
        assert {(t.width, t.height) for t in job.thumbnails.all()} == {(20, 10)}

    def test_a_photo_is_turned_as_it_was_taken(self, sent):
        exif = Image.Exif()
        exif[0x0112] = 6  # a quarter turn
        data = encoded(Image.new("RGB", (400, 200)), "JPEG", exif=exif)
        thumbnail = make(new_job(data)).thumbnails.get(size=96)
        assert (thumbnail.width, thumbnail.height) == (48, 96)

    @pytest.mark.parametrize(
        ("mode", "kind", "becomes"),
        [
            ("L", "JPEG", "RGB"),
            ("CMYK", "JPEG", "RGB"),
            ("RGBA", "PNG", "RGBA"),
            ("LA", "PNG", "RGBA"),
            ("P", "PNG", "RGB"),
            ("1", "PNG", "RGB"),
            ("I;16", "PNG", "RGB"),
            ("P", "GIF", "RGB"),
            ("RGBA", "WEBP", "RGBA"),
        ],
    )
    def test_every_kind_of_pixel_can_be_shrunk(self, sent, mode, kind, becomes):
        image = Image.new(mode, (200, 100))
        assert images.read(io.BytesIO(encoded(image, kind))).mode == becomes
        assert make(new_job(encoded(image, kind))).state == "done"


class TestRefusing:
    def test_a_damaged_image_fails_with_a_sentence(self, job, sent):
        whole = Path(job.image.path).read_bytes()
        job = make(new_job(whole[: len(whole) // 2]))
        assert (job.state, job.error) == (
            "failed",
            "The image is damaged and cannot be decoded.",
        )
        assert states(sent)[-1]["error"] == job.error

    def test_too_many_pixels_are_never_decoded(self, sent, monkeypatch):
        monkeypatch.setattr(images, "MAX_PIXELS", 100 * 100)
        job = make(new_job(encoded(Image.new("RGB", (101, 100)))))
        assert job.state == "failed"
        assert "million pixels" in job.error

    def test_a_mistake_of_ours_is_told_and_raised(self, job, sent, monkeypatch):
        def broken(*args: Any) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(images, "shrink", broken)
        with pytest.raises(ZeroDivisionError):
            make(job)
        assert states(sent)[-1]["state"] == "failed"
        assert sent[-1].how == {"immediately": True}

    @pytest.mark.parametrize("job_id", [None, 7, "", "no id", str(uuid.UUID(int=7)), {"a": 1}])
    def test_a_message_about_no_job_is_dropped(self, sent, job_id, caplog):
        run("thumbnails", {"job": job_id})
        run("thumbnails", {})
        assert sent == []
        assert "There is no job" in caplog.text


class Died(BaseException):
    """The worker process ends here; no except Exception sees it."""


class TestRunAgain:
    """A message whose worker died comes again, with the same id."""

    def test_what_was_made_is_not_made_again(self, job, sent, monkeypatch):
        real = images.shrink
        made: list[int] = []

        def shrink(image: Image.Image, size: int, target: Path) -> tuple[int, int]:
            if len(made) == 2:
                raise Died
            made.append(size)
            return real(image, size, target)

        monkeypatch.setattr(images, "shrink", shrink)
        with pytest.raises(Died):
            make(job)
        assert Job.objects.get(pk=job.pk).state == "working"

        monkeypatch.setattr(images, "shrink", lambda *a: made.append(a[1]) or real(*a))
        job = make(job, attempt=2)
        assert (job.state, job.runs) == ("done", 2)
        assert made == list(images.SIZES)

    def test_a_run_after_the_end_only_says_so(self, job, sent, monkeypatch):
        done = make(job)
        sent.clear()
        monkeypatch.setattr(images, "read", None)
        assert make(job, attempt=2).revision == done.revision
        assert [state["state"] for state in states(sent)] == ["done"]

    def test_another_message_about_the_job_does_not_begin_it_again(self, job, sent, monkeypatch):
        job.begin("m1")
        monkeypatch.setattr(images, "read", None)
        assert make(job, id="m2").state == "working"
        assert [state["state"] for state in states(sent)] == ["working"]

    def test_a_run_that_is_no_longer_ours_does_not_fail_the_job(self, job, monkeypatch):
        def fenced(*args: Any, **kwargs: Any) -> None:
            raise Fenced

        monkeypatch.setattr(Group, "send", fenced)
        with pytest.raises(Fenced):
            make(job)
        assert Job.objects.get(pk=job.pk).state == "working"

    def test_progress_that_cannot_be_told_does_not_stop_the_work(self, job, monkeypatch, caplog):
        def away(*args: Any, **kwargs: Any) -> None:
            raise BrokerUnavailable

        monkeypatch.setattr(Group, "send", away)
        assert make(job).state == "done"
        assert "was not told" in caplog.text

    def test_a_late_failure_does_not_undo_what_another_run_has_finished(self, job, sent):
        other = Job.objects.get(pk=job.pk)
        make(job)
        other.fail("too late")
        assert Job.objects.get(pk=job.pk).state == "done"

    def test_two_that_write_one_file_leave_a_whole_one(self, tmp_path):
        image = Image.effect_noise((800, 800), 60).convert("RGB")
        target = tmp_path / "768.webp"
        threads = [
            threading.Thread(target=images.shrink, args=(image, 768, target)) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with Image.open(target) as written:
            written.load()
        assert [path.name for path in tmp_path.iterdir()] == ["768.webp"]


def test_without_pillow_the_reason_is_said(monkeypatch):
    monkeypatch.setattr(images, "HAS_PILLOW", False)
    with pytest.raises(images.ImageRefused, match="pip install pillow"):
        images.inspect(io.BytesIO())


def test_the_migrations_are_up_to_date():
    call_command("makemigrations", "workers", check=True, dry_run=True)
