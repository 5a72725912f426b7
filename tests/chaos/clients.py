"""Clients that number what they say and check each answer against it.

From ``run``, which starts them with the load and ends them when all was answered; they keep
what they saw as plain records for the ``checker``, and judge nothing themselves but whether
an answer is theirs. Each connection has a name of its own; a client that loses one opens
the next.
"""

import asyncio
import hashlib
import json
import random
import time
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from djchan.exceptions import BrokerRefused, BrokerUnavailable, ChannelFull, OutcomeUnknown

WINDOW = 4  # Messages of one socket that are not answered yet.
AGAIN = 0.2  # Seconds until a client connects again.
HTTP_LIMIT = 40.0  # Seconds for one request.

Record = dict[str, Any]


UPLOADED = 1_200_000  # Bytes of a body that does not fit into its request.
STREAMED = 30  # Parts of a streamed response.


def pad(of: str, number: int) -> str:
    """The content of a message: its own, of this connection and this number."""
    return f"{of}:{number}:" + "x" * (number * 37 % 200)


def work(number: int) -> int:
    """ms that the consumer takes for this message."""
    return 250 if number % 41 == 0 else 40 if number % 13 == 0 else 0


def toil(number: int) -> int:
    """ms that a job takes: some of them long, for workers to die or to sleep in."""
    return 400 if number % 6 == 0 else work(number)


class Load:
    """What all clients share. ``on``: new messages are said; ``over``: nothing is awaited."""

    def __init__(self, ports: list[int], pause: float, seed: int) -> None:
        self.ports = ports
        self.pause = pause
        self.rng = random.Random(seed)
        self.on = True
        self.over = asyncio.Event()
        self.connections: list[Record] = []
        self.refused: list[Record] = []
        self.requests: list[Record] = []
        self.jobs: list[Record] = []

    async def breathe(self) -> None:
        await asyncio.sleep(self.rng.uniform(0.2, 1.8) * self.pause)

    def waiting(self) -> int:
        """Messages of open connections, and requests, without an answer so far."""
        sockets = sum(
            len(record["sent"]) - len(record["answers"])
            for record in self.connections
            if record["closed"] is None
        )
        return sockets + sum(request["until"] is None for request in self.requests)


class Socket:
    """One client of ``path``; ``life``: messages until it leaves and comes back (0: stays)."""

    def __init__(self, load: Load, name: str, path: str, index: int, *, life: int = 0) -> None:
        self.load = load
        self.name = name
        self.path = path
        self.interface = index % len(load.ports)
        self.life = life
        self._connections = 0

    async def run(self) -> None:
        """Connect, talk, and again, until the load is over."""
        load = self.load
        while load.on:
            self._connections += 1
            of = f"{self.name}.{self._connections}"
            url = f"ws://127.0.0.1:{load.ports[self.interface]}/{self.path}/{of}/"
            began = time.monotonic()
            try:
                client = await connect(
                    url, compression=None, ping_interval=None, open_timeout=15, close_timeout=8
                )
            except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed) as error:
                load.refused.append(
                    {"of": of, "interface": self.interface, "at": began,
                     "until": time.monotonic(), "error": repr(error)[:120]}
                )  # fmt: skip
                await asyncio.sleep(AGAIN)
                continue
            await self._talk(client, of)

    async def _talk(self, client: ClientConnection, of: str) -> None:
        record: Record = {
            "of": of, "path": self.path, "interface": self.interface,
            "opened": time.monotonic(), "closed": None, "ours": False, "code": None,
            "joined": None, "sent": [], "answers": [], "counts": [], "heard": [], "wrong": [],
        }  # fmt: skip
        self.load.connections.append(record)
        hearing = asyncio.ensure_future(self._hear(client, record))
        try:
            await self._say(client, record, hearing)
        except ConnectionClosed:
            await asyncio.wait([hearing])
        else:
            record["ours"] = not hearing.done()
            if self.life and self.load.rng.random() < 0.3:
                # Gone without a word: what was said last may not have arrived.
                record["abrupt"] = True
                client.transport.abort()
            else:
                await client.close()
            await asyncio.wait([hearing])
        record["closed"] = time.monotonic()
        record["code"] = client.close_code
        hearing.result()
        if record["code"] == 1013 and not record["answers"] and record["joined"] is None:
            # Daphne cannot refuse a handshake with a reason: it lets in, and closes at once.
            self.load.connections.remove(record)
            self.load.refused.append(
                {"of": of, "interface": self.interface, "at": record["opened"],
                 "until": record["closed"], "error": "closed with 1013"}
            )  # fmt: skip

    async def _say(
        self, client: ClientConnection, record: Record, hearing: "asyncio.Future[None]"
    ) -> None:
        """Say numbered messages; return when it is time to leave and all was answered."""
        load, of = self.load, record["of"]
        number = 0
        while load.on and not (self.life and number >= self.life):
            await load.breathe()
            while len(record["sent"]) - len(record["answers"]) >= WINDOW:
                if hearing.done() or load.over.is_set():
                    return
                await asyncio.sleep(0.01)
            number += 1
            record["sent"].append([number, time.monotonic()])
            text = json.dumps({"of": of, "n": number, "ms": work(number), "pad": pad(of, number)})
            await client.send(text)
        if self.life:
            # It leaves in the middle of things, now and then.
            deadline = time.monotonic() + load.rng.choice((0.0, 30.0))
            while (
                len(record["sent"]) > len(record["answers"])
                and time.monotonic() < deadline
                and not hearing.done()
                and not load.over.is_set()
            ):
                await asyncio.sleep(0.02)
            record["early"] = len(record["sent"]) > len(record["answers"])
        else:
            over: asyncio.Future[Any] = asyncio.ensure_future(load.over.wait())
            both: list[asyncio.Future[Any]] = [hearing, over]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            over.cancel()

    async def _hear(self, client: ClientConnection, record: Record) -> None:
        try:
            async for text in client:
                self._take(record, json.loads(text), time.monotonic())
        except ConnectionClosed:
            return

    def _take(self, record: Record, said: Record, at: float) -> None:
        if said["k"] == "joined":
            record["joined"] = at
        elif said["pad"] != pad(said["of"], said["n"]):
            record["wrong"].append([at, "content", said])
        elif said["k"] == "broadcast":
            record["heard"].append([said["of"], said["n"], at])
        elif said["of"] != record["of"]:
            record["wrong"].append([at, "connection", said])
        else:
            record["answers"].append([said["n"], at])
            if "count" in said:
                record["counts"].append([said["n"], said["count"], at])


