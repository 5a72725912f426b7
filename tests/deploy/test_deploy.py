"""The files of deploy/, run for real: nginx and supervisor of Debian, gunicorn, Daphne, workers."""

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser
from websockets.asyncio.client import connect as aconnect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.deploy.site import Site
from tests.support.raw import Raw, handshake
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.full, pytest.mark.timeout(180)]

HERE = "127.0.0.2"  # Where the client comes from, unlike anything else on this machine.
DAPHNES = ("mysite-daphne-1", "mysite-daphne-2")
SERVERS = ("by_path", "by_upgrade", "daphne_only")


class Answer:
    """The response to one request, over TLS where ``site`` is asked for https."""

    def __init__(self, site: Site, server: str, path: str, **headers: str) -> None:
        url = urlsplit(site.url(server, path))
        assert url.hostname and url.port
        options: dict[str, Any] = {"timeout": 30, "source_address": (HERE, 0)}
        client = (
            http.client.HTTPSConnection(url.hostname, url.port, context=site.trusting, **options)
            if server == "https"
            else http.client.HTTPConnection(url.hostname, url.port, **options)
        )
        client.request("GET", path, headers=headers)
        response = client.getresponse()
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()
        client.close()

    @property
    def cookie(self) -> str:
        """The session's cookie, as a browser would send it again."""
        return next(
            value.partition(";")[0]
            for value in self.headers.get_all("Set-Cookie") or ()
            if value.startswith("sessionid=")
        )


def opened(site: Site, server: str, path: str = "/ws/room/", **headers: str) -> Any:
    tls = site.trusting if server == "https" else None
    return connect(
        site.url(server, path, scheme="wss" if tls else "ws"),
        compression=None,
        open_timeout=30,
        additional_headers=headers,
        ssl=tls,
    )


@pytest.mark.parametrize("server", [*SERVERS, "https"])
def test_pages_and_sockets_on_one_domain(site: Site, server: str) -> None:
    page = json.loads(Answer(site, server, "/who/").text)
    assert page["server"] == ("a worker" if server == "daphne_only" else "gunicorn")
    assert page["scheme"] == ("https" if server == "https" else "http")
    with opened(site, server) as client:
        hello = json.loads(client.recv(timeout=20))
        client.send("hello")
        assert client.recv(timeout=20) == "hello"
    assert hello["scheme"] == ("wss" if server == "https" else "ws")


def test_by_path_the_path_decides(site: Site) -> None:
    assert Answer(site, "by_path", "/ws/a-page/").status == 404
    site.wait_logged('"GET /ws/a-page/', *DAPHNES)
    with pytest.raises(InvalidStatus) as refused, opened(site, "by_path", "/elsewhere/"):
        pass
    assert refused.value.response.status_code == 404
    site.wait_logged('"GET /elsewhere/', "mysite-gunicorn")


def test_by_upgrade_the_header_decides(site: Site) -> None:
    assert Answer(site, "by_upgrade", "/ws/another-page/").status == 404
    site.wait_logged('"GET /ws/another-page/', "mysite-gunicorn")
    with opened(site, "by_upgrade", "/anywhere/"):
        site.wait_logged('"WSCONNECT /anywhere/', *DAPHNES)


def test_plain_http_goes_to_tls(site: Site) -> None:
    answer = Answer(site, "http", "/who/?a=1")
    assert (answer.status, answer.headers["Location"]) == (301, "https://127.0.0.1/who/?a=1")


def test_static_files_are_nginxs_own(site: Site) -> None:
    answer = Answer(site, "by_path", "/static/djchan/js/websocketbridge.js")
    assert answer.status == 200
    assert "WebSocketBridge" in answer.text


@pytest.mark.parametrize("server", SERVERS)
def test_a_page_and_a_socket_share_session_and_user(site: Site, server: str) -> None:
    first = Answer(site, server, "/enter/ada/")
    cookie = first.cookie
    Answer(site, server, "/who/", Cookie=cookie)
    assert json.loads(Answer(site, server, "/who/", Cookie=cookie).text)["visits"] == 2
    with opened(site, server, Cookie=cookie) as client:
        hello = json.loads(client.recv(timeout=20))
    assert (hello["visits"], hello["user"]) == (2, "ada")
    with opened(site, server) as client:
        stranger = json.loads(client.recv(timeout=20))
    assert (stranger["visits"], stranger["user"]) == (None, "")


