"""Short words for tests that talk to the running project."""

import contextlib
import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.compat.conftest import Site
from tests.processes.conftest import socket
from tests.support.processes import Process


def hear(client: ClientConnection) -> Any:
    return json.loads(client.recv(timeout=10))


def code_of(client: ClientConnection) -> int:
    """The code that the server closes with."""
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(timeout=10)
    return closed.value.rcvd.code if closed.value.rcvd else 1006


@contextlib.contextmanager
def request(
    server: Process, method: str, path: str, **options: Any
) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, path, **options)
        yield connection.getresponse()
    finally:
        connection.close()


def with_cookie(site: Site, path: str, user: str = "ann") -> Any:
    """A socket of a browser that ``user`` is logged in with."""
    cookie = {"Cookie": f"sessionid={site.cookies[user]}"}
    return socket(site.server, path, additional_headers=cookie)
