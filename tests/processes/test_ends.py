"""A request has one end, at once, and no byte after it: on Daphne, on uvicorn, behind nginx.

``http_timeout`` is left at its two minutes, and what a client reads here has a deadline of five
seconds: a request that were left open would fail its test.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.conftest import PROJECT, READY, together
from tests.support.processes import Process
from tests.support.raw import Raw
from tests.support.waiting import free_port, listening, missing, wait_for

pytestmark = pytest.mark.timeout(60)

# A proxy that keeps its connections to the server, as docs/howto/deploy.md advises.
NGINX = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream server {{ server 127.0.0.1:{server}; keepalive 1; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://server;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Process]]:
    """Daphne, uvicorn, nginx in front of Daphne, and a worker."""
    folder = tmp_path_factory.mktemp("ends")
    (folder / "marks").touch()
    with together(folder) as (broker, processes):
        env = {
            "REDIS_URL": broker.url,
            "DJANGO_SETTINGS_MODULE": "app.ends_settings",
            "MARKS": str(folder / "marks"),
        }
        daphne = processes.daphne("app.asgi:channel_layer", env=env, cwd=PROJECT)
        uvicorn = processes.uvicorn("app.asgi:channel_layer", env=env, cwd=PROJECT)
        proxy = _nginx(folder)
        conf = folder / "nginx.conf"
        port = free_port()
        conf.write_text(NGINX.format(folder=folder, server=daphne.port, port=port))
        nginx = processes.start(proxy, "-c", str(conf), "-p", str(folder), name="nginx")
        nginx.port = port
        worker = processes.runworker(env=env, cwd=PROJECT)
        worker.wait_printed(READY)
        wait_for(lambda: listening(port), timeout=10, what="nginx listens")
        yield {"daphne": daphne, "uvicorn": uvicorn, "nginx": nginx}


def _nginx(folder: Path) -> str:
    return shutil.which("nginx", path="/usr/sbin:/usr/bin") or missing("nginx", "apt install nginx")


def request(path: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode()


BOTH = pytest.mark.parametrize("name", ["daphne", "uvicorn"])
FAILURES = [
    *("exit", "cancel", "cookie", "103", "wrong-size", "request-started"),
    *("own", "own-async", "own-canceled", "later", "no-status", "unspeakable"),
    *("cancels-itself", "raises-cancelled"),
]


@BOTH
@pytest.mark.parametrize("path", FAILURES)
def test_a_run_that_failed_is_a_500_at_once(
    servers: dict[str, Process], name: str, path: str
) -> None:
    with Raw(servers[name].port, request(f"/{path}/")) as client:
        assert client.body()[0] == 500
        client.send(request("/ok/"))
        assert client.body() == (200, b"ok"), "its connection is as good as before"


@BOTH
@pytest.mark.parametrize("path", ["raises", "raises-async", "cancels-midway", "shorter"])
def test_a_response_that_failed_midway_is_cut_at_once(
    servers: dict[str, Process], name: str, path: str
) -> None:
    with Raw(servers[name].port, request(f"/{path}/")) as client:
        said = client.rest()
        assert b"half a page" in said
        assert not said.endswith(b"0\r\n\r\n"), "it does not look whole"


@BOTH
def test_a_response_that_is_cut_does_not_look_whole_to_an_http_1_0_client(
    servers: dict[str, Process], name: str
) -> None:
    """The end of the connection is the end of such a response, as of nginx's by default."""
    asked = b"GET /raises/ HTTP/1.0\r\nHost: h\r\n\r\n"
    with Raw(servers[name].port, asked) as client, pytest.raises(ConnectionResetError):
        while client.socket.recv(65536):
            pass


@pytest.mark.parametrize(
    ("path", "status"),
    [("task-exits", 500), ("group-exits", 500), ("callback-exits", 200), ("stops-the-loop", 200)],
)
def test_what_a_task_does_to_its_event_loop_is_no_others_end(
    servers: dict[str, Process], path: str, status: int
) -> None:
    port = servers["daphne"].port
    with Raw(port, request("/lasts/")) as beside:
        beside.head()
        with Raw(port, request(f"/{path}/")) as client:
            assert client.body()[0] == status
            client.send(request("/let-go-on/"))
            assert client.body() == (200, b"ok"), "async views are run as before"
        while b"ended" not in beside.buffer:
            assert beside.more(), "a stream that ran meanwhile goes on"


@BOTH
def test_a_receiver_of_a_signal_that_fails_holds_up_nobody(
    servers: dict[str, Process], name: str
) -> None:
    with Raw(servers[name].port) as client:
        client.send(request("/request-finished/"))
        assert client.body() == (200, b"ok"), "the view had answered"
        client.send(request("/next-fails/"))
        assert client.body() == (200, b"ok")
        client.send(request("/ok/"))
        assert client.body()[0] == 500
        client.send(request("/ok/"))
        assert client.body() == (200, b"ok")


@pytest.mark.parametrize("name", ["daphne", "uvicorn", "nginx"])
@pytest.mark.parametrize("kind", ["stream", "large", "small", "file"])
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_no_content_leaves_where_none_belongs(
    servers: dict[str, Process], name: str, kind: str, method: str, status: int
) -> None:
    first, then = request(f"/{kind}/{status}/", method), request("/ok/")
    for pipelined in (True, False):
        with Raw(servers[name].port, first + then * 2 if pipelined else first) as client:
            assert client.status() == status
            for _ in range(2):
                if not pipelined:
                    client.send(then)
                # Whatever had been sent as content would stand here.
                assert client.body() == (200, b"ok"), client.buffer


@BOTH
@pytest.mark.parametrize("kind", ["stream", "small"])
def test_a_205_has_no_content_whatever_its_view_says(
    servers: dict[str, Process], name: str, kind: str
) -> None:
    with Raw(servers[name].port, request(f"/{kind}/205/") + request("/ok/")) as client:
        assert client.body() == (205, b"")
        assert client.body() == (200, b"ok")


@BOTH
def test_headers_of_one_connection_are_not_passed_on(
    servers: dict[str, Process], name: str
) -> None:
    with Raw(servers[name].port, request("/passed-on/") + request("/ok/")) as client:
        head = client.head().lower()
        assert b"x-kept: 1" in head
        assert b"x-named" not in head and b"keep-alive" not in head
        client.buffer = head + b"\r\n\r\n" + client.buffer
        assert client.body() == (200, b"abc")
        assert client.body() == (200, b"ok")
