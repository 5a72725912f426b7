"""Hostile input on a real server: what its sender gets, and that nobody else notices.

Each test runs on Daphne and on uvicorn, each over the same worker and Redis. Meanwhile a
well-behaved socket echoes; afterwards both processes live and have not grown. What is shown
here is in docs/reference/hostile.md.
"""

import contextlib
import json
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes.conftest import PROJECT, READY, socket, together
from tests.support import raw
from tests.support.processes import Process, Processes
from tests.support.raw import Raw, frame, handshake, header, opened
from tests.support.servers import Server
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.full, pytest.mark.timeout(40)]

KIB, MIB = 1024, 1024 * 1024
MESSAGE = 256 * KIB  # max_message_size
BODY = 2 * MIB  # http_max_body
GROWTH = 48 * MIB  # A process may hold so much more after an attack.
SLOWEST = 2.0  # Seconds for one echo of the well-behaved socket.
SERVERS = ["daphne", "uvicorn"]


class World:
    """Daphne, uvicorn, a worker, Redis: for all tests of this module."""

    def __init__(self, folder: Path, broker: Server, processes: Processes) -> None:
        self.marks = folder / "marks"
        self.marks.touch()
        self.processes = processes
        self.env = {
            "REDIS_URL": broker.url,
            "DJANGO_SETTINGS_MODULE": "app.hostile_settings",
            "MARKS": str(self.marks),
            "LAYER_CONFIG": json.dumps({"max_message_size": MESSAGE}),
            "LAYER_INTERFACE": json.dumps(
                {
                    "http_max_body": BODY,
                    "http_inline_body": 64 * KIB,
                    "connect_timeout": 2.0,
                    "outgoing_bytes": MIB,
                }
            ),
        }
        application = "app.asgi:channel_layer"
        worker = processes.runworker(env=self.env, cwd=PROJECT)
        self.daphne = processes.daphne(application, env=self.env, cwd=PROJECT)
        # By default uvicorn believes X-Forwarded-* of 127.0.0.1, and httptools reads headers
        # without end.
        options = ("--no-proxy-headers", "--http", "h11", "--log-level", "warning")
        self.uvicorn = processes.uvicorn(application, *options, env=self.env, cwd=PROJECT)
        worker.wait_printed(READY)
        self.worker = worker

    def marked(self) -> str:
        return self.marks.read_text()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("hostile")
    with together(folder) as (broker, processes):
        yield World(folder, broker, processes)


class Witness:
    """A well-behaved client that echoes all the time."""

    def __init__(self, server: Process) -> None:
        self.slowest = 0.0
        self.answers = 0
        self.trouble: Exception | None = None
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            with socket(self._server, "/echo/") as client:
                while not self._over.is_set() or not self.answers:
                    text = f"witness {self.answers}"
                    begun = time.monotonic()
                    client.send(text)
                    answer = client.recv(timeout=10)
                    self.slowest = max(self.slowest, time.monotonic() - begun)
                    assert answer == text
                    self.answers += 1
                    self._over.wait(0.02)
        except Exception as error:
            self.trouble = error

    def end(self) -> None:
        self._over.set()
        self._thread.join(15)
        assert not self._thread.is_alive()
        assert self.trouble is None, f"the well-behaved socket: {self.trouble!r}"
        assert self.slowest < SLOWEST, f"one echo took {self.slowest:.2f} s"


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, world: World) -> Iterator[Process]:
    """One of the two, which afterwards must be as it was before."""
    process: Process = getattr(world, request.param)
    process.kind = request.param  # type: ignore[attr-defined]
    with socket(process, "/echo/") as client:  # Both warm.
        client.send("warm")
        assert client.recv(timeout=10) == "warm"
    before = process.rss(), world.worker.rss()
    witness = Witness(process)
    try:
        yield process
    finally:
        witness.end()
    for living, was in zip((process, world.worker), before, strict=True):
        assert living.running(), living.output()[-3000:]
        grown = living.rss() - was
        assert grown < GROWTH, f"{living.name} grew by {grown / MIB:.0f} MiB"