def streamed(of: str, number: int) -> str:
    """The content of a response that its view sends in parts."""
    return "".join(f"{pad(of, number)}:{line}\n" for line in range(STREAMED))


class Browser:
    """An HTTP client: pages, a form, an upload that its worker reads in chunks, a stream."""

    def __init__(self, load: Load, name: str, index: int) -> None:
        self.load = load
        self.name = name
        self.interface = index % len(load.ports)

    async def run(self) -> None:
        number = 0
        while self.load.on:
            await asyncio.sleep(3 * self.load.pause)
            number += 1
            record: Record = {
                "of": self.name, "n": number, "method": "POST" if number % 3 == 0 else "GET",
                "kind": {0: "upload", 4: "stream"}.get(number % 6, "page"),
                "interface": self.interface, "at": time.monotonic(), "until": None,
                "status": None, "right": False,
            }  # fmt: skip
            self.load.requests.append(record)
            try:
                await asyncio.wait_for(self._ask(record), HTTP_LIMIT)
            except (OSError, TimeoutError, EOFError, ValueError) as error:
                record["error"] = repr(error)[:120]
                await asyncio.sleep(AGAIN)
            record["until"] = time.monotonic()

    async def _ask(self, record: Record) -> None:
        port = self.load.ports[self.interface]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            content = pad(self.name, record["n"])
            if record["kind"] == "upload":
                content *= 1 + UPLOADED // len(content)
            body = json.dumps(content).encode() if record["method"] == "POST" else b""
            path = "stream" if record["kind"] == "stream" else "page"
            head = (
                f"{record['method']} /{path}/{self.name}/{record['n']}/ HTTP/1.0\r\n"
                f"Host: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            answer = await reader.read(-1)
        finally:
            writer.close()
        head, separator, text = answer.decode().partition("\r\n\r\n")
        if not separator:
            raise EOFError("the connection was closed without an answer")
        status = int(head.split(" ", 2)[1])
        if record["kind"] == "stream" and status == 200:
            expected = streamed(self.name, record["n"])
            if text != expected and expected.startswith(text):
                raise EOFError(f"the stream was cut after {len(text)} characters")
            record["right"] = text == expected
        record["status"] = status
        if record["status"] == 200 and record["kind"] != "stream":
            record["right"] = json.loads(text) == {
                "of": self.name, "n": record["n"], "method": record["method"],
                "body": hashlib.sha256(content.encode()).hexdigest() if body else None,
            }  # fmt: skip


class Producer:
    """Sends to a custom channel from outside: no process of the layer, nobody's consumer."""

    def __init__(self, load: Load, name: str, send: Callable[..., Any]) -> None:
        self.load = load
        self.name = name
        self._send = send

    async def run(self) -> None:
        number = 0
        while self.load.on:
            await self.load.breathe()
            number += 1
            record: Record = {"of": self.name, "n": number, "at": time.monotonic()}
            message = {"of": self.name, "n": number, "ms": toil(number)}
            try:
                await self._send("jobs", message)
            except OutcomeUnknown:
                record["result"] = "unknown"
            except BrokerRefused:
                record["result"] = "refused"
            except BrokerUnavailable as error:
                record["result"] = "unknown" if error.sent else "refused"
            except ChannelFull:
                record["result"] = "full"
            else:
                record["result"] = "ok"
            record["until"] = time.monotonic()
            self.load.jobs.append(record)
