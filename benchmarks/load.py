"""The load: points at a running server and prints one line of JSON.

::

    python -m benchmarks.load echo      ws://127.0.0.1:8000/echo/  --connections 100
    python -m benchmarks.load pipeline  ws://127.0.0.1:8000/echo/  --connections 20 --window 16
    python -m benchmarks.load broadcast ws://127.0.0.1:8000/room/  --connections 500 --messages 50
    python -m benchmarks.load connect   ws://127.0.0.1:8000/echo/  --connections 1000 --at-once 50
    python -m benchmarks.load http      http://127.0.0.1:8000/hello/ --connections 32

The server offers ``/echo/`` (answers with the text it got), ``/room/`` (connect joins one
group, a message goes to all of it) and ``/hello/`` (HTTP, the body ``hello``). Each message
carries a token, and each answer must be one that is awaited on its connection: wrong,
repeated, missing and (with ``--ordered``) reordered ones are counted as errors. Every loop
is bounded in count and time. ``--pids name=PID,…``: whose CPU time to report.
"""

import argparse
import asyncio
import json
import os
import time
from array import array
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.measure import Window, milliseconds

now = time.perf_counter

WARM_UP = 1.0  # s before the measured window.
DRAIN = 5.0  # s to wait for the last answers.
HANDSHAKE = 30.0  # s for one handshake.
QUIET = 1.5  # s without any delivery: the rest of a broadcast is missing.
SIZE = 64  # Bytes of a message.


class Tally:
    """What went wrong, by kind; and the latencies inside the window, in s."""

    def __init__(self) -> None:
        self.errors: dict[str, int] = {}
        self.latencies = array("d")
        self.measuring = False
        self.sending = True

    def error(self, kind: str, count: int = 1) -> None:
        if count:
            self.errors[kind] = self.errors.get(kind, 0) + count

    def result(self, **fields: Any) -> dict[str, Any]:
        return {
            **fields,
            **milliseconds(self.latencies),
            "errors": sum(self.errors.values()),
            "errors_by_kind": self.errors,
        }