def on(server: Process, *, daphne: Any, uvicorn: Any) -> Any:
    return daphne if server.kind == "daphne" else uvicorn  # type: ignore[attr-defined]


# ------------------------------------------------------------------------- frames


def test_fragments_without_end_get_1009(server: Process) -> None:
    with opened(server.port) as client:
        client.send(frame(raw.TEXT, b"x" * 16 * KIB, fin=False))
        sent = client.flood(frame(raw.CONTINUATION, b"x" * 16 * KIB, fin=False), 64 * MIB)
        assert client.code() == 1009
    assert sent < 64 * MIB
    if server.kind == "daphne":  # type: ignore[attr-defined]
        # uvicorn's own limit (--ws-max-size, 16 MiB) comes without a line of ours.
        server.wait_printed(rf"limit is {MESSAGE} .*max_message_size in the layer's CONFIG")


def test_a_frame_that_announces_a_gibibyte_gets_1009_at_once(server: Process) -> None:
    with opened(server.port) as client:
        client.send(header(raw.BINARY, 1 << 30))
        assert client.code() == 1009


def test_a_whole_message_over_max_message_size_gets_1009(server: Process) -> None:
    with opened(server.port) as client:
        client.send(frame(raw.TEXT, b"x" * (MESSAGE + 1)))
        assert client.code() == 1009
    server.wait_printed(r"closed \(1009\).*max_message_size")


def test_tiny_fragments_and_segments_weigh_what_they_hold(server: Process) -> None:
    with opened(server.port) as client:
        client.send(frame(raw.TEXT, b"begin ", fin=False))
        for _ in range(20):
            client.send(frame(raw.CONTINUATION, fin=False) * 500)
            client.send(frame(raw.CONTINUATION, b"x", fin=False) * 500)
        client.send(frame(raw.CONTINUATION, b" end"))
        assert client.frame() == (raw.TEXT, b"begin " + b"x" * 10_000 + b" end")


