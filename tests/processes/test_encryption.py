"""Daphne and workers in the middle of a change of keys, and a Redis that reads along."""

import hashlib
import json
import socket as sockets
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.processes.conftest import Project, socket
from tests.support.servers import Server
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(60)

SECRET = "whoever reads this has no key"


@contextmanager
def reading_along(broker: Server) -> Iterator[list[bytes]]:
    """Everything that clients say to the Redis, until its last word."""
    heard: list[bytes] = []
    with sockets.create_connection(("127.0.0.1", broker.port), 10) as monitor:
        monitor.sendall(b"MONITOR\r\n")
        heard.append(monitor.recv(1 << 20))

        def listen() -> None:
            # The server may reset a connection that is closed while it still has lines for it.
            with suppress(ConnectionResetError):
                while data := monitor.recv(1 << 20):
                    heard.append(data)

        listener = threading.Thread(target=listen)
        listener.start()
        try:
            yield heard
            broker.command("ECHO", "enough")
            wait_for(lambda: b"enough" in b"".join(heard[-2:]), timeout=10, what="its last word")
        finally:
            monitor.shutdown(sockets.SHUT_RDWR)
            listener.join(10)


def keys(project: Project, *names: str) -> None:
    project.env["LAYER_CONFIG"] = json.dumps({"symmetric_encryption_keys": names})


def test_nothing_is_said_in_plain_and_everything_arrives(project: Project) -> None:
    keys(project, "old", "new")
    server = project.daphne()
    keys(project, "new", "old")
    project.worker()
    body = (SECRET * 50_000).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/upload/",
        data=body,
        headers={"Content-Type": "application/octet-stream"},
    )
    with reading_along(project.broker) as heard:
        with socket(server, "/echo/") as client:
            client.send(SECRET)
            assert client.recv(timeout=10) == SECRET
        with socket(server, "/room/") as one, socket(server, "/room/") as other:
            one.send(SECRET)
            assert one.recv(timeout=10) == other.recv(timeout=10) == SECRET
        with urllib.request.urlopen(request, timeout=20) as response:
            assert response.read().decode() == hashlib.sha256(body).hexdigest()

    said = b"".join(heard)
    assert b"websocket.receive" in said and b"room" in said
    assert SECRET.encode() not in said and b"/echo/" not in said


def test_a_worker_without_the_key_leaves_it_to_one_that_has_it(project: Project) -> None:
    keys(project, "key")
    server = project.daphne()
    keys(project, "another")
    stranger = project.worker()
    project.env["LAYER_CONFIG"] = "{}"
    careless = project.worker()
    keys(project, "key")
    project.worker()
    with socket(server, "/echo/") as client:
        for number in range(20):
            client.send(str(number))
            assert client.recv(timeout=10) == str(number)

    # Both look at a channel once, and then not for a while.
    assert stranger.printed(r"is not sealed with any of symmetric_encryption_keys") <= 3
    assert careless.printed(r"the layer's CONFIG has no symmetric_encryption_keys") <= 3
    assert stranger.running() and careless.running()
