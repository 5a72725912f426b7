"""Responses go as fast as their clients: whole at any speed, in bounded memory, and ended at once
when nobody is there any more."""

import json
import re
import signal
import stat
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.processes.conftest import Project
from tests.support.processes import Process
from tests.support.raw import Raw
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(90)

MIB = 1024 * 1024
SIZE = 150 * MIB


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode()


@pytest.fixture
def downloads(project: Project, tmp_path: Path) -> Project:
    """The project with a file of SIZE bytes to be had, in which no two MiB are alike."""
    file = tmp_path / "file"
    with file.open("wb") as to:
        for number in range(SIZE // MIB):
            to.write(number.to_bytes(4, "big") * (MIB // 4))
    project.env["DJANGO_SETTINGS_MODULE"] = "app.downloads_settings"
    project.env["DOWNLOAD"] = str(file)
    return project


def stored(project: Project) -> int:
    """Bytes that Redis has at most had."""
    found = re.search(rb"used_memory_peak:(\d+)", project.broker.command("INFO", "memory"))
    assert found is not None
    return int(found[1])


class Body:
    """The content of a response, checked as it comes."""

    def __init__(self, client: Raw, *, begun: bool = False) -> None:
        assert begun or client.status() == 200
        self.client = client
        self.size = 0

    def read(self, until: int, *, pause: float = 0.0) -> None:
        """Read on until there are so many bytes; sleep after each piece."""
        while self.size < until:
            assert self.client.buffer or self.client.more(), f"it ends after {self.size} bytes"
            # Each piece by its first and last four bytes: all of it would take a while.
            piece = self.client.buffer[: len(self.client.buffer) // 4 * 4]
            for at in (0, len(piece) - 4) if piece else ():
                assert piece[at : at + 4] == ((self.size + at) // MIB).to_bytes(4, "big")
            self.size += len(piece)
            self.client.buffer = self.client.buffer[len(piece) :]
            if not piece:
                assert self.client.more(), f"it ends after {self.size} bytes"
            time.sleep(pause)


@pytest.mark.parametrize("name", ["daphne", "uvicorn"])
def test_a_large_file_arrives_whole_in_bounded_memory(downloads: Project, name: str) -> None:
    server: Process = getattr(downloads, name)()
    worker = downloads.worker()
    with Raw(server.port, get("/page/")) as client:
        assert client.body()[0] == 200
    before, in_redis = (server.rss(), worker.rss()), stored(downloads)
    with Raw(server.port, get("/download/")) as client:
        body = Body(client)
        body.read(4 * MIB, pause=0.02)  # Slower than the worker reads the file.
        wait_for(
            lambda: server.rss() - before[0] < 40 * MIB, timeout=1, what="the server is bounded"
        )
        body.read(SIZE)
        assert client.rest() == b"", "and its connection ends"
    assert server.rss() - before[0] < 40 * MIB
    assert worker.rss() - before[1] < 40 * MIB
    assert stored(downloads) - in_redis < 8 * MIB
    assert "was cut" not in server.output()


@pytest.mark.parametrize("name", ["daphne", "uvicorn"])
@pytest.mark.parametrize("path", ["/endless/", "/endless-async/"])
def test_a_client_that_leaves_ends_the_iterator_within_a_second(
    downloads: Project, name: str, path: str
) -> None:
    server: Process = getattr(downloads, name)()
    worker = downloads.worker()
    client = Raw(server.port, get(path))
    assert client.status() == 200
    wait_for(lambda: idle(worker), timeout=15, what="the worker waits for the client")
    client.reset()
    left = time.monotonic()
    wait_for(lambda: downloads.lines(), timeout=5, what="the iterator ends")
    assert time.monotonic() - left < 1.0
    with Raw(server.port, get("/page/")) as client:
        assert client.body()[0] == 200, "its thread is free"


# Those of synchronous views: an open file, a page, a file in memory.
LARGE = ["/download/", "/large-page/", "/buffered/"]


@pytest.mark.parametrize("path", [*LARGE, "/download-async/", "/endless-async/"])
def test_only_the_iterator_of_a_synchronous_view_holds_a_thread_while_its_client_is_slow(
    downloads: Project, path: str
) -> None:
    server = downloads.daphne()
    worker = downloads.worker("--threads", "1")
    clients = [Raw(server.port, get(path)) for _ in range(3)]
    for client in clients:
        assert client.status() == 200
    wait_for(lambda: idle(worker), timeout=15, what="the worker waits for the clients")
    with Raw(server.port, get("/page/")) as other:
        assert other.body()[0] == 200, "the one thread is free"
    if path != "/endless-async/":
        Body(clients[0], begun=True).read(SIZE)
        assert clients[0].rest() == b"", "and its connection ends"
    for client in clients:
        client.close()


@pytest.mark.parametrize("path", [*LARGE, "/large-page-async/"])
def test_the_content_of_a_response_is_let_go_of_when_its_client_leaves(
    downloads: Project, path: str
) -> None:
    server = downloads.daphne()
    worker = downloads.worker("--threads", "1")
    with Raw(server.port, get("/page/")) as client:
        assert client.body()[0] == 200
    before = regular_files(worker)
    clients = [Raw(server.port, get(path)) for _ in range(2)]
    for client in clients:
        assert client.status() == 200
    wait_for(lambda: idle(worker), timeout=15, what="the worker waits for the clients")
    assert len(regular_files(worker)) == len(before) + 2
    if path.startswith("/large-page"):
        assert len(downloads.lines()) == 2, "the responses are closed, and not in memory"
    for client in clients:
        client.reset()
    wait_for(lambda: regular_files(worker) == before, timeout=1, what="their files are closed")
    assert "Traceback" not in worker.output()


@pytest.mark.parametrize(
    "path", ["/download/", "/download-async/", "/large-page-async/", "/endless-async/"]
)
def test_clients_that_do_not_read_keep_no_place_of_the_event_loop(
    downloads: Project, path: str
) -> None:
    server = downloads.daphne()
    worker = downloads.worker("--threads", "1", "--concurrency", "1")
    clients = []
    for _ in range(3):
        client = Raw(server.port, get(path), timeout=10)
        assert client.status() == 200, "those before it wait for their clients"
        clients.append(client)
    if path != "/endless-async/":
        Body(clients[0], begun=True).read(SIZE)
    for client in clients:
        client.reset()
    assert "Traceback" not in worker.output()


def regular_files(process: Process) -> list[str]:
    """The regular files that it has open."""
    found = []
    for link in Path(f"/proc/{process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            if stat.S_ISREG(link.stat().st_mode):
                found.append(str(link.readlink()))
    return sorted(found)


def test_a_file_that_is_shorter_than_announced_has_no_clean_end(downloads: Project) -> None:
    server = downloads.daphne()
    downloads.worker("--threads", "1")
    with Raw(server.port, get("/shrinking/")) as client:
        assert client.status() == 200
        assert len(client.rest()) <= 20 * MIB < SIZE
    assert "Content-Length" in server.output()
    with Raw(server.port, get("/page/")) as client:
        assert client.body()[0] == 200


def test_large_responses_beyond_the_disk_get_a_503_and_the_worker_goes_on(
    downloads: Project,
) -> None:
    downloads.env["LAYER_WORKER"] = json.dumps({"http_response_disk": SIZE + 1})
    server = downloads.daphne()
    worker = downloads.worker("--threads", "1")
    slow = Raw(server.port, get("/large-page/"))
    assert slow.status() == 200
    with Raw(server.port, get("/large-page/")) as client:
        status, content = client.body()
    assert (status, b"large responses" in content) == (503, True)
    assert "http_response_disk" in worker.output()
    with Raw(server.port, get("/page/")) as client:
        assert client.body()[0] == 200
    slow.reset()

    def has_room() -> bool:
        with Raw(server.port, get("/buffered/")) as client:
            return client.status() == 200

    wait_for(has_room, timeout=2, what="there is room once its client has left")


def idle(process: Process) -> bool:
    """Whether it does next to nothing for a moment."""

    def ticks() -> int:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = ticks()
    time.sleep(0.3)
    return ticks() - before <= 2


def test_a_download_may_end_after_sigterm(downloads: Project) -> None:
    downloads.env["LAYER_INTERFACE"] = '{"shutdown_grace": 30}'
    server = downloads.daphne()
    downloads.worker()
    with Raw(server.port, get("/download/")) as client:
        body = Body(client)
        body.read(10 * MIB)
        server.send_signal(signal.SIGTERM)
        body.read(SIZE)
    assert server.wait_exit(timeout=20) == 0
    assert "cut" not in server.output()


def test_a_download_that_takes_longer_is_cut_and_said_to_be(downloads: Project) -> None:
    downloads.env["LAYER_INTERFACE"] = '{"shutdown_grace": 1}'
    server = downloads.daphne()
    downloads.worker()
    with Raw(server.port, get("/download/")) as client:
        body = Body(client)
        body.read(10 * MIB)
        server.send_signal(signal.SIGTERM)
        assert server.wait_exit(timeout=20) == 0
        assert len(client.rest()) < SIZE
    assert server.printed("1 responses are cut") == 1


@pytest.mark.parametrize("path", ["/late-page/", "/late-stream/"])
def test_a_view_that_runs_at_sigterm_runs_once_and_its_response_is_sent(
    downloads: Project, path: str
) -> None:
    server, worker = downloads.daphne(), downloads.worker()
    with Raw(server.port, get(path).replace(b"GET", b"POST")) as client:
        wait_for(lambda: downloads.lines(), timeout=10, what="the view runs")
        worker.send_signal(signal.SIGTERM)
        worker.wait_printed("Stopping: what runs has")
        downloads.worker()
        Path(downloads.env["DOWNLOAD"] + "-go").touch()
        status, content = client.body()
        assert (status, len(content)) == (200, 10 * MIB)
    assert worker.wait_exit(timeout=20) == 0
    assert len(downloads.lines()) == 1


@pytest.mark.parametrize("lost", [True, False], ids=["flushed", "restarted"])
def test_a_download_that_a_restarted_redis_has_forgotten_is_cut_at_once(
    downloads: Project, lost: bool
) -> None:
    server = downloads.daphne()
    worker = downloads.worker()
    with Raw(server.port, get("/endless/"), timeout=20) as client:
        assert client.status() == 200
        wait_for(lambda: idle(worker), timeout=15, what="the worker waits for the client")
        if lost:
            downloads.broker.flush()
        else:
            downloads.broker.restart()
        assert not client.rest().endswith(b"0\r\n\r\n"), "it does not look whole"
    wait_for(lambda: downloads.lines(), timeout=10, what="the iterator ends")
    wait_for(lambda: answers(server), timeout=15, what="the next request is answered")


def answers(server: Process) -> bool:
    with Raw(server.port, get("/page/")) as client:
        return client.status() == 200


def test_a_download_ends_when_its_interface_dies(downloads: Project) -> None:
    server = downloads.daphne()
    downloads.worker()
    with Raw(server.port, get("/endless/")) as client:
        assert client.status() == 200
        server.kill9()
        wait_for(lambda: downloads.lines(), timeout=10, what="the iterator ends")