BROKEN: dict[str, tuple[bytes, int, int]] = {
    # Name: what is sent, the close code on Daphne, and on uvicorn.
    "bad UTF-8": (frame(raw.TEXT, b"abc\xff\xfe"), 1007, 1007),
    "UTF-8 cut off": (frame(raw.TEXT, b"abc\xe2\x82"), 1007, 1007),
    "a surrogate": (frame(raw.TEXT, b"\xed\xa0\x80"), 1007, 1007),
    "an overlong slash": (frame(raw.TEXT, b"\xc0\xaf"), 1007, 1007),
    "bad UTF-8 in a close reason": (frame(raw.CLOSE, b"\x03\xe8\xff\xfe"), 1007, 1007),
    "a close frame of one byte": (frame(raw.CLOSE, b"x"), 1002, 1002),
    "a close reason too long": (frame(raw.CLOSE, b"\x03\xe8" + b"x" * 124), 1002, 1002),
    **{
        f"close code {code}": (frame(raw.CLOSE, struct.pack("!H", code)), 1002, 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
    },
    "a ping too long": (frame(raw.PING, b"x" * 126), 1002, 1002),
    "a ping in fragments": (frame(raw.PING, b"x", fin=False), 1002, 1002),
    "no mask": (frame(raw.TEXT, b"x", masked=False), 1002, 1002),
    "a reserved bit": (frame(raw.TEXT, b"x", rsv=4), 1002, 1002),
    "opcode 3": (frame(3, b"x"), 1002, 1002),
    "opcode 11": (frame(11, b"x"), 1002, 1002),
    "a continuation of nothing": (frame(raw.CONTINUATION, b"x"), 1002, 1002),
    "a size of 2^63": (struct.pack("!BBQ", 0x82, 0xFF, 1 << 63) + bytes(4), 1002, 1009),
}


def test_broken_frames_get_the_code_of_their_kind(server: Process) -> None:
    got, expected = {}, {}
    for name, (data, daphne, uvicorn) in BROKEN.items():
        with opened(server.port) as client:
            client.send(data)
            got[name] = client.code()
        expected[name] = on(server, daphne=daphne, uvicorn=uvicorn)
    assert got == expected


def test_pings_of_a_client_that_never_reads(server: Process) -> None:
    # uvicorn answers and buffers them without end: there, only that nobody else minds.
    size = on(server, daphne=24 * MIB, uvicorn=MIB)
    before = server.rss()
    with opened(server.port) as client:
        client.timeout = 15.0
        pings = frame(raw.PING, b"x" * 125) * 500
        assert client.flood(pings, size, heedless=True) >= size
        # The kernel holds some; Daphne by itself would hold the rest.
        assert server.rss() - before < 10 * MIB


# --------------------------------------------------------------------- handshakes


HANDSHAKES: dict[str, tuple[bytes, int, int]] = {
    # Name: the request, the status on Daphne, and on uvicorn.
    "no key": (handshake(key=None), 400, 400),
    "a short key": (handshake(key="short"), 400, 400),
    "no version": (handshake(version=None), 400, 400),
    "version 7": (handshake(version="7"), 400, 400),
    "two versions": (handshake("/echo/", "Sec-WebSocket-Version: 8"), 400, 400),
    "no Host": (handshake(host=None), 400, 400),
    "no Connection": (handshake(connection=None), 400, 404),
    "POST": (handshake().replace(b"GET", b"POST", 1), 405, 405),
    "a thousand subprotocols": (
        handshake("/echo/", "Sec-WebSocket-Protocol: " + ",".join(f"p{n}" for n in range(1000))),
        101,
        101,
    ),
    "a subprotocol with a line break": (
        handshake("/echo/", "Sec-WebSocket-Protocol: a%0d%0aX: y"),
        101,
        400,
    ),
    "a subprotocol that is not ASCII": (
        handshake("/echo/", "Sec-WebSocket-Protocol: gr\xfc\xdfe"),
        400,
        400,
    ),
    "odd extensions": (handshake("/echo/", "Sec-WebSocket-Extensions: ;;=,,;"), 101, 400),
}


def test_odd_handshakes_are_refused_or_accepted_without_what_is_odd(server: Process) -> None:
    got, expected = {}, {}
    for name, (data, daphne, uvicorn) in HANDSHAKES.items():
        with Raw(server.port, data) as client:
            head = client.head()
            got[name] = int(head.split()[1]) if head else 0
            assert b"sec-websocket-protocol" not in head.lower(), "a subprotocol nobody chose"
        expected[name] = on(server, daphne=daphne, uvicorn=uvicorn)
    assert got == expected


def test_a_list_of_subprotocols_of_100_kib(server: Process) -> None:
    listed = "Sec-WebSocket-Protocol: " + ",".join(f"p{number}" for number in range(18_000))
    with Raw(server.port, handshake("/echo/", listed), timeout=1.0) as client:
        # uvicorn 0.54 may also leave its client without a word: an error of its own.
        with contextlib.suppress(TimeoutError):
            assert client.status() in (0, 400)
        assert b"101" not in client.buffer


def test_a_flood_before_the_handshake_is_answered_is_cut_off(server: Process) -> None:
    before = server.rss()
    with Raw(server.port, handshake("/silent/flood/")) as client:
        if server.kind == "daphne":  # type: ignore[attr-defined]
            server.wait_printed("WSCONNECTING /silent/flood/")
        client.timeout = 3.0
        assert client.flood(b"x" * 64 * KIB, 256 * MIB) < 64 * MIB
        assert client.status() == 0
    assert server.rss() - before < 12 * MIB
    if server.kind == "daphne":  # type: ignore[attr-defined]
        server.wait_printed(r"dropped: its client sent more than 16384 bytes before")


def test_a_handshake_that_nobody_accepts_is_a_403(server: Process) -> None:
    with Raw(server.port, handshake("/silent/")) as client:
        assert client.status() == 403
    server.wait_printed(r"no consumer accepted it within 2.0 s \(connect_timeout\)")


def test_a_second_handshake_behind_the_first_opens_nothing(world: World, server: Process) -> None:
    with Raw(server.port, handshake("/mirror/first/")) as client:
        client.send(handshake("/mirror/second/", "Origin: http://evil.example"))
        with contextlib.suppress(TimeoutError):
            client.socket.settimeout(1.0)
            client.rest()
        assert b"/mirror/second/" not in client.buffer
        assert client.buffer.count(b"101 Switching") <= 1


def test_slow_clients_disturb_nobody(world: World, server: Process) -> None:
    """Idle connections, half handshakes, and headers, frames and bodies that dribble."""
    request = b"GET /mirror/slow/ HTTP/1.1\r\nHost: h\r\nX-Slow: "
    post = b"POST /mirror/slow/ HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n"
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(Raw(server.port)) for _ in range(50)]
        half = [stack.enter_context(Raw(server.port, handshake()[:60])) for _ in range(50)]
        slow = [stack.enter_context(Raw(server.port, request)) for _ in range(50)]
        bodies = [stack.enter_context(Raw(server.port, post)) for _ in range(20)]
        frames = [stack.enter_context(opened(server.port)) for _ in range(20)]
        for client in frames:
            client.send(header(raw.TEXT, 30))
        for _ in range(30):
            for client in (*slow, *bodies, *frames):
                assert client.send(b"x")
            time.sleep(0.03)
        # Those that get ready are answered; the others still wait, at the cost of a socket.
        assert frames[0].frame() == (raw.TEXT, b"x" * 30)
        slow[0].send(b"\r\n\r\n")
        assert slow[0].status() == 200
        assert slow[1].silent(0.1) and idle[0].silent(0.1) and half[0].silent(0.1)
        assert bodies[0].silent(0.1)


