"""djchan.detached: which content a thread need not send, and that all of it is sent."""

import asyncio
import io
import os
import tempfile
import threading
from contextlib import aclosing, closing

import pytest
from django.core.files.base import ContentFile, File
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.http import FileResponse, HttpResponse, StreamingHttpResponse

from djchan import detached
from djchan.asgi import ChannelLayerWrapper
from djchan.detached import Disk, NoDisk, detach
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.operations import WINDOW
from djchan.worker import Worker

# A response that is closed looks for stale database connections.
pytestmark = pytest.mark.django_db

CONTENT = bytes(range(256)) * (WINDOW // 256) + b"the rest"


@pytest.fixture
def disk(monkeypatch):
    disk = Disk(len(CONTENT))
    monkeypatch.setattr(detached, "disk", disk)
    return disk


@pytest.fixture
def opened(tmp_path):
    """``opened(**how)``: an open file with CONTENT; all of them are closed at the end."""
    path, files = tmp_path / "file", []
    path.write_bytes(CONTENT)

    def open_it(mode="rb", **how):
        files.append(path.open(mode, **how))
        return files[-1]

    yield open_it
    for file in files:
        file.close()


def filled(file):
    file.write(CONTENT)
    file.seek(0)
    return file


class Decrypting(File):
    """A file of a project with a ``read`` of its own."""

    def read(self, size=-1):
        return self.file.read(size)


class Counting(io.FileIO):
    """Another one."""

    def read(self, size=-1):
        return super().read(size)


async def read(content, size=512 * 1024):
    with closing(content):
        async with aclosing(content.chunks(size)) as chunks:
            return [chunk async for chunk in chunks]


def sent(response):
    """What an event loop sends of ``response`` once it is closed; None: nothing."""
    content = detach(response)
    response.close()
    return None if content is None else b"".join(asyncio.run(read(content)))


def pipe():
    reading, writing = os.pipe()
    os.close(writing)
    return open(reading, "rb")


def replaced(response):
    response.streaming_content = (part for part in response.streaming_content)
    return response


class Watched(FileResponse):
    def __iter__(self):
        return super().__iter__()


# Each makes a file with CONTENT, given what opens one that has it.
PLAIN = {
    "open": lambda opened: opened(),
    "unbuffered": lambda opened: opened(buffering=0),
    "to change": lambda opened: opened("r+b"),
    "of Django": lambda opened: File(opened()),
    "within another": lambda opened: File(File(opened())),
    "in memory": lambda opened: io.BytesIO(CONTENT),
    "content": lambda opened: ContentFile(CONTENT),
    "temporary": lambda opened: filled(tempfile.TemporaryFile()),  # noqa: SIM115
    "with a name": lambda opened: filled(tempfile.NamedTemporaryFile()),  # noqa: SIM115
    "spooled": lambda opened: filled(tempfile.SpooledTemporaryFile()),  # noqa: SIM115
    "rolled over": lambda opened: filled(tempfile.SpooledTemporaryFile(1000)),  # noqa: SIM115
    "upload": lambda opened: filled(TemporaryUploadedFile("name", "text/plain", 0, None)),
}
OF_THEIR_OWN = {
    "of Django": lambda opened: Decrypting(opened()),
    "below one of Django": lambda opened: File(Decrypting(opened())),
    "raw": lambda opened: Counting(opened().name),
    "buffered": lambda opened: io.BufferedReader(Counting(opened().name)),
    "text": lambda opened: opened("r", encoding="latin-1"),
    "text in memory": lambda opened: io.StringIO("x" * len(CONTENT)),
    "pipe": lambda opened: pipe(),
}
ITERATORS = {
    "a stream": lambda opened: StreamingHttpResponse(iter([CONTENT])),
    "a response of a file without one": lambda opened: FileResponse(iter([CONTENT])),
    "replaced by a middleware": lambda opened: replaced(FileResponse(opened())),
    "a class of the project": lambda opened: Watched(opened()),
}


@pytest.mark.parametrize("make", PLAIN.values(), ids=PLAIN)
@pytest.mark.parametrize("start", [0, 7])
def test_a_file_is_sent_from_where_it_stands_after_its_response_was_closed(
    make, start, opened, disk
):
    file = make(opened)
    file.seek(start)
    assert sent(FileResponse(file)) == CONTENT[start:]
    assert disk.used == 0


@pytest.mark.parametrize("buffered", [True, False])
def test_what_was_read_of_a_file_is_not_sent_again(buffered, opened):
    file = opened() if buffered else opened(buffering=0)
    file.read(5)
    assert sent(FileResponse(file)) == CONTENT[5:]


def test_what_was_written_to_a_file_is_sent():
    file = tempfile.TemporaryFile()  # noqa: SIM115 (Its response closes it.)
    file.write(CONTENT)
    file.seek(0)
    file.write(b"new")
    file.seek(0)
    assert sent(FileResponse(file)) == b"new" + CONTENT[3:]


def test_a_page_is_kept_on_disk_until_it_is_sent(disk):
    page = HttpResponse([CONTENT[:70], CONTENT[70:]])
    content = detach(page)
    page.close()
    assert disk.used == len(CONTENT)
    chunks = asyncio.run(read(content))
    assert [len(chunk) for chunk in chunks] == [512 * 1024] * 8 + [8]
    assert b"".join(chunks) == CONTENT
    assert disk.used == 0
    content.close()
    assert disk.used == 0, "it is given back once"


def test_content_that_nobody_sends_is_given_back(disk):
    content = detach(HttpResponse(CONTENT))
    assert disk.used
    del content
    assert disk.used == 0


@pytest.mark.parametrize("make", OF_THEIR_OWN.values(), ids=OF_THEIR_OWN)
def test_a_file_that_is_more_than_its_bytes_stays_with_its_thread(make, opened):
    response = FileResponse(make(opened))
    assert detach(response) is None
    response.close()


@pytest.mark.parametrize("make", ITERATORS.values(), ids=ITERATORS)
def test_an_iterator_stays_with_its_thread(make, opened):
    response = make(opened)
    assert detach(response) is None
    response.close()


@pytest.mark.parametrize("skip", [8, WINDOW])
def test_what_never_waits_for_its_client_stays_with_its_thread(skip, opened, disk):
    file = opened()
    file.seek(skip)
    assert detach(FileResponse(file)) is None
    file = io.BytesIO(CONTENT)
    file.seek(skip)
    assert detach(FileResponse(file)) is None
    assert detach(HttpResponse(CONTENT[skip:])) is None
    assert disk.used == 0


def test_a_page_beyond_the_disk_is_refused_with_the_limit_and_its_setting(disk):
    first = detach(HttpResponse(CONTENT))
    with pytest.raises(NoDisk, match=rf"{len(CONTENT)} bytes .*http_response_disk under WORKER"):
        detach(HttpResponse(CONTENT))
    assert disk.used == len(CONTENT)
    first.close()
    wrapper = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])
    assert Worker(wrapper, signal_handlers=False).counters["response_disk"] == 1
    detach(HttpResponse(CONTENT)).close()


def test_a_disk_that_fails_is_logged_and_given_its_space_back(disk, monkeypatch, caplog):
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    assert detach(HttpResponse(CONTENT)) is None
    assert disk.used == 0
    assert "/nowhere" in caplog.text


@pytest.mark.asyncio
async def test_a_file_is_closed_after_a_read_that_was_canceled(opened, monkeypatch):
    content = detach(FileResponse(opened()))
    loop, begun, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    pread, order = os.pread, []

    def slow(*args):
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(5)
        data = pread(*args)
        order.append("read")
        return data

    monkeypatch.setattr(os, "pread", slow)
    reading = asyncio.create_task(read(content))
    await begun.wait()
    reading.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert order == ["read"]
