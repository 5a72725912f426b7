"""Appendix B of the contract, lines 5 and 12: HTTP, and Daphne's own command.

See test_appendix_b.py for the other lines.
"""

import contextlib
import hashlib
import http.client
import json
from collections.abc import Iterator

import pytest
from websockets.sync.client import connect

from tests.compat.conftest import Site
from tests.compat.talk import request
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(60)


# ---------------------------------------------------------------------------- 5. HTTP


def test_b05_http_headers_cookies_and_root_path(site: Site) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=10)
    connection.putrequest("GET", "/app/request/?q=1&q2=%C3%A9")
    for name, value in (
        ("X-Twice", "one"),
        ("X-Twice", "two"),
        ("X_Under", "dropped"),
        ("Cookie", "a=1"),
        ("Cookie", "b=2"),
        ("Daphne-Root-Path", "/app"),
    ):
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    assert json.loads(response.read()) == {
        "twice": "one,two",
        "cookies": {"a": "1", "b": "2"},
        "script_name": "/app",
        "path_info": "/request/",
        "query": {"q": "1", "q2": "é"},
    }
    cookies = response.headers.get_all("Set-Cookie") or []
    assert [cookie.partition(";")[0] for cookie in cookies] == ["one=1", "two=2"]
    assert response.getheader("X-Stamp") == "stamped"
    connection.close()


@pytest.mark.parametrize("size", [1, 1 << 20, 50 << 20], ids=["1 B", "1 MiB", "50 MiB"])
def test_b05_http_bodies(site: Site, size: int) -> None:
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    headers = {"Content-Type": "application/octet-stream"}
    with request(site.server, "POST", "/upload/", body=body, headers=headers) as response:
        assert response.read().decode() == hashlib.sha256(body).hexdigest()


def test_b05_http_streaming_and_early_disconnect(site: Site) -> None:
    with request(site.server, "GET", "/stream/") as response:
        assert [response.readline() for _ in range(3)] == [b"part 0\n", b"part 1\n", b"part 2\n"]
        assert response.getheader("Content-Length") is None
        response.close()
    wait_for(lambda: site.marked("stream closed"), timeout=5, what="the generator is closed")


def test_b05_http_timeouts_before_and_after_the_start(site: Site) -> None:
    # The same layer, so the same worker, behind a server that waits for half a second.
    apart = site.apart("djchan")
    apart.env["LAYER_INTERFACE"] = json.dumps({"http_timeout": 0.5})
    server = apart.daphne("asgi:channel_layer")
    with request(server, "GET", "/slow/1.5/") as response:
        assert response.status == 503
        assert b"Worker server failed to respond within time limit." in response.read()
    with request(server, "GET", "/begun/") as response:
        assert response.status == 200
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            response.read()
    # In 1.x all checks of that server stopped for ever after that.
    with request(server, "GET", "/slow/1.5/") as response:
        assert response.status == 503


def test_b05_http_response_later_by_a_group(site: Site) -> None:
    with (
        request_later(site, "b05", "/later/b05/") as first,
        request_later(site, "b05", "/later/b05/") as second,
    ):
        wait_for(lambda: len(site.marked("promised b05")) == 2, timeout=10, what="both promised")
        site.layer.send("answer", {"group": "b05"})
        for connection in (first, second):
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, b"b05 is served")
            assert response.getheader("X-Late") == "yes"
    # The middleware in between has seen a response each time: the promise, not an error.
    assert site.marked("stamp /later/b05/") == [" 202", " 202"]


@contextlib.contextmanager
def request_later(site: Site, group: str, path: str) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=15)
    connection.request("GET", path)
    yield connection
    connection.close()


# ------------------------------------------------ 12. daphne module:channel_layer


@pytest.mark.parametrize("application", ["asgi:channel_layer", "djchan.asgi:channel_layer"])
def test_b12_daphne_serves_http_and_websocket(site: Site, application: str) -> None:
    server = site.server
    if application != "asgi:channel_layer":
        server = site.daphne(application)
    with request(server, "GET", "/who/") as response:
        assert (response.status, response.read()) == (200, b"nobody")
    with connect(f"ws://127.0.0.1:{server.port}/rows/", open_timeout=10) as client:
        client.send("ping")
        assert client.recv(timeout=10) == "before"