# ------------------------------------------------------------------------ headers

GET = b"GET /mirror/ HTTP/1.1\r\nHost: h\r\n"
POST = b"POST /mirror/ HTTP/1.1\r\nHost: h\r\n"


@pytest.mark.parametrize("part", [b"X-%s: y\r\n" % (b"z" * 50), b"y" * 64 * KIB])
def test_headers_without_end_are_cut_off(server: Process, part: bytes) -> None:
    before = server.rss()
    with Raw(server.port, GET + b"X: ") as client:
        client.timeout = 3.0
        assert client.flood(part * 10, 128 * MIB) < 64 * MIB
        assert client.status() in (0, 400)  # 0: the reset was quicker than the answer.
    assert server.rss() - before < 12 * MIB


ODD_HEADERS: dict[str, tuple[bytes, int, int]] = {
    # Name: the request, the status on Daphne, and on uvicorn.
    "501 headers": (GET + b"".join(b"X%d: 1\r\n" % n for n in range(501)), 400, 200),
    "over 16 KiB": (GET + b"X: " + b"y" * 8500 + b"\r\nZ: " + b"y" * 8500 + b"\r\n", 400, 200),
    "no colon": (GET + b"Xab\r\n", 400, 400),
    "an empty name": (GET + b": b\r\n", 400, 400),
    "a bad name": (GET + b"X(y): b\r\n", 400, 400),
    "a space before the colon": (GET + b"X : b\r\n", 400, 400),
    "NUL in a value": (GET + b"X: a\0b\r\n", 400, 400),
    "a vertical tab in a value": (GET + b"X: a\x0bb\r\n", 400, 400),
    "a bare line feed": (GET + b"X: a\nY: b\r\n", 400, 200),
    "garbage": (bytes(range(1, 256)).replace(b"\r", b"").replace(b"\n", b"") + b"\r\n", 400, 400),
    "a method of odd bytes": (GET.replace(b"GET", b"G\xffT"), 400, 400),
    "HTTP/2.0 in the line": (GET.replace(b"1.1", b"2.0"), 400, 200),
}


