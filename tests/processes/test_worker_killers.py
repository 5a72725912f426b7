"""What ended, stalled or confused a worker of Channels 1.x, sent to a living one.

Each time it goes on with the next message, and its log names the culprit: the consumer, the
channel, the value. One worker, with one thread, takes them all.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from djchan.layers.operations import Push, Send
from djchan.layers.redis.layer import RedisChannelLayer
from tests.processes.conftest import PROJECT, READY, socket, together
from tests.support.processes import Process, Processes
from tests.support.raw import Raw
from tests.support.servers import Server
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(40)

# What must never be in its log: a lane that ended, or a mistake of ours.
ENDED = re.compile(r"lane of the worker|Please report|Worker stopped")


class World:
    """A worker, Daphne, Redis: for all tests of this module."""

    def __init__(self, folder: Path, broker: Server, processes: Processes) -> None:
        self.marks = folder / "marks"
        self.marks.touch()
        self.env = {
            "REDIS_URL": broker.url,
            "DJANGO_SETTINGS_MODULE": "app.killers_settings",
            "MARKS": str(self.marks),
        }
        self.layer = RedisChannelLayer(hosts=[broker.url])
        self.worker = processes.runworker("-v", "2", env=self.env, cwd=PROJECT)
        self.server = processes.daphne("app.asgi:channel_layer", env=self.env, cwd=PROJECT)
        self.worker.wait_printed(READY)
        self._nonces = itertools.count()

    def send(self, channel: str, content: dict[str, Any]) -> None:
        self.layer.send(channel, content)

    def names(self, act: Callable[[], object], *culprits: str) -> None:
        """``act``: the worker's log then names all ``culprits``, and it lives."""
        before = len(self.worker.output())
        act()
        for culprit in culprits:
            self._logged(culprit, before)
        self.lives()

    def _logged(self, pattern: str, before: int) -> None:
        wait_for(
            lambda: re.search(pattern, self.worker.output()[before:]),
            timeout=10,
            what=f"{pattern!r} in the worker's log",
        )

    def lives(self) -> None:
        """It runs the next message, in a thread and on its event loop; no lane has ended."""
        nonce = next(self._nonces)
        for channel in ("ping", "aping"):
            self.send(channel, {"nonce": nonce})
        signs = [f"{self.worker.pid} {channel} {nonce}\n" for channel in ("ping", "aping")]
        wait_for(
            lambda: all(sign in self.marks.read_text() for sign in signs),
            timeout=10,
            what="both are run",
        )
        assert self.worker.running() and self.worker.printed(READY) == 1
        found = ENDED.search(self.worker.output())
        assert found is None, self.worker.output()[-3000:]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("killers")
    with together(folder) as (broker, processes):
        yield World(folder, broker, processes)


# What a consumer does -> what the log says of the value. The consumer and the channel are
# named each time.
RAISED = {
    "raise": r"ValueError: no such slice: 42",
    "exit": r"SystemExit: out of here",
    "interrupt": r"KeyboardInterrupt",
    "cancel": r"CancelledError",
    "generator-exit": r"GeneratorExit",
    "odd": r"Odd: not an Exception",
    "mute": r"Mute",
    "memory": r"MemoryError",
    "recursion": r"RecursionError",
    "deny": r"raised DenyConnection .*WebsocketCloseException",
    "no-run": r"ChannelSocketException\.run\(\) failed",
    "broken-run": r"Broken\.run\(\) failed[^$]*no socket drawer",
    "close-text": r"not '4000'",
    "close-1011": r"not 1011",
    "later": r"ConsumeLater .* 11 times \(message_retries\)",
    "channel-name": r"'a b' is not a valid channel name",
    "group-name": r"'room:1' is not a valid group name",
    "group-add": r"'room/1' is not a valid group name",
    "reply-name": r"'websocket\.send!a!b' is not a valid channel name",
    "no-dict": r"\['no', 'dict'\] cannot be sent to the channel 'unread'",
    "decimal": r"Decimal\('9\.99'\) is of type Decimal",
    "date": r"datetime\.date\(2018, 2, 2\) is of type date",
    "object": r"Odd'> is of type type",
    "set": r"\{'a'\} is of type set",
    "number-key": r"the key 7 is not text",
    "huge": r"cannot be sent: .*64 bits",
    "surrogate": r"cannot be sent: .*surrogates",
    "nested": r"cannot be sent: .*recursion",
    "cyclic": r"cannot be sent: .*recursion",
    "large": r"has 31\d+ bytes; the limit is 2097152 \(max_message_size",
    "asgi-channel": r"The key '__asgi_channel__' is reserved",
    "retries": r"The key '__retries__' is reserved",
    "original": r"The key 'original_channel' is reserved",
    "full-now": r"The channel 'unread' holds 2 messages, its capacity",
}


# Those that are about sends are the same everywhere.
ENDINGS = list(RAISED)[: list(RAISED).index("later") + 1]


