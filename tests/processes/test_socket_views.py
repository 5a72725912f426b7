"""Socket views behind real servers, alone and beside workers."""

import json
import signal
import socket as sockets
import time
import urllib.error
import urllib.request

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.processes.conftest import Project, socket
from tests.support.processes import Process, Processes
from tests.support.raw import Raw, frame, handshake, opened
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(90)

TEXT, PING = 1, 9
MIB = 1024 * 1024


class Site(Project):
    """The project with socket views."""

    def serve(self, server: str, application: str) -> Process:
        return getattr(self, server)(f"app.sockets:{application}")  # type: ignore[no-any-return]

    def wait_marked(self, text: str, *, timeout: float = 20) -> None:
        wait_for(
            lambda: text in self.texts(), timeout=timeout, what=f"{text!r} (of {self.texts()})"
        )

    def texts(self) -> list[str]:
        return [text for _, text in self.lines()]


@pytest.fixture
def site(own_broker, processes: Processes, tmp_path) -> Site:
    site = Site(processes, own_broker, tmp_path)
    site.env["DJANGO_SETTINGS_MODULE"] = "app.sockets_settings"
    return site


@pytest.fixture(params=["daphne", "uvicorn"])
def server(request) -> str:
    return request.param


def get(server: Process, path: str) -> tuple[int, dict[str, str], str]:
    try:
        answer = urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return answer.status, headers, answer.read().decode()


def refused(server: Process, path: str, **options) -> int:
    with pytest.raises(InvalidStatus) as caught, socket(server, path, **options):
        pass
    return caught.value.response.status_code


def closed(client) -> int:
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            client.recv(timeout=10)
    assert caught.value.rcvd is not None, "the connection was lost, not closed"
    return caught.value.rcvd.code


class TestAView:
    def test_speaks_and_listens(self, site: Site, server: str):
        process = site.serve(server, "alone")
        with socket(process, "/ws/echo/", subprotocols=["echo"]) as client:
            assert client.subprotocol == "echo"
            for sent in ("hello", "ä€😀", b"\x00\xff", "x" * 300_000):
                client.send(sent)
                assert client.recv(timeout=10) == sent
            client.send("empty")
            assert [client.recv(timeout=10), client.recv(timeout=10)] == ["", b""]
            client.close(4321)
        site.wait_marked("echo ends 4321")

    def test_knows_what_its_about(self, site: Site, server: str):
        process = site.serve(server, "alone")
        options = {"additional_headers": {"X-Test": "yes"}}
        with socket(process, "/ws/about/?q=1&q=%C3%A4", **options) as client:
            assert json.loads(client.recv(timeout=10)) == {
                "path": "/ws/about/",
                "scheme": "ws",
                "query": ["1", "ä"],
                "header": "yes",
                "session": False,
            }
            client.send("[1]")
            assert client.recv(timeout=10) == "[1]"
            client.send("{")
            assert closed(client) == 1007
        process.wait_printed(r"no JSON \(Expecting")

    def test_that_only_sends_learns_that_its_client_left(self, site: Site, server: str):
        process = site.serve(server, "alone")
        with socket(process, "/ws/clock/20/") as client:
            assert [json.loads(client.recv(timeout=10)) for _ in range(3)] == [
                {"tick": 0},
                {"tick": 1},
                {"tick": 2},
            ]
            client.close(4000)
        site.wait_marked("clock ends 4000")
        raw = opened(process.port, "/ws/clock/20/")
        raw.reset()
        wait_for(
            lambda: sum("clock ends" in text for text in site.texts()) == 2,
            timeout=20,
            what="the view of a client that was cut off ends",
        )
        assert "Traceback" not in process.output()

    def test_that_does_neither_is_canceled(self, site: Site, server: str):
        process = site.serve(server, "alone")
        with socket(process, "/ws/wait/"):
            site.wait_marked("wait begins")
        site.wait_marked("wait ends")

    @pytest.mark.parametrize("application", ["alone", "authenticated"])
    def test_close_codes(self, site: Site, server: str, application: str):
        process = site.serve(server, application)
        for code in (1000, 3000, 4999):
            with socket(process, "/ws/echo/") as client:
                client.send(f"close {code}")
                assert closed(client) == code
        with socket(process, "/ws/echo/") as client:
            client.send("fail")
            assert closed(client) == 1011
        process.wait_printed("ZeroDivisionError")
        assert refused(process, "/ws/fail/") == (500 if server == "uvicorn" else 403)

    def test_a_page_of_another_site_is_refused(self, site: Site, server: str):
        process = site.serve(server, "alone")
        assert refused(process, "/ws/echo/", origin="https://evil.example") == 403
        process.wait_printed("evil.example.*was refused")
        assert "is none" not in process.output(), "there is nothing wrong with the handshake"
        if process.name.startswith("daphne"):
            with Raw(process.port, handshake("/ws/echo/", connection=None)) as raw:
                assert raw.status() == 400
            process.wait_printed("The handshake of a WebSocket is none")
        with socket(process, "/ws/echo/", origin="http://localhost:1234") as client:
            client.send("ours")
            assert client.recv(timeout=10) == "ours"