def test_odd_headers(server: Process) -> None:
    got, expected = {}, {}
    for name, (data, daphne, uvicorn) in ODD_HEADERS.items():
        with Raw(server.port, data + b"\r\n") as client:
            got[name] = client.status()
        expected[name] = on(server, daphne=daphne, uvicorn=uvicorn)
    assert got == expected


FORGED = (
    "X-Forwarded-For: 6.6.6.6",
    "X-Forwarded-Proto: https",
    "X-Real-IP: 6.6.6.6",
    "X_Forwarded_For: 6.6.6.7",
    "X_Real_IP: 6.6.6.7",
    "Remote_User: root",
)


def test_forged_headers_change_no_address_and_underscores_are_dropped(server: Process) -> None:
    with Raw(server.port, GET + "\r\n".join([*FORGED, "", ""]).encode()) as client:
        status, content = client.body()
        assert status == 200
    with opened(server.port, "/mirror/", *FORGED) as client:
        found = client.frame()
        assert found is not None
    for shown, scheme in ((json.loads(content), "http"), (json.loads(found[1]), "ws")):
        assert (shown["client"], shown["scheme"]) == ("127.0.0.1", scheme)
        headers = dict(shown["headers"])
        assert headers["x-forwarded-for"] == headers["x-real-ip"] == "6.6.6.6"
        assert not any("_" in name for name in headers) and "6.6.6.7" not in headers.values()


def test_daphne_root_path_is_believed_of_nobody(server: Process) -> None:
    line = "Daphne-Root-Path: /elsewhere"
    with Raw(server.port, GET + f"{line}\r\n\r\n".encode()) as client:
        status, content = client.body()
    with opened(server.port, "/mirror/", line) as client:
        found = client.frame()
        assert found is not None
    assert status == 200
    assert [json.loads(shown)["root_path"] for shown in (content, found[1])] == ["", ""]


@pytest.mark.parametrize("target", ["/mirror/;x", "/mirror/..//mirror/"])
def test_the_path_of_a_socket_is_that_of_its_request_line(server: Process, target: str) -> None:
    with opened(server.port, target) as client:
        found = client.frame()
        assert found is not None and json.loads(found[1])["path"] == target


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("http://named.example:81/mirror/?q=1", "/mirror/"),
        ("HTTPS://named.example:81/mirror/%2f?q=1", "/mirror//"),
    ],
)
def test_a_target_may_name_its_host_which_counts_then(
    server: Process, target: str, path: str
) -> None:
    """RFC 9112, section 3.2.2."""
    with Raw(server.port, GET.replace(b"/mirror/", target.encode()) + b"\r\n") as client:
        status, content = client.body()
    with opened(server.port, target.replace("http", "ws", 1)) as client:
        found = client.frame()
        assert found is not None
    assert status == 200
    for shown in (json.loads(content), json.loads(found[1])):
        assert shown["path"] == path
        assert [value for name, value in shown["headers"] if name == "host"] == ["named.example:81"]


# ----------------------------------------------------------------------- smuggling

SMUGGLED = b"GET /mirror/smuggled/ HTTP/1.1\r\nHost: h\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
SMUGGLING: dict[str, tuple[bytes, int, int]] = {
    # Name: lines and body of a POST, the status on Daphne, and on uvicorn.
    "two lengths": (b"Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello", 400, 400),
    "the same length twice": (b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400, 200),
    "a signed length": (b"Content-Length: +5\r\n\r\nhello", 400, 400),
    "a negative length": (b"Content-Length: -1\r\n\r\nhello", 400, 400),
    "a hexadecimal length": (b"Content-Length: 0x5\r\n\r\nhello", 400, 400),
    "length and chunked": (b"Content-Length: 4\r\n" + CHUNKED + b"\r\n0\r\n\r\n", 400, 200),
    "chunked and length": (CHUNKED + b"Content-Length: 4\r\n\r\n0\r\n\r\n", 400, 200),
    "an unknown encoding": (b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400, 400),
    "chunked, identity": (b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400, 400),
    "chunked and identity": (CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400, 400),
    "identity and a length": (
        b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
        400,
        400,
    ),
    "a chunk size of letters": (CHUNKED + b"\r\nzz\r\nhello\r\n0\r\n\r\n", 400, 400),
}