@pytest.mark.parametrize(
    ("path", "how"), [*(("/kill/", how) for how in RAISED), *(("/akill/", how) for how in ENDINGS)]
)
def test_on_a_socket(world: World, path: str, how: str) -> None:
    name = "killer" if path == "/kill/" else "akiller"
    with socket(world.server, path) as client:
        world.names(
            lambda: client.send(how),
            rf"app\.killers\.{name}\b",
            r"<Message \S+ on websocket\.receive>",
            RAISED[how],
        )
        # The socket is open, and its next frame is run.
        client.send("ping")
        assert client.recv(timeout=10) == "pong"


@pytest.mark.parametrize("how", ENDINGS)
def test_on_a_channel_without_a_client(world: World, how: str) -> None:
    world.names(
        lambda: world.send("killer", {"how": how}),
        r"app\.killers\.killer\b",
        r"<Message \w+ on killer>",
        RAISED[how],
    )


def test_a_close_exception_without_a_client(world: World) -> None:
    world.names(
        lambda: world.send("killer", {"how": "close-4000"}),
        r"app\.killers\.killer\b",
        r"needs a message with a reply channel; the message on 'killer' has none",
    )


def test_a_close_exception_closes_the_socket(world: World) -> None:
    with socket(world.server, "/kill/") as client:
        client.send("close-4000")
        with pytest.raises(Exception, match="4000"):
            client.recv(timeout=10)
    world.lives()


def test_a_channel_that_nobody_reads(world: World) -> None:
    # In Channels 1.x: two seconds of trying, then the end.
    with socket(world.server, "/kill/") as client:
        for _ in range(5):
            client.send("full")
        client.send("ping")
        assert client.recv(timeout=10) == "pong"
    world.lives()


@pytest.mark.parametrize("path", ["/kill/", "/akill/"])
def test_a_child_that_wants_to_leave(world: World, path: str) -> None:
    with socket(world.server, path) as client:
        world.names(
            lambda: [client.send("fork") for _ in range(3)],
            r"SystemExit: a child wants out",
            r"A child that app\.killers\.a?killer forked came back .*on websocket\.receive>",
        )
        client.send("ping")
        assert client.recv(timeout=10) == "pong"
    world.lives()


def test_a_refusal_is_not_the_workers(world: World) -> None:
    with pytest.raises(InvalidStatus), socket(world.server, "/refuse/"):
        pass
    world.lives()


@pytest.mark.parametrize("command", [5, None, True, ["send"], {"a": "send"}, 1.5, b"\xff"])
def test_a_filter_that_meets_no_text(world: World, command: object) -> None:
    world.names(
        lambda: world.send("commands", {"command": command}),
        r"No consumer for <Message \w+ on commands>: no route matches "
        + re.escape(f"(command={command!r})"),
    )


def test_a_filter_that_meets_nothing(world: World) -> None:
    world.names(lambda: world.send("commands", {}), r"No consumer for <Message \w+ on commands>")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("raise", r"LookupError: a route is lost"),
        ("exit", r"SystemExit: a route wants out"),
        ("nonsense", r"TypeError: cannot unpack"),
    ],
)
def test_a_route_of_the_projects_own(world: World, how: str, said: str) -> None:
    world.names(
        lambda: world.send("goose", {"how": how}),
        r"The routing failed for <Message \w+ on goose>",
        said,
    )


def test_a_consumer_that_does_not_take_what_its_route_found(world: World) -> None:
    world.names(
        lambda: world.send("kwargs", {"how": "so"}),
        r"app\.killers\.without_kwargs, for <Message \w+ on kwargs>",
        r"unexpected keyword argument 'how'",
    )


def test_enforce_ordering_without_an_order(world: World) -> None:
    world.names(
        lambda: world.send("ordered", {"reply_channel": "r"}),
        r"app\.killers\.in_order",
        r"The message on 'ordered' has no order",
    )


@pytest.mark.parametrize("reply_channel", [None, "", 5, ["x"]])
def test_a_channel_session_without_a_reply_channel(world: World, reply_channel: object) -> None:
    world.names(
        lambda: world.send("sessions", {"reply_channel": reply_channel}),
        r"app\.killers\.with_session, for <Message \w+ on sessions>",
    )


@pytest.mark.parametrize("content", [{}, {"path": 5}, {"path": "/", "method": None}])
def test_a_request_that_is_none(world: World, content: dict[str, Any]) -> None:
    world.names(
        lambda: world.send("http.request", content),
        r"djchan\.handler\.ViewConsumer, for <Message \w+ on http\.request>",
    )