class Client(WSListener):  # type: ignore[misc]
    """One WebSocket connection."""

    def __init__(self, tally: Tally, index: int) -> None:
        self.tally = tally
        self.index = index
        self.alive = False
        self.closing = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self.alive = True

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self.alive and not self.closing:
            self.tally.error("disconnected")
        self.alive = False

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type in (WSMsgType.TEXT, WSMsgType.BINARY):
            self.on_text(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()

    def on_text(self, text: bytes) -> None:
        """An answer, or a message of the room."""

    def send(self, token: bytes) -> None:
        self.transport.send(WSMsgType.TEXT, token.ljust(SIZE, b"."))


async def open_clients(
    make: Callable[[int], Client], url: str, *, count: int, at_once: int, tally: Tally
) -> tuple[list[Client], list[float]]:
    """The clients that got through, and how long each handshake took, in s."""
    clients: list[Client] = []
    took: list[float] = []
    indexes = iter(range(count))

    async def open_in_turn() -> None:
        for index in indexes:
            client = make(index)
            began = now()
            try:
                await ws_connect(lambda: client, url, websocket_handshake_timeout=HANDSHAKE)  # noqa: B023
            except Exception as error:  # Whatever it is, it is counted and shown.
                tally.error(f"handshake: {type(error).__name__} {str(error)[:60]}")
                continue
            took.append(now() - began)
            clients.append(client)

    await asyncio.gather(*(open_in_turn() for _ in range(min(at_once, count))))
    return clients, took


async def close_clients(clients: list[Client]) -> None:
    for number, client in enumerate(clients):
        client.closing = True
        if client.alive:
            client.transport.send_close(1000)
        if number % 50 == 49:
            await asyncio.sleep(0.01)
    await until(lambda: not any(client.alive for client in clients), seconds=5)
    for client in clients:
        if client.alive:
            client.transport.disconnect(False)


async def until(sign: Callable[[], bool], *, seconds: float) -> None:
    deadline = now() + seconds
    while not sign() and now() < deadline:
        await asyncio.sleep(0.02)


# ------------------------------------------------------- echo and pipeline


class EchoClient(Client):
    """Keeps ``window`` messages in flight: each answer sends the next one."""

    def __init__(self, tally: Tally, index: int, run: str, *, ordered: bool) -> None:
        super().__init__(tally, index)
        self.run = run
        self.ordered = ordered
        self.sent = 0
        self.awaited: dict[bytes, float] = {}  # Token -> when it was sent, in that order.

    def push(self) -> None:
        self.sent += 1
        token = f"{self.run}:{self.index:05d}:{self.sent:09d}:".encode()
        self.awaited[token] = now()
        self.send(token)

    def on_text(self, text: bytes) -> None:
        at = now()
        token = text.rstrip(b".")
        if self.ordered and self.awaited and token != next(iter(self.awaited)):
            self.tally.error("out of order")
        began = self.awaited.pop(token, None)
        if began is None:
            self.tally.error("not awaited")
            return
        if self.tally.measuring:
            self.tally.latencies.append(at - began)
        if self.tally.sending:
            self.push()


async def echo(options: argparse.Namespace) -> dict[str, Any]:
    tally, run = Tally(), os.urandom(4).hex()
    clients, _ = await open_clients(
        lambda index: EchoClient(tally, index, run, ordered=options.ordered),
        options.url,
        count=options.connections,
        at_once=20,
        tally=tally,
    )
    for client in clients:
        for _ in range(options.window):
            client.push()
    await asyncio.sleep(WARM_UP)
    tally.measuring = True
    window = Window(options.pids)
    await asyncio.sleep(options.seconds)
    tally.measuring = tally.sending = False
    count = len(tally.latencies)
    measured = window.close(count)
    await until(lambda: not any(c.awaited for c in clients if c.alive), seconds=DRAIN)
    tally.error("missing", sum(len(client.awaited) for client in clients))
    await close_clients(clients)
    return tally.result(per_second=round(count / options.seconds, 1), units=count, **measured)


# ---------------------------------------------------------------- broadcast


class Room:
    """Who still waits for the current message."""

    def __init__(self) -> None:
        self.token = b""
        self.waiting: set[int] = set()
        self.delivered = 0
        self.last = 0.0
        self.complete = asyncio.Event()


class RoomClient(Client):
    def __init__(self, tally: Tally, index: int, room: Room) -> None:
        super().__init__(tally, index)
        self.room = room

    def on_text(self, text: bytes) -> None:
        room = self.room
        if text.rstrip(b".") != room.token:
            self.tally.error("of another message")
        elif self.index not in room.waiting:
            self.tally.error("repeated")
        else:
            room.waiting.discard(self.index)
            room.delivered += 1
            room.last = now()
            if not room.waiting:
                room.complete.set()


async def broadcast(options: argparse.Namespace) -> dict[str, Any]:
    tally, room, run = Tally(), Room(), os.urandom(4).hex()
    clients, _ = await open_clients(
        lambda index: RoomClient(tally, index, room),
        options.url,
        count=options.connections,
        at_once=20,
        tally=tally,
    )

    async def one(number: int) -> None:
        """The next message leaves when this one has reached everybody."""
        room.token = f"{run}:{number:06d}:".encode()
        room.waiting = {client.index for client in clients if client.alive}
        room.complete.clear()
        began = room.last = now()
        clients[0].send(room.token)
        while room.waiting and now() - room.last < QUIET:
            try:
                await asyncio.wait_for(room.complete.wait(), 0.25)
            except TimeoutError:
                continue
        tally.error("missing", len(room.waiting))
        if tally.measuring:
            tally.latencies.append(room.last - began)

    await asyncio.sleep(WARM_UP)
    for number in range(2):
        await one(900_000 + number)
    room.delivered, tally.measuring = 0, True
    window = Window(options.pids)
    deadline = now() + 60
    for number in range(options.messages):
        if now() < deadline:
            await one(number)
    measured = window.close(room.delivered)
    await close_clients(clients)
    active = sum(tally.latencies)
    return tally.result(
        per_second=round(room.delivered / active, 1) if active else 0.0,
        units=room.delivered,
        **measured,
    )


# ------------------------------------------------------------------ connect


async def connect(options: argparse.Namespace) -> dict[str, Any]:
    tally = Tally()
    window = Window(options.pids)
    began = now()
    clients, took = await open_clients(
        lambda index: Client(tally, index),
        options.url,
        count=options.connections,
        at_once=options.at_once,
        tally=tally,
    )
    seconds = now() - began
    measured = window.close(len(took))
    tally.latencies.extend(took)
    await close_clients(clients)
    return tally.result(per_second=round(len(took) / seconds, 1), units=len(took), **measured)


# --------------------------------------------------------------------- http


class Get(asyncio.Protocol):
    """One connection that is kept alive and asks again when its answer is there."""

    def __init__(self, tally: Tally, request: bytes) -> None:
        self.tally = tally
        self.request = request
        self.received = b""
        self.asked: deque[float] = deque()
        self.closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.ask()

    def ask(self) -> None:
        self.asked.append(now())
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        # The view's body is known, so that neither Content-Length nor chunks need parsing.
        if not separator or b"hello" not in body:
            return
        if b"chunked" in head.lower() and not body.endswith(b"0\r\n\r\n"):
            return
        at, self.received = now(), b""
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
            self.tally.error(f"answered {head[:20].decode(errors='replace')}")
        if self.tally.measuring:
            self.tally.latencies.append(at - self.asked[0])
        self.asked.popleft()
        if self.tally.sending:
            self.ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.closing:
            self.tally.error("disconnected")


async def http(options: argparse.Namespace) -> dict[str, Any]:
    tally = Tally()
    url = urlsplit(options.url)
    request = f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(options.connections):
        _, client = await loop.create_connection(
            lambda: Get(tally, request), url.hostname, url.port
        )
        clients.append(client)
    await asyncio.sleep(WARM_UP)
    tally.measuring = True
    window = Window(options.pids)
    await asyncio.sleep(options.seconds)
    tally.measuring = tally.sending = False
    count = len(tally.latencies)
    measured = window.close(count)
    await until(lambda: not any(client.asked for client in clients), seconds=DRAIN)
    tally.error("missing", sum(len(client.asked) for client in clients))
    for client in clients:
        client.closing = True
        client.transport.close()
    return tally.result(per_second=round(count / options.seconds, 1), units=count, **measured)


# ------------------------------------------------------------- command line

WORKLOADS: dict[str, Callable[[argparse.Namespace], Awaitable[dict[str, Any]]]] = {
    "echo": echo,
    "pipeline": echo,
    "broadcast": broadcast,
    "connect": connect,
    "http": http,
}


def parse_pids(text: str) -> dict[str, int]:
    pairs = (part.partition("=") for part in text.split(",") if part)
    return {name: int(pid) for name, _, pid in pairs}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load")
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--window", type=int, default=1, help="messages in flight each")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--messages", type=int, default=50, help="of a broadcast")
    parser.add_argument("--at-once", type=int, default=50, help="handshakes in flight")
    parser.add_argument("--ordered", action="store_true", help="count reordering as an error")
    parser.add_argument("--pids", type=parse_pids, default={})
    options = parser.parse_args()
    result = uvloop.run(WORKLOADS[options.workload](options))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