def test_requests_are_not_smuggled(world: World, server: Process) -> None:
    """What could be read in two ways is refused, or ends its connection."""
    got, expected = {}, {}
    for name, (data, daphne, uvicorn) in SMUGGLING.items():
        with Raw(server.port, POST + data + SMUGGLED) as client:
            got[name] = client.status()
        expected[name] = on(server, daphne=daphne, uvicorn=uvicorn)
    assert got == expected
    # h11 takes the doubtful ones for one request each; Daphne takes none of them.
    assert server.kind == "uvicorn" or "smuggled" not in reached(world, server)  # type: ignore[attr-defined]


def reached(world: World, server: Process) -> str:
    """What pages were asked for through ``server`` so far."""
    with Raw(server.port, b"GET /mirror/last/ HTTP/1.1\r\nHost: h\r\n\r\n") as client:
        assert client.status() == 200
    return server.output()


# -------------------------------------------------------------- paths and queries

PATHS: dict[bytes, tuple[Any, Any]] = {
    # Path: what the consumer sees of it (or the status), on Daphne, and on uvicorn.
    b"/mirror/%00": ("/mirror/\0", "/mirror/\0"),
    b"/mirror/%ff%fe": ("/mirror/\ufffd\ufffd", "/mirror/\ufffd\ufffd"),
    b"/mirror/%2e%2e/%2e%2e/etc": ("/mirror/../../etc", "/mirror/../../etc"),
    b"/mirror/%c0%ae%c0%ae": ("/mirror/" + "\ufffd" * 4, "/mirror/" + "\ufffd" * 4),
    b"/mirror/%ed%a0%80": ("/mirror/" + "\ufffd" * 3, "/mirror/" + "\ufffd" * 3),
    b"/mirror/%0d%0aX:%20y": ("/mirror/\r\nX: y", "/mirror/\r\nX: y"),
    b"/mirror/" + b"a" * 9000: ("/mirror/" + "a" * 9000, "/mirror/" + "a" * 9000),
    b"/mirror/\xff": (400, 400),
    b"/mirror/\x01": (400, 400),
    b"/mirror/?\xff": (400, 400),
    b"/mirror/?a b": (400, 400),
    b"//mirror/": (404, 404),
    b"/hello/%00": (404, 404),
    b"/hello/%ff": (404, 404),
    b"/%2e%2e/hello/": (404, 404),
}


def test_odd_paths_reach_the_consumer_as_text_or_are_refused(server: Process) -> None:
    got, expected = {}, {}
    for path, (daphne, uvicorn) in PATHS.items():
        with Raw(server.port, b"GET " + path + b" HTTP/1.1\r\nHost: h\r\n\r\n") as client:
            status, content = client.body()
        got[path] = json.loads(content)["path"] if status == 200 else status
        expected[path] = on(server, daphne=daphne, uvicorn=uvicorn)
    assert got == expected


def test_the_same_on_sockets(server: Process) -> None:
    for path, seen in (("%00", "\0"), ("%ff", "\ufffd"), ("%2e%2e", ".."), ("?a=%00%ff", "")):
        with opened(server.port, f"/mirror/{path}") as client:
            found = client.frame()
            assert found is not None and json.loads(found[1])["path"] == f"/mirror/{seen}"
    for path in ("/mirror/\xff", "/mirror/?\xff"):
        with Raw(server.port, handshake(path)) as client:
            assert client.status() == 400


def test_a_query_stays_as_it_came(server: Process) -> None:
    with Raw(server.port, b"GET /mirror/?a=%00%ff&%2e HTTP/1.1\r\nHost: h\r\n\r\n") as client:
        assert json.loads(client.body()[1])["query"] == "a=%00%ff&%2e"


# ------------------------------------------------------------------------- bodies