FORGED = {
    "X-Forwarded-For": "6.6.6.6, 7.7.7.7",
    "X-Forwarded-Port": "66",
    "X-Forwarded-Proto": "https",
    "X_Forwarded_For": "8.8.8.8",
    "X-Forwarded-Protocol": "ssl",
    "X-Forwarded-Ssl": "on",
    "Forwarded": "for=9.9.9.9;proto=https",
    "Daphne-Root-Path": "//evil.test",
}


@pytest.mark.parametrize("headers", [{}, FORGED], ids=["honest", "forged"])
@pytest.mark.parametrize("server", SERVERS)
def test_the_client_is_who_knocked_at_nginx(
    site: Site, server: str, headers: dict[str, str]
) -> None:
    page = json.loads(Answer(site, server, "/who/", **headers).text)
    assert (page["client"], page["scheme"]) == (HERE, "http")
    assert page["links"] == "/say/hello/"

    async def knock() -> tuple[dict[str, Any], int]:
        url = site.url(server, "/ws/room/", scheme="ws")
        async with aconnect(
            url, additional_headers=headers, local_addr=(HERE, 0), open_timeout=30
        ) as client:
            hello = json.loads(await asyncio.wait_for(client.recv(), 20))
            return hello, client.local_address[1]

    hello, port = asyncio.run(knock())
    assert hello["client"] == [HERE, port]
    assert hello["scheme"] == "ws"
    site.wait_logged(f"{HERE}:{port} - - ", *DAPHNES)  # Its access log.
    assert not any("6.6.6.6" in site.log(daphne) for daphne in DAPHNES)


def test_a_view_in_gunicorn_sends_to_sockets_and_to_a_background_worker(site: Site) -> None:
    with opened(site, "by_path") as client:
        client.recv(timeout=20)
        assert Answer(site, "by_path", "/say/hello/").text == "said"
        heard = {client.recv(timeout=20) for _ in range(2)}
    assert heard == {"view: hello", "background: hello"}


@pytest.mark.parametrize(("server", "scheme"), [("by_path", "ws"), ("https", "wss")])
def test_the_page_chooses_ws_or_wss_by_its_own_scheme(
    site: Site, browser: Browser, server: str, scheme: str
) -> None:
    context = browser.new_context(ignore_https_errors=True)
    context.set_default_timeout(30_000)
    page = context.new_page()
    page.goto(site.url(server, "/", scheme="https" if server == "https" else "http"))
    page.wait_for_selector("#hello:not(:empty)")
    assert page.text_content("#url") == site.url(server, "/ws/room/", scheme=scheme)
    assert json.loads(page.text_content("#hello") or "")["scheme"] == scheme
    context.close()


# -------------------------------------------------------------- a deploy under traffic

SOCKETS = 40


class Traffic:
    """Sockets that ask one thing after the other until they are told to stop."""

    def __init__(self, site: Site, server: str = "by_path") -> None:
        self.url = site.url(server, "/ws/room/", scheme="ws")
        self.begun = self.answered = 0
        self.wrong: list[str] = []
        self.codes: list[int] = []
        self.stopping = asyncio.Event()

    async def talk(self, name: int) -> None:
        async with aconnect(self.url, compression=None, open_timeout=30) as client:
            await client.recv()
            self.begun += 1
            try:
                for number in range(100_000):
                    if self.stopping.is_set():
                        break
                    text = f"{name}:{number}"
                    await client.send(text)
                    answer = await asyncio.wait_for(client.recv(), 60)
                    self.answered += 1
                    if answer != text:
                        self.wrong.append(f"{text}: {answer!r}")
                    await asyncio.sleep(0.05)
                with contextlib.suppress(TimeoutError):
                    more = await asyncio.wait_for(client.recv(), 0.5)
                    self.wrong.append(f"{name}: besides {more!r}")
            except ConnectionClosed as closed:
                self.codes.append(closed.rcvd.code if closed.rcvd else 1006)


