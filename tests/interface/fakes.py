"""A layer and a server that exist in the test only."""

import asyncio
from collections.abc import Callable
from typing import Any

from djchan.exceptions import BrokerUnavailable
from djchan.layers import codec
from djchan.layers.operations import Body, Push, Record, SendResult
from djchan.layers.policy import Policy


class FakeLocal:
    """Stands for layers.local: keeps what was submitted, and gives out ``results``."""

    def __init__(self) -> None:
        self.id = "process"
        self.available = True
        self.down_since: float | None = None
        self.trouble = "Redis at x does not answer."
        self.handlers: dict[str, Any] = {}
        self.submitted: list[tuple[Any, Callable[[SendResult], None]]] = []
        self.records: dict[str, Record] = {}  # As the layer has them.
        self.begun: set[str] = set()
        self.results: dict[str, SendResult] = {}  # Per channel; "ok" is for the others.
        self.held = False  # Answer nothing.
        self.left: list[str] = []
        self.cuts: list[str] = []
        self.forgotten: list[str] = []
        self.made = 0
        self.started = 0
        self.stopped = 0
        self.broken = False
        self.echo = False

    async def start(self) -> None:
        if self.broken:
            raise BrokerUnavailable
        self.started += 1

    async def stop(self, grace: float) -> None:
        self.stopped += 1

    def new_connection(self, handler: Any) -> str:
        self.made += 1
        name = f"c{self.made}"
        self.handlers[name] = handler
        return name

    def begin(self, connection: str) -> None:
        assert connection in self.handlers and connection not in self.begun
        self.begun.add(connection)

    def submit(self, effect: Push | Record | Body, done: Callable[[SendResult], None]) -> None:
        if isinstance(effect, Push) and effect.owner:
            assert effect.owner[1] in self.begun, "the layer applies nothing of who is unknown"
        if isinstance(effect, Record):
            self.records[effect.connection] = effect
            asyncio.get_running_loop().call_soon(done, "ok")
            return
        self.submitted.append((effect, done))
        if not self.held:
            # As the real one: never inside the call.
            asyncio.get_running_loop().call_soon(self._answer, effect, done)

    def _answer(self, effect: Push | Body, done: Callable[[SendResult], None]) -> None:
        result = self.results.get(effect.channel, "ok")
        done(result)
        if isinstance(effect, Push) and effect.last and effect.owner and result == "ok":
            self.records.pop(effect.owner[1], None)
        if self.echo and result == "ok" and isinstance(effect, Push):
            self._echo(effect)

    def _echo(self, push: Push) -> None:
        """Stands for a worker: accept, repeat, say hello."""
        envelope = codec.decode_envelope(push.payload)
        if not envelope.seq:
            return
        replies: list[dict[str, Any]] = []
        for frame in map(codec.decode, envelope.frames):
            if envelope.channel == "websocket.connect":
                replies.append({"accept": True})
            elif envelope.channel == "websocket.receive":
                replies.append({key: frame[key] for key in ("text", "bytes") if key in frame})
            elif envelope.channel == "http.request":
                replies.append({"status": 200, "content": b"hello"})
        handler = self.handlers.get(envelope.connection)
        if handler is not None:
            handler.on_answer(envelope.seq, replies, "")

    def cut(self, connection: str) -> None:
        self.cuts.append(connection)

    def leave_groups(self, connection: str) -> None:
        self.left.append(connection)

    def forget(self, connection: str) -> None:
        self.forgotten.append(connection)
        self.handlers.pop(connection, None)
        if connection in self.begun:
            self.begun.remove(connection)
            self.records.pop(connection, None)

    # What tests ask.

    def deliveries(self) -> list[tuple[str, int, list[dict[str, Any]]]]:
        """(channel, seq, messages) of everything that was submitted, bodies left out."""
        found = []
        for effect, _ in self.submitted:
            if isinstance(effect, Push):
                envelope = codec.decode_envelope(effect.payload)
                common = codec.decode(envelope.common)
                messages = [{**common, **codec.decode(frame)} for frame in envelope.frames]
                found.append((envelope.channel, envelope.seq, messages))
        return found

    def bodies(self) -> list[dict[str, Any]]:
        return [codec.decode(e.payload) for e, _ in self.submitted if isinstance(e, Body)]

    def channels(self) -> list[str]:
        return [channel for channel, _, _ in self.deliveries()]


class FakeLayer:
    def __init__(self, *, capacity: int = 100, group_expiry: int = 86400) -> None:
        self.group_expiry = group_expiry
        self.max_message_size = 2 * 1024 * 1024
        self._capacity = capacity
        self.process = FakeLocal()

    total_bytes = 0

    def capacity_of(self, channel: str) -> int:
        return self._capacity

    def max_bytes_of(self, channel: str) -> int:
        return 0

    def why_full(self, result: str, channel: str) -> str:
        return Policy(capacity=self._capacity).why_full(result, channel)

    def now(self) -> int:
        return 1_000_000

    def local(self) -> FakeLocal:
        return self.process


class Server:
    """Stands for an ASGI server: one call of the application."""

    def __init__(self, application: Any, scope: dict[str, Any]) -> None:
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.news = asyncio.Event()
        self.stuck = False  # The client does not read: send never returns.
        self.refuses: Callable[[dict[str, Any]], bool] = lambda event: False
        self.task = asyncio.ensure_future(application(scope, self.events.get, self.send))

    async def send(self, event: dict[str, Any]) -> None:
        if self.refuses(event):
            raise RuntimeError("not like this")
        if self.stuck and event["type"] in ("websocket.send", "http.response.body"):
            await asyncio.get_running_loop().create_future()
        self.sent.append(event)
        self.news.set()

    def event(self, kind: str, **keys: Any) -> None:
        self.events.put_nowait({"type": kind, **keys})

    def types(self) -> list[str]:
        return [event["type"] for event in self.sent]

    async def wait(self, kind: str, count: int = 1) -> dict[str, Any]:
        """The ``count``-th event of this type that was sent, once it is there."""
        async with asyncio.timeout(5):
            while self.types().count(kind) < count:
                self.news.clear()
                await self.news.wait()
        return [event for event in self.sent if event["type"] == kind][count - 1]

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def until(sign: Callable[[], Any], seconds: float = 5.0) -> None:
    """Let the loop run until ``sign()`` is true; fails after ``seconds``."""
    async with asyncio.timeout(seconds):
        while not sign():
            await asyncio.sleep(0.001)


async def settle() -> None:
    """Let everything that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)


def websocket_scope(path: str = "/chat/", **keys: Any) -> dict[str, Any]:
    return {
        "type": "websocket",
        "path": path,
        "query_string": b"a=1",
        "headers": [(b"host", b"example.com"), (b"x_fooled", b"1"), (b"cookie", b"a=b")],
        "client": ["10.0.0.1", 4711],
        "server": ["10.0.0.2", 80],
        "subprotocols": [],
        "root_path": "",
        **keys,
    }


def http_scope(method: str = "GET", path: str = "/page/", **keys: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": path,
        "query_string": b"q=1",
        "headers": [(b"host", b"example.com"), (b"x_fooled", b"1"), (b"a", b"1"), (b"a", b"2")],
        "client": ["10.0.0.1", 4711],
        "server": ["10.0.0.2", 443],
        "root_path": "/app",
        **keys,
    }