def test_a_body_that_is_announced_too_large_gets_413_before_it_is_sent(server: Process) -> None:
    with Raw(server.port, POST + b"Content-Length: %d\r\n\r\n" % (BODY + 1)) as client:
        assert client.status() == 413
    server.wait_printed(rf"413: its body has more than {BODY} bytes \(http_max_body under")


def test_a_body_that_grows_too_large_gets_413_and_nothing_is_kept(server: Process) -> None:
    upload = b"POST /upload/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Raw(server.port, upload) as client:
        sent = client.flood(b"10000\r\n" + b"x" * 64 * KIB + b"\r\n", 128 * MIB)
        assert sent < 64 * MIB
        assert client.status() == 413
    assert spooled(server) <= BODY


def spooled(process: Process) -> int:
    """The size of the largest deleted file that it holds open."""
    sizes = [0]
    for entry in os.scandir(f"/proc/{process.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            if "(deleted)" in os.readlink(entry.path):
                sizes.append(entry.stat().st_size)
    return max(sizes)


@pytest.mark.parametrize("size", [10 * KIB, MIB])
@pytest.mark.parametrize("leave", [Raw.close, Raw.reset])
def test_an_aborted_upload_ends_where_it_is(
    world: World, server: Process, size: int, leave: Callable[[Raw], None]
) -> None:
    path = f"/mirror/aborted-{size}-{leave.__name__}-{server.kind}/"  # type: ignore[attr-defined]
    head = f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {size}\r\n\r\n"
    client = Raw(server.port, head.encode() + b"x" * (size // 2))
    leave(client)
    with Raw(server.port, GET + b"\r\n") as other:
        assert other.status() == 200
    # A body that is not whole is not handed on; a large one behind uvicorn goes on in chunks.
    if size < 64 * KIB or server.kind == "daphne":  # type: ignore[attr-defined]
        assert path not in world.marked()


def test_a_body_longer_than_announced_is_not_the_bodys(server: Process) -> None:
    with Raw(server.port, POST + b"Content-Length: 2\r\n\r\nhello\r\n\r\n") as client:
        status, content = client.body()
        assert (status, json.loads(content)["body"]) == (200, 2)
        assert client.status() == 400


# ------------------------------------------------------- what consumers pass on


FORGERIES = (
    {"original_channel": "http.request"},
    {"__retries__": 99},
    {"__class__": "x"},
)


def test_reserved_keys_that_a_consumer_passes_on_are_refused(world: World, server: Process) -> None:
    for forged in FORGERIES:
        with opened(server.port, "/pass-on/") as client:
            client.frame()
            client.send(frame(raw.TEXT, json.dumps(forged).encode()))
            # The consumer raised; the socket lives on.
            client.send(frame(raw.PING, b"alive"))
            assert client.frame() == (raw.PONG, b"alive")
        name = next(iter(forged))
        world.worker.wait_printed(f"The key '{name}' is reserved")
        assert f"'{name}'" not in world.marked()


def test_a_reply_channel_cannot_be_guessed(world: World, server: Process) -> None:
    with opened(server.port, "/mirror/") as victim, opened(server.port, "/pass-on/") as client:
        victim.frame()
        client.frame()
        victim.send(frame(raw.TEXT, b"who am I?"))
        found = victim.frame()
        assert found is not None
        name = found[1].decode()
        # All but the last of its 72 secret bits, another process, and no such thing at all.
        last = "B" if name[-1] == "A" else "A"
        guesses = [name[:-1] + last, "websocket.send.xxxxxxxxxxxxxxxxxxxxxx!1-x", "http.request"]
        for guess in guesses:
            before = world.marked().count("relay ['reply_channel']")
            client.send(frame(raw.TEXT, json.dumps({"reply_channel": guess}).encode()))
            wait_for(
                lambda: world.marked().count("relay ['reply_channel']") > before,  # noqa: B023
                timeout=5,
                what="the message is relayed",
            )
        assert victim.silent(0.3)
        # Who knows the name, may: so it is never told to clients.
        client.send(frame(raw.TEXT, json.dumps({"reply_channel": name}).encode()))
        assert victim.frame() == (raw.TEXT, b"relayed")