async def under_traffic(site: Site, *commands: tuple[str, ...]) -> tuple[Traffic, list[str]]:
    """What the sockets lived to see while an administrator typed ``commands``."""
    traffic = Traffic(site)
    talks = [asyncio.create_task(traffic.talk(name)) for name in range(SOCKETS)]
    async with asyncio.timeout(60):
        while traffic.begun < SOCKETS or traffic.answered < SOCKETS * 2:
            await asyncio.sleep(0.02)
    said = []
    for command in commands:
        said.append(await asyncio.to_thread(site.ctl, *command))
        before = traffic.answered
        async with asyncio.timeout(60):
            while traffic.answered < before + SOCKETS and not all(talk.done() for talk in talks):
                await asyncio.sleep(0.02)
    traffic.stopping.set()
    await asyncio.wait_for(asyncio.gather(*talks), 90)
    return traffic, said


def test_a_deploy_of_the_workers_under_open_sockets(site: Site) -> None:
    starts = site.log("mysite-worker-1").count("is ready")
    traffic, said = asyncio.run(
        under_traffic(
            site,
            ("restart", "mysite:mysite-worker-1"),
            ("restart", "mysite:mysite-worker-2"),
            # And the careless way, all at a time: frames wait for a worker.
            ("restart", "mysite:mysite-worker-1", "mysite:mysite-worker-2"),
        )
    )
    assert all("started" in text and "ERROR" not in text for text in said), said
    assert (traffic.wrong, traffic.codes) == ([], [])
    log = site.log("mysite-worker-1")
    assert log.count("is ready") == starts + 2
    assert log.count("Worker stopped.") >= 2, "each ended by itself, within its grace"
    assert "Traceback" not in log
    assert "ERROR" not in log


def test_a_deploy_of_one_daphne_tells_its_sockets_and_the_other_takes_them(site: Site) -> None:
    traffic, _ = asyncio.run(under_traffic(site, ("stop", "mysite:mysite-daphne-1")))
    try:
        assert traffic.wrong == []
        # About half of them were on it; each was told, none was cut off.
        assert 0 < len(traffic.codes) < SOCKETS
        assert set(traffic.codes) == {1012}
        for _ in range(4):
            with opened(site, "by_path") as client:
                client.recv(timeout=20)
        assert "mysite-daphne-1 (exit status 0" in (site.folder / "supervisord.log").read_text()
    finally:
        site.ctl("start", "mysite:mysite-daphne-1")
        wait_for((site.folder / "run/daphne-1.sock").is_socket, timeout=60, what="Daphne is back")


def test_a_proxy_without_upgrade_is_named_in_the_log(site: Site) -> None:
    with Raw(site.ports["without_upgrade"], handshake("/ws/room/"), timeout=30) as raw:
        assert raw.status() == 404, "Django's own: there is no such page"
    site.wait_logged(
        "handshake of a WebSocket to '/ws/room/' arrived as a plain HTTP request", *DAPHNES
    )
    site.wait_logged("proxy_set_header Upgrade $http_upgrade", *DAPHNES)


def test_a_proxy_with_half_of_it_too(site: Site) -> None:
    with Raw(site.ports["without_upgrade"], handshake("/half/"), timeout=30) as raw:
        assert raw.status() == 400
    site.wait_logged("handshake of a WebSocket is none", *DAPHNES)
    site.wait_logged("hand the headers Upgrade and Connection on", *DAPHNES)


def test_a_daphne_that_was_killed_comes_back_on_its_socket(site: Site) -> None:
    killed = int(site.ctl("pid", "mysite:mysite-daphne-1"))
    os.kill(killed, signal.SIGKILL)

    def back() -> bool:
        return "RUNNING" in site.ctl("status", "mysite:mysite-daphne-1") and (
            int(site.ctl("pid", "mysite:mysite-daphne-1")) != killed
        )

    wait_for(back, timeout=60, what="supervisor has started it again")
    # Its old socket is still in the folder; the new one takes the name.
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(site.folder / "run/daphne-1.sock"))
        client.sendall(b"GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"200 OK" in client.recv(100)
