"""The pages of the thumbnails: what they show, take and refuse."""

import io
import uuid
import zipfile
import zlib

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from PIL import Image

from djchan import Channel
from djchan.exceptions import BrokerUnavailable, ChannelFull
from tests.realtime.site import Sent
from workers import images, models
from workers.models import KEEP, Job

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("site")]


def picture(kind: str = "PNG", size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "teal").save(buffer, kind)
    return buffer.getvalue()


def upload(client: Client, data: bytes, name: str = "sea.png"):
    return client.post("/thumbnails/", {"image": SimpleUploadedFile(name, data)})


class TestUpload:
    @pytest.mark.parametrize("kind", images.FORMATS)
    def test_keeps_the_image_and_hands_the_job_to_the_channel(self, client, sent, site, kind):
        data = picture(kind)
        response = upload(client, data)
        job = Job.objects.get()
        assert (response.status_code, response["Location"]) == (302, f"/thumbnails/{job.pk}/")
        assert sent == [Sent("send", "thumbnails", {"job": str(job.pk)}, {"on_commit": True})]
        assert (site / f"jobs/{job.pk}/original").read_bytes() == data
        assert (job.state, job.name) == ("waiting", "sea.png")

    def test_nothing_of_the_given_name_is_in_a_path(self, client, sent, site):
        upload(client, picture(), "../../<evil>.html")
        files = [path.relative_to(site) for path in site.rglob("*") if path.is_file()]
        assert [str(path) for path in files] == [f"jobs/{Job.objects.get().pk}/original"]

    @pytest.mark.parametrize(
        "data",
        [
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            b"GIF89a",
            b"MZ not an image at all",
            picture("BMP"),
            picture("TIFF"),
        ],
    )
    def test_refuses_what_is_not_one_of_the_formats(self, client, sent, data):
        response = upload(client, data)
        assert response.status_code == 400
        assert "not an image in one of the formats" in response.content.decode()
        assert (sent, Job.objects.count()) == ([], 0)

    def test_refuses_a_file_that_is_too_large(self, client, sent, monkeypatch):
        monkeypatch.setattr(images, "MAX_BYTES", 2**20)
        response = upload(client, picture() + bytes(2**20))
        assert response.status_code == 400
        assert "larger than 1 MiB" in response.content.decode()
        assert Job.objects.count() == 0

    def test_refuses_too_many_pixels_by_the_header(self, client, sent):
        response = upload(client, bomb(100_000, 100_000))
        assert response.status_code == 400
        assert "million pixels" in response.content.decode()
        assert Job.objects.count() == 0

    def test_refuses_nothing_at_all(self, client, sent):
        assert client.post("/thumbnails/").status_code == 400
        assert Job.objects.count() == 0

    def test_needs_the_token_of_its_own_form(self, sent, db):
        assert upload(Client(enforce_csrf_checks=True), picture()).status_code == 403

    def test_removes_what_is_older_than_it_keeps(self, client, sent, site):
        for _ in range(2):
            upload(client, picture())
        old, new = Job.objects.order_by("created")
        old.thumbnails.create(size=96, width=96, height=72)
        Job.objects.filter(pk=old.pk).update(created=timezone.now() - KEEP)
        upload(client, picture())
        assert Job.objects.count() == 2
        assert not Job.objects.filter(pk=old.pk).exists()
        assert not (site / f"jobs/{old.pk}").exists()
        assert (site / f"jobs/{new.pk}/original").exists()

    def test_removes_what_is_done_but_for_the_newest(self, client, sent, monkeypatch):
        monkeypatch.setattr(models, "MOST", 2)
        states = ("done", "failed", "waiting", "working", "done", "done")
        jobs = [Job.objects.create(state=state) for state in states]
        upload(client, picture())
        kept = set(Job.objects.exclude(name="sea.png"))
        assert kept == set(jobs[2:])  # among them, what is yet to be done

    @pytest.mark.parametrize("error", [ChannelFull, BrokerUnavailable])
    def test_says_when_nobody_can_take_the_job(self, client, monkeypatch, site, error):
        def full(*args, **kwargs):
            raise error

        monkeypatch.setattr(Channel, "send", full)
        response = upload(client, picture())
        assert response.status_code == 503
        assert "Please try again" in response.content.decode()
        assert Job.objects.count() == 0
        assert not any(path.is_file() for path in site.rglob("*"))


class TestJob:
    def test_its_page_shows_the_present_state(self, client):
        job = Job.objects.create(name="<b>.png", state="working")
        job.thumbnails.create(size=96, width=96, height=72)
        content = client.get(f"/thumbnails/{job.pk}/").content.decode()
        assert f'data-job="{job.pk}" data-state="working"' in content
        assert f'src="/thumbnails/{job.pk}/96.webp" width="96" height="72"' in content
        assert "&lt;b&gt;.png" in content

    def test_a_thumbnail_is_an_image_and_nothing_else(self, client, site):
        job = Job.objects.create()
        job.thumbnails.create(size=96, width=40, height=30)
        images.shrink(Image.new("RGB", (40, 30)), 96, job.thumbnail_path(96))
        response = client.get(f"/thumbnails/{job.pk}/96.webp")
        assert response["Content-Type"] == "image/webp"
        assert response["X-Content-Type-Options"] == "nosniff"
        with Image.open(io.BytesIO(response.getvalue())) as image:
            assert image.size == (40, 30)

    @pytest.mark.parametrize("size", [96, 97])
    def test_a_thumbnail_that_is_not_there_is_not_found(self, client, size):
        job = Job.objects.create()
        job.thumbnails.create(size=96, width=96, height=72)  # its file is gone
        assert client.get(f"/thumbnails/{job.pk}/{size}.webp").status_code == 404

    def test_its_archive_has_all_thumbnails(self, client, site):
        job = Job.objects.create(state="done")
        for size in (96, 192):
            job.thumbnails.create(size=size, width=40, height=30)
            images.shrink(Image.new("RGB", (40, 30)), size, job.thumbnail_path(size))
        response = client.get(job.archive_url)
        assert response["Content-Disposition"] == 'attachment; filename="thumbnails.zip"'
        with zipfile.ZipFile(io.BytesIO(response.getvalue())) as packed:
            assert packed.namelist() == ["96.webp", "192.webp"]
            assert packed.read("96.webp") == job.thumbnail_path(96).read_bytes()

    @pytest.mark.parametrize("state", ["waiting", "working", "failed", "done"])
    def test_an_archive_is_whole_or_not_found(self, client, state):
        job = Job.objects.create(state=state)
        job.thumbnails.create(size=96, width=40, height=30)  # its file is gone
        assert client.get(job.archive_url).status_code == 404

    def test_a_job_that_is_not_there_is_not_found(self, client):
        assert client.get(f"/thumbnails/{uuid.uuid4()}/").status_code == 404


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises ``width`` times ``height`` pixels."""
    data = bytearray(picture("PNG"))
    data[16:24] = width.to_bytes(4) + height.to_bytes(4)
    chunk = bytes(data[12:29])
    data[29:33] = zlib.crc32(chunk).to_bytes(4)
    return bytes(data)