class TestOtherPaths:
    def test_alone_are_a_logged_404(self, site: Site, server: str):
        process = site.serve(server, "alone")
        assert refused(process, "/echo/") == (404 if server == "uvicorn" else 403)
        process.wait_printed("Not Found: no socket view has the path '/echo/'")
        assert "without completing handshake" not in process.output()

    def test_and_requests_go_to_workers_with_a_layer(self, site: Site, server: str):
        process = site.serve(server, "views")
        site.worker()
        with socket(process, "/ws/echo/") as inside, socket(process, "/echo/") as outside:
            for client in (inside, outside):
                client.send("hello")
                assert client.recv(timeout=10) == "hello"
        assert get(process, "/hello/")[::2] == (200, "hello")
        status, headers, _ = get(process, "/ws/echo/")
        assert (status, headers["upgrade"]) == (426, "websocket"), "from a worker"

    def test_a_view_reaches_the_sockets_of_consumers(self, site: Site, server: str):
        process = site.serve(server, "views")
        site.worker()
        with socket(process, "/ws/tell/") as inside, socket(process, "/room/") as outside:
            outside.send("joined")
            assert outside.recv(timeout=10) == "joined"
            inside.send("hello")
            assert outside.recv(timeout=10) == "hello"

    def test_without_an_asgi_file(self, site: Site, server: str):
        process = getattr(site, server)("djchan.urls:application")
        site.worker()
        for path in ("/ws/echo/", "/echo/"):
            with socket(process, path) as client:
                client.send("hello")
                assert client.recv(timeout=10) == "hello"

    def test_a_plain_request_is_told_to_upgrade(self, site: Site, server: str):
        process = site.serve(server, "alone")
        assert get(process, "/hello/")[::2] == (200, "hello")
        status, headers, body = get(process, "/ws/echo/")
        assert (status, headers["upgrade"]) == (426, "websocket")
        assert "WebSockets only" in body
        assert get(process, "/hello/")[0] == 200, "and the server is none the worse"


@pytest.mark.parametrize("application", ["authenticated", "outer"])
def test_middleware_of_channels_4(site: Site, server: str, application: str):
    process = site.serve(server, application)
    with socket(process, "/ws/about/", additional_headers={"X-Test": "1"}) as client:
        assert json.loads(client.recv(timeout=10))["session"] is True
    with socket(process, "/ws/echo/") as client:
        client.send("fail")
        # Behind middleware's own `send` Daphne keeps 1011 to itself.
        code = 4011 if (server, application) == ("daphne", "outer") else 1011
        assert closed(client) == code


