"""Request bodies on a real server: bounded in memory and in Redis, and gone with their request."""

import hashlib
import json
import os
import threading
import urllib.request
from collections.abc import Iterator

import pytest

from tests.processes.conftest import Project
from tests.support.processes import Process
from tests.support.raw import Raw
from tests.support.servers import Server
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(60)

MIB = 1024 * 1024
INLINE = 64 * 1024


@pytest.fixture(params=["daphne", "uvicorn"])
def server(request: pytest.FixtureRequest, project: Project) -> Iterator[Process]:
    project.env["LAYER_INTERFACE"] = json.dumps({"http_inline_body": INLINE})
    process: Process = getattr(project, request.param)("app.garbage:channel_layer")
    yield process


def head(size: int, kind: str = "application/octet-stream") -> bytes:
    return (
        f"POST /upload/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {size}\r\nConnection: close\r\n\r\n"
    ).encode()


def upload(server: Process, body: bytes, method: str = "POST") -> str:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/upload/",
        data=body,
        method=method,
        headers={"Content-Type": "application/octet-stream"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return str(response.read().decode())


def is_in_redis(broker: Server) -> bool:
    """Whether anything of a body is."""
    return broker.command("KEYS", "*http.request.body*") != b"*0\r\n"


def test_uploads_beyond_all_memory_are_on_disk_and_cross_redis_in_pieces(
    project: Project, server: Process
) -> None:
    project.worker()
    upload(server, os.urandom(INLINE + 1))
    before, largest, over = server.rss(), 0, threading.Event()
    bodies = [os.urandom(20 * MIB) for _ in range(4)]
    answers: list[str] = []

    def watch() -> None:
        nonlocal largest
        while not over.wait(0.02):
            largest = max(largest, server.rss())

    watcher = threading.Thread(target=watch)
    threads = [
        threading.Thread(target=lambda body=body: answers.append(upload(server, body)))
        for body in bodies
    ]
    for thread in (watcher, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    watcher.join()

    assert sorted(answers) == sorted(hashlib.sha256(body).hexdigest() for body in bodies)
    assert largest - before < 40 * MIB
    assert not is_in_redis(project.broker)


def test_bodies_that_dribble_hold_no_worker_thread_and_leave_nothing(
    project: Project, server: Process
) -> None:
    project.worker()
    body = os.urandom(INLINE + 1)
    clients = [Raw(server.port, head(50 * MIB) + bytes(700_000)) for _ in range(4)]

    assert upload(server, body) == hashlib.sha256(body).hexdigest()
    assert not is_in_redis(project.broker)
    for client in clients:
        client.close()
    assert upload(server, body) == hashlib.sha256(body).hexdigest()
    assert not is_in_redis(project.broker)


def test_a_worker_that_dies_with_a_body_half_read_loses_nothing_of_it(
    project: Project, server: Process
) -> None:
    """A request with a safe method runs again, and reads its body from the start."""
    settings = project.env["DJANGO_SETTINGS_MODULE"]
    project.env["DJANGO_SETTINGS_MODULE"] = "app.dying_settings"
    first = project.worker()
    body = os.urandom(3 * MIB)
    answers: list[str] = []
    client = threading.Thread(target=lambda: answers.append(upload(server, body, "GET")))
    client.start()
    wait_for(lambda: not first.running(), timeout=20, what="the worker died as it read")
    project.env["DJANGO_SETTINGS_MODULE"] = settings
    project.worker()
    client.join()

    assert answers == [hashlib.sha256(body).hexdigest()]


@pytest.mark.parametrize("name", ["daphne", "uvicorn"])
@pytest.mark.parametrize("framing", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_a_body_that_dribbles_for_ever_ends(project: Project, name: str, framing: str) -> None:
    project.env["LAYER_INTERFACE"] = '{"http_body_timeout": 0.5, "http_body_rate": 100}'
    server: Process = getattr(project, name)()
    piece = b"x" if framing.startswith("Content") else b"1\r\nx\r\n"
    with Raw(
        server.port, f"POST /hello/ HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n".encode()
    ) as client:
        dribbled = 0
        while client.silent(0.1) and dribbled < 100:
            dribbled += client.send(piece)
        assert client.status() == 408
        assert dribbled >= 4, "it has its time"
        if name == "uvicorn":  # On Daphne five seconds later.
            assert b"did not arrive" in client.rest(), "and its connection ends"