@pytest.mark.parametrize(
    "content",
    [
        {"path": "/refuse/", "reply_channel": "a b"},
        {"path": "/refuse/", "reply_channel": 5},
        {"path": "/refuse/", "headers": 5},
        {"path": "/refuse/", "headers": [5]},
        {"path": "/refuse/", "reply_channel": "a b", "headers": [[b"origin", b"http://evil"]]},
    ],
)
def test_a_connect_that_is_none(world: World, content: dict[str, Any]) -> None:
    world.names(
        lambda: world.send("websocket.connect", content),
        r"<Message \w+ on websocket\.connect>",
    )


DELAYS: list[dict[str, Any]] = [
    {},
    {"channel": "x", "delay": "soon", "content": {}},
    {"channel": "x", "delay": 1, "content": "no dict"},
    {"channel": "a b", "delay": 1, "content": {}},
    {"channel": ["x"], "delay": 1, "content": {}},
    {"channel": "x", "delay": 10**18, "content": {}},
    {"channel": "x", "delay": float("nan"), "content": {}},
    {"channel": "x", "delay": 1, "content": {"__retries__": 1}},
]


@pytest.mark.parametrize("number", range(len(DELAYS)))
def test_a_delay_that_is_none(world: World, number: int) -> None:
    world.names(
        lambda: world.send("asgi.delay", DELAYS[number]),
        r"A message on asgi\.delay is dropped: \S",
    )


@pytest.mark.parametrize(
    ("number", "payload"), list(enumerate([b"", b"\xc1", b"\x90", b"no msgpack of ours"]))
)
def test_bytes_that_are_no_message(world: World, number: int, payload: bytes) -> None:
    # A channel each, for it is left alone for a while.
    push = Push(f"garbage.{number}", payload, 0)
    link = world.layer.engine.link("test")
    try:
        world.names(
            lambda: link.perform(Send("", 0, (push,))),
            rf"This delivery .*It went back to garbage\.{number} for another worker",
        )
    finally:
        link.close()


ON_RECEIVE = r"<Message \S+ on websocket\.receive>"
FRAMES = {
    "no json": r"no JSON",
    "5": r"not 5",
    '["s"]': r"not \['s'\]",
    "{}": r"not \{\}",
    '{"stream": "x", "payload": {}}': r"has no stream 'x'",
    '{"stream": ["s"], "payload": {}}': r"has no stream \['s'\]",
    '{"stream": "s", "payload": 5}': r"not 5 \(stream 's'\)",
    '{"stream": "s", "payload": {"send": true}}': r"SendNotAvailableOnDemultiplexer",
    "[" * 100_000: r"nested too deeply|no JSON",
}


@pytest.mark.parametrize("number", range(len(FRAMES)))
def test_a_frame_for_no_stream(world: World, number: int) -> None:
    frame, said = list(FRAMES.items())[number]
    with socket(world.server, "/streams/") as client:
        world.names(
            lambda: client.send(frame),
            rf"app\.killers\.Streams(, for| cannot take).*{ON_RECEIVE}",
            said,
        )
        client.send('{"stream": "s", "payload": {"well": 1}}')
        assert client.recv(timeout=10) == '{"stream": "s", "payload": {"well": 1}}'


def test_a_stream_does_not_change_its_class(world: World) -> None:
    # In Channels 1.x the class could not send any more, in that worker and for good.
    with socket(world.server, "/streams/") as client, socket(world.server, "/stream/") as other:
        client.send('{"stream": "s", "payload": {"well": 1}}')
        assert client.recv(timeout=10) == '{"stream": "s", "payload": {"well": 1}}'
        other.send("{}")
        assert other.recv(timeout=10) == '{"on": "the class"}'


def test_a_binary_frame_for_a_json_consumer(world: World) -> None:
    with socket(world.server, "/streams/") as client:
        world.names(
            lambda: client.send(b"\xff"),
            rf"app\.killers\.Streams cannot take .*this one has no text\. \({ON_RECEIVE}\)",
        )


def request(server: Process, data: bytes) -> int:
    with Raw(server.port, data) as client:
        return client.status()


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/leave/", 500, r"ViewConsumer, for <Message \S+ on http\.request>[^$]*a view wants out"),
        ("/stream/", 200, r"ViewConsumer, for <Message \S+ on http\.request>[^$]*ran dry"),
    ],
)
def test_a_view(world: World, path: str, status: int, said: str) -> None:
    world.names(lambda: _assert_status(world, get(path), status), said)


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Type: text/plain; charset=no-such-thing",
        b"Content-Type: multipart/form-data; boundary=",
        b"Content-Type: multipart/form-data; boundary=x",
        b"Content-Type: \xff/\xff",
        b"Cookie: \xff=\x01; ;;==",
    ],
)
def test_a_body_of_nonsense(world: World, head: bytes) -> None:
    data = b"POST /hello/ HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nConnection: close\r\n"
    status = request(world.server, data + head + b"\r\n\r\nbody")
    assert status in (200, 400)
    world.lives()


def _assert_status(world: World, data: bytes, status: int) -> None:
    assert request(world.server, data) == status
