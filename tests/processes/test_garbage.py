"""What belongs to a connection goes with it, without a garbage collection."""

import json
import socket as sockets
import urllib.request
from typing import Any

import pytest

from tests.processes.conftest import Project, socket
from tests.support import raw
from tests.support.processes import Process
from tests.support.raw import Raw
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(60)


def ask(server: Process, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as answer:
        return json.load(answer)


def request(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def finished_response(server: Process) -> None:
    with Raw(server.port, request("/hello/", "Connection: close")) as client:
        assert b"hello" in client.rest()


def kept_alive(server: Process) -> None:
    with Raw(server.port) as client:
        for _ in range(3):
            client.send(request("/hello/"))
            assert client.body() == (200, b"hello")


def response_that_is_left(server: Process) -> None:
    with Raw(server.port, request("/stream/")) as client:
        client.more()


def response_that_is_not_read(server: Process) -> None:
    client = sockets.socket()
    client.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", server.port))
    client.sendall(request("/zeros/"))
    client.recv(10, sockets.MSG_PEEK)
    client.close()


def closed_socket(server: Process) -> None:
    with socket(server, "/echo/") as client:
        client.send("hello")
        assert client.recv(timeout=10) == "hello"


def lost_socket(server: Process) -> None:
    client = Raw(server.port, raw.handshake("/echo/"))
    assert client.status() == 101
    client.reset()


def refused_request(server: Process) -> None:
    with Raw(server.port, request("/hello/", "Content-Length: 999999999999")) as client:
        assert client.status() == 413


def refused_socket(server: Process) -> None:
    with Raw(server.port, raw.handshake("/echo/", "Origin: http://other.example")) as client:
        assert client.status() == 403


def aborted_handshake(server: Process) -> None:
    Raw(server.port, raw.handshake("/echo/")).reset()


def unread_socket(server: Process) -> None:
    with Raw(server.port, raw.handshake("/echo/")) as client:
        assert client.status() == 101
        client.send(raw.frame(raw.TEXT, b"x" * 60_000) * 20)


def aborted_upload(server: Process) -> None:
    with Raw(server.port, request("/upload/", "Content-Length: 5000000")) as client:
        client.send(b"x" * 2_000_000)


def pipelined_requests(server: Process) -> None:
    with Raw(server.port, request("/stream/") + request("/hello/") * 2) as client:
        client.more()


def response_without_content(server: Process) -> None:
    with Raw(server.port, request("/zeros/").replace(b"GET", b"HEAD")) as client:
        assert client.status() == 200


def held_response(server: Process) -> None:
    with Raw(server.port, request("/hold/")) as client:
        client.more()


@pytest.mark.parametrize("kind", ["daphne", "uvicorn"])
def test_nothing_of_a_connection_waits_for_a_garbage_collection(
    project: Project, kind: str
) -> None:
    """Daphne's, Twisted's and autobahn's own objects too, as long as they are our server."""
    project.env["HOSTS"] = '["localhost", "127.0.0.1"]'
    server: Process = getattr(project, kind)("app.garbage:application")
    project.worker()
    clients = [
        finished_response,
        kept_alive,
        response_that_is_left,
        response_that_is_not_read,
        closed_socket,
        lost_socket,
        refused_request,
        refused_socket,
        aborted_handshake,
        unread_socket,
        aborted_upload,
        pipelined_requests,
        response_without_content,
        held_response,
    ]
    for _ in range(2):
        for client in clients:
            client(server)
        wait_for(lambda: ask(server, "/held/") == [], timeout=20, what="all connections ended")
        # The first time it finds what the start of the process has left.
        found = ask(server, "/garbage/")

    assert found == []