class TestPressure:
    def test_a_client_that_does_not_read_stops_its_view_and_is_closed(
        self, site: Site, server: str
    ):
        process = site.serve(server, "alone")
        with socket(process, "/ws/echo/") as other, sockets.socket() as raw:
            before = process.rss()
            raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
            raw.connect(("127.0.0.1", process.port))
            raw.sendall(handshake("/ws/flood/"))
            assert b"101" in raw.recv(64)
            site.wait_marked("flood ends 1013")
            process.wait_printed("has not read what it was sent for 2 s")
            assert process.rss() - before < 24 * 1024 * 1024
            other.send("still here")
            assert other.recv(timeout=10) == "still here"

    def test_a_client_that_does_not_read_and_is_cut_off_is_told_to_its_view(
        self, site: Site, server: str
    ):
        process = site.serve(server, "alone")
        raw = opened(process.port, "/ws/flood/")
        since, last = time.monotonic(), ""

        def stands_still() -> bool:
            nonlocal since, last
            text = "".join(site.texts()[-1:])
            if text != last:
                since, last = time.monotonic(), text
            return bool(last) and time.monotonic() - since > 0.4

        wait_for(stands_still, timeout=20, what="the kernel is full, and a send waits")
        raw.reset()
        wait_for(
            lambda: any("flood ends" in text for text in site.texts()),
            timeout=20,
            what="the view learns that its client left",
        )
        assert "is canceled" not in process.output()

    def test_a_view_that_does_not_read_stops_its_client_and_is_closed(
        self, site: Site, server: str
    ):
        process = site.serve(server, "alone")
        with socket(process, "/ws/echo/") as other, Raw(process.port, timeout=20) as raw:
            before = process.rss()
            raw.send(handshake("/ws/idle/"))
            assert raw.status() == 101
            sent = raw.flood(frame(TEXT, b"x" * 60_000), 200 * 1024 * 1024)
            assert sent < 40 * 1024 * 1024, "TCP stopped it"
            assert process.rss() - before < 48 * 1024 * 1024
            process.wait_printed("has not taken what the client sent")
            other.send("still here")
            assert other.recv(timeout=10) == "still here"


class TestHostile:
    """What is bounded on Daphne with a layer (test_hostile.py) is so without one."""

    def test_a_flood_before_the_handshake_is_answered(self, site: Site):
        process = site.daphne("app.layerless:application")
        with Raw(process.port, handshake("/ws/late/")) as raw:
            process.wait_printed("WSCONNECTING /ws/late/")
            raw.timeout = 3.0
            assert raw.flood(b"x" * 65_536, 256 * MIB) < 64 * MIB
        process.wait_printed("before its handshake was answered")

    def test_pings_of_a_client_that_does_not_read(self, site: Site):
        process = site.daphne("app.layerless:application")
        with opened(process.port, "/ws/idle/") as raw:
            before = process.rss()
            raw.timeout = 15.0
            raw.flood(frame(PING, b"x" * 125) * 500, 24 * MIB, heedless=True)
            # The kernel holds some; Daphne by itself would hold the rest.
            assert process.rss() - before < 12 * MIB

    def test_a_client_that_breaks_the_protocol_is_told_so(self, site: Site):
        process = site.daphne("app.layerless:application")
        with opened(process.port, "/ws/idle/") as raw:
            raw.send(frame(3))
            assert raw.code() == 1002


def test_at_sigterm_sockets_are_closed_and_views_canceled(site: Site, server: str):
    process = site.serve(server, "alone")
    # A kept HTTP connection is where Daphne's own shutdown stumbles.
    with sockets.create_connection(("127.0.0.1", process.port), 10) as kept:
        kept.sendall(b"GET /hello/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in kept.recv(4096)
        with socket(process, "/ws/wait/") as client, socket(process, "/ws/echo/") as second:
            site.wait_marked("wait begins")
            second.send("hello")
            assert second.recv(timeout=10) == "hello"
            process.send_signal(signal.SIGTERM)
            assert closed(client) == 1012
            assert closed(second) == 1012
    code = process.wait_exit(timeout=30)
    assert code in (0, -signal.SIGTERM), process.output()
    site.wait_marked("wait ends")


def test_at_sigterm_with_sockets_of_workers_beside(site: Site, server: str):
    process = site.serve(server, "views")
    site.worker()
    with socket(process, "/ws/wait/") as inside, socket(process, "/echo/") as outside:
        site.wait_marked("wait begins")
        outside.send("hello")
        assert outside.recv(timeout=10) == "hello"
        process.send_signal(signal.SIGTERM)
        assert closed(inside) == 1012
        assert closed(outside) == 1012
    code = process.wait_exit(timeout=30)
    assert code in (0, -signal.SIGTERM), process.output()
    site.wait_marked("wait ends")
    assert "Unhandled" not in process.output()
    assert "AttributeError" not in process.output()


def test_ping_and_pong_with_no_library_at_all(site: Site, server: str):
    process = site.serve(server, "raw")
    with socket(process, "/") as client:
        for _ in range(3):
            client.send("ping")
            assert client.recv(timeout=10) == "pong"
