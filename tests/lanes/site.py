"""A layer in memory, its routes, and workers in threads: what tests of a whole worker need.

From ``tests.test_worker`` and the tests of its lanes.
"""

import secrets
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import redis

from djchan.asgi import ChannelLayerWrapper
from djchan.exceptions import BrokerUnavailable
from djchan.layers import codec
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.operations import (
    Beat,
    Claim,
    History,
    Length,
    Operation,
    Push,
    Reap,
    Register,
    Send,
)
from djchan.layers.redis.layer import RedisChannelLayer
from djchan.worker import Worker
from tests.support.servers import Server
from tests.support.waiting import wait_for

PATIENCE = 10.0


class Site:
    """A layer in memory, its routes, and workers in threads."""

    def __init__(self) -> None:
        self.layer = InMemoryChannelLayer(capacity=100_000)
        self.ran: list[Any] = []
        self.workers: list[tuple[Worker, threading.Thread]] = []
        self.gate = threading.Event()  # What consumers that hold wait for.
        self.link = self.layer.engine.link("test")

    def __call__(self, operation: Operation) -> Any:
        (answer,) = self.link.perform(operation)
        return answer

    def wrapper(self, *routes: Any) -> ChannelLayerWrapper:
        return ChannelLayerWrapper(self.layer, "default", list(routes))

    def worker(self, *routes: Any, **options: Any) -> Worker:
        worker = Worker(self.wrapper(*routes), **{"signal_handlers": False, **options})
        thread = threading.Thread(target=worker.run, daemon=True)
        self.workers.append((worker, thread))
        thread.start()
        return worker

    def stop(self, worker: Worker, *, timeout: float = PATIENCE) -> None:
        worker.stop()
        self.join(worker, timeout=timeout)

    def join(self, worker: Worker, *, timeout: float = PATIENCE) -> None:
        thread = next(thread for known, thread in self.workers if known is worker)
        thread.join(timeout)
        assert not thread.is_alive(), "run() has not returned"

    def send(self, channel: str, *contents: dict[str, Any]) -> None:
        self.layer.apply([self.layer.word(channel, content) for content in contents])

    def numbers(self, channel: str, count: int) -> None:
        self.send(channel, *({"n": n} for n in range(count)))

    def wait(self, count: int) -> list[Any]:
        """What ran, when ``count`` did."""
        wait_for(lambda: len(self.ran) >= count, timeout=PATIENCE, what=f"{count} messages ran")
        return list(self.ran)

    def length(self, channel: str) -> int:
        length: int = self(Length(channel))
        return length

    def read(self) -> list[bytes]:
        """What lies in the inbox of the interface "iface"."""
        return [entry for _, entry in self.layer.engine.read("iface", "0-0", trim=False)]

    def forget_history(self) -> None:
        """Let the store begin a new one."""
        self(History("first"))
        assert self(History("second")) is True

    # Consumers.

    def note(self, message: Any) -> None:
        self.ran.append(message["n"])

    async def anote(self, message: Any) -> None:
        self.ran.append(message["n"])

    def hold(self, message: Any) -> None:
        """Notes its number, then waits for the gate if it is a 0."""
        self.ran.append(message["n"])
        if message["n"] == 0:
            self.gate.wait(PATIENCE)


class RedisSite(Site):
    """The same over a Redis."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server = server
        self.layer: Any = RedisChannelLayer(
            hosts=[server.url], prefix=f"test-{secrets.token_hex(6)}", capacity=100_000
        )
        self.link = self.layer.engine.link("test")
        self.base = self.layer.engine.base

    def read(self) -> list[bytes]:
        with redis.Redis.from_url(self.server.url) as client:
            return [fields[b"m"] for _, fields in client.xrange(f"{self.base}in:iface")]

    def forget_history(self) -> None:
        # Not by another History: each new connection says its own.
        self.server.command("SADD", f"{self.base}stale", "iface")

    def close(self) -> None:
        self.layer.flush()
        self.link.close()
        self.layer.close()


def running(site: Site | None = None) -> Iterator[Site]:
    """A site whose workers are stopped at the end."""
    site = site or Site()
    yield site
    site.gate.set()
    for worker, _ in site.workers:
        worker.stop()
    for worker, _ in site.workers:
        site.join(worker)


def crash(site: Site, times: int, *channels: str) -> None:
    """Let ``times`` workers die with a message of ``channels``."""
    for number in range(times):
        name = f"crash-{number}"
        site(Register(name, "worker", b"", channels))
        assert site(Claim(name, "", channels, 1)).deliveries
        assert site(Reap(name, 0))


def delivery(seq: int, *frames: dict[str, Any], connection: str = "1-abc") -> Push:
    common = {"path": "/chat/", "reply_channel": f"websocket.send.iface!{connection}"}
    return Push(
        "websocket.receive",
        codec.encode_envelope(
            codec.Envelope(
                codec.VERSION,
                f"{connection}-{seq}",
                "websocket.receive",
                0,
                0,
                "iface",
                connection,
                seq,
                msgspec.Raw(codec.encode(common)),
                [msgspec.Raw(codec.encode(frame)) for frame in frames],
            )
        ),
        frames=len(frames),
    )


CONNECTIONS = ("1-abc", "2-def", "3-ghi", *(f"{n}-c" for n in range(20)))


class Inbox:
    """An interface's inbox; CONNECTIONS have begun."""

    def __init__(self, site: Site) -> None:
        self.site = site
        site(Register("iface", "interface", b""))
        site(Send("iface", 1, (), link="sends", begin=CONNECTIONS))

    def entries(self) -> list[Any]:
        return [codec.decode(entry) for entry in self.site.read()]

    def wait(self, count: int) -> list[Any]:
        wait_for(
            lambda: len(self.entries()) >= count, timeout=PATIENCE, what=f"{count} inbox entries"
        )
        return self.entries()


class Flaky:
    """An engine that fails as told: before it does something, or after (the answer is lost)."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.down = False
        self.lose: list[type] = []  # Kinds of operations whose next answer gets lost.
        self.performed = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def link(self, name: str) -> "FlakyLink":
        return FlakyLink(self, self._engine.link(name))

    def alink(self, name: str) -> "FlakyAsyncLink":
        return FlakyAsyncLink(self, self._engine.alink(name))

    def check(self) -> None:
        if self.down:
            raise BrokerUnavailable("The layer is away.")

    def check_after(self, operations: Any) -> None:
        self.check()
        self.performed += 1
        for operation in operations:
            if type(operation) in self.lose:
                self.lose.remove(type(operation))
                raise BrokerUnavailable("The answer was lost.")


class FlakyLink:
    def __init__(self, flaky: Flaky, link: Any) -> None:
        self.flaky = flaky
        self.link = link

    def perform(self, *operations: Any) -> list[Any]:
        self.flaky.check()
        answers = self.link.perform(*operations)
        self.flaky.check_after(operations)
        return list(answers)

    def client_id(self) -> str:
        return ""

    def close(self) -> None:
        self.link.close()


class FlakyAsyncLink:
    def __init__(self, flaky: Flaky, link: Any) -> None:
        self.flaky = flaky
        self.link = link

    async def perform(self, *operations: Any) -> list[Any]:
        self.flaky.check()
        answers = await self.link.perform(*operations)
        self.flaky.check_after(operations)
        return list(answers)

    def client_id(self) -> str:
        return ""

    async def aclose(self) -> None:
        await self.link.aclose()


def workers_known(site: Site) -> set[str]:
    site(Register("watcher", "interface", b""))
    beats = site(Beat("watcher"))
    return {name for name, (_, kind, _) in beats.processes.items() if kind == "worker"}
