"""Short words for tests that talk to an engine."""

import asyncio
import itertools
import threading
from typing import Any

from djchan.layers.engine import Engine
from djchan.layers.operations import (
    Address,
    Body,
    Claim,
    Claimed,
    Commit,
    Effect,
    GroupDiscard,
    Length,
    Operation,
    Outcome,
    Push,
    Reap,
    Register,
    Send,
    Wait,
)

# The engines whose store holds what was said as it was: with ``encrypted`` sizes are others.
PLAIN = ("memory", "redis", "valkey")
END = b"this is the end of what the test has caused"


class Talk:
    """One link, and a number that no link uses twice."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.link = engine.link("test")
        self._number = itertools.count(1)

    def close(self) -> None:
        self.link.close()

    def __call__(self, operation: Operation) -> Any:
        (answer,) = self.link.perform(operation)
        return answer

    # Who.

    def worker(self, name: str, *channels: str) -> str:
        assert isinstance(self(Register(name, "worker", b"info", channels)), int)
        return name

    def interface(
        self, name: str, *, inbox: int = 0, begin: tuple[str, ...] = ("c1", "c2", "c3")
    ) -> str:
        """One whose connections ``begin`` have begun."""
        assert isinstance(self(Register(name, "interface", b"info", (), inbox)), int)
        assert self(Send(name, 1, (), link="begin", begin=begin)) is not None
        return name

    # What.

    def number(self) -> int:
        return next(self._number)

    def send(self, *effects: Effect, fence: tuple[str, int] | None = None) -> tuple[str, ...]:
        """Send anonymously; the results."""
        return tuple(self(Send("", 0, effects, fence=fence)).results)

    def push(self, channel: str, *payloads: bytes) -> None:
        assert set(self.send(*(Push(channel, payload) for payload in payloads))) == {"ok"}

    def claimed(self, worker: str, *channels: str, count: int = 10, **more: Any) -> Claimed:
        claimed = self(Claim(worker, f"{worker}-bell", channels, count, **more))
        assert isinstance(claimed, Claimed)
        return claimed

    def claim(self, worker: str, *channels: str, count: int = 10, **more: Any) -> list[Any]:
        return list(self.claimed(worker, *channels, count=count, **more).deliveries)

    def payloads(self, worker: str, *channels: str, count: int = 10, **more: Any) -> list[bytes]:
        return [each.payload for each in self.claim(worker, *channels, count=count, **more)]

    def lease(self, worker: str, channel: str, payload: bytes = b"work") -> int:
        """Push one delivery and claim it; its token."""
        self.push(channel, payload)
        (delivery,) = self.claim(worker, channel)
        assert delivery.payload == payload
        token = delivery.token
        assert isinstance(token, int)
        return token

    def crash(self, channel: str, *payloads: bytes) -> None:
        """Push these and claim them for a worker that dies: then they are suspects."""
        worker = self.worker(f"crashed-{self.number()}")
        self.push(channel, *payloads)
        assert self.payloads(worker, channel, count=1000) == list(payloads)
        self.bury(worker)

    def commit(self, worker: str, *outcomes: Outcome) -> list[str]:
        return list(self(Commit(worker, "commits", self.number(), outcomes)))

    def answer(
        self, worker: str, channel: str, address: Address, *effects: Effect, answer: bytes = b"done"
    ) -> str:
        """One whole life of a numbered delivery; what became of its commit."""
        token = self.lease(worker, channel)
        (result,) = self.commit(worker, Outcome(token, effects, address, answer))
        return result

    # What is there.

    def length(self, channel: str) -> int:
        length = self(Length(channel))
        assert isinstance(length, int)
        return length

    def inbox(self, process: str, after: str = "0-0") -> list[tuple[str, bytes]]:
        """All that the process has not trimmed. Nothing is waited for: an end is put first."""
        # No Tell: it counts, and may be refused.
        assert self.send(GroupDiscard("end", process, END)) == ("ok",)
        return asyncio.run(self._read(process, after))

    def entries(self, process: str, after: str = "0-0") -> list[bytes]:
        return [entry for _, entry in self.inbox(process, after)]

    async def _read(self, process: str, cursor: str) -> list[tuple[str, bytes]]:
        reader = self.engine.inbox(process)
        entries: list[tuple[str, bytes]] = []
        try:
            async with asyncio.timeout(4):
                while True:
                    entries += await reader.read(cursor, trim=False)
                    cursor = entries[-1][0]
                    # Those of earlier looks lie between.
                    if entries[-1][1] == END:
                        return [pair for pair in entries if pair[1] != END]
        finally:
            await reader.aclose()

    def bury(self, process: str) -> None:
        """Reap a process that is silent."""
        assert self(Reap(process, 0)) is True


def body(channel: str, payload: bytes, *, capacity: int = 0, ttl: int = 60_000) -> Body:
    return Body(channel, payload, capacity, ttl)


class Waiting:
    """A thread at a bell: entered before it waits, left when it was woken by what was done."""

    def __init__(self, engine: Engine, bell: str, seconds: float = 8.0) -> None:
        self._link = engine.link("waiting")
        self._wait = Wait(bell, seconds)
        self._begins = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.answer: Any = "none yet"

    def _run(self) -> None:
        self._begins.set()
        (self.answer,) = self._link.perform(self._wait)

    def __enter__(self) -> "Waiting":
        self._thread.start()
        assert self._begins.wait(5)
        return self

    def __exit__(self, *exc: object) -> None:
        self._thread.join(5)
        woken = not self._thread.is_alive()
        self._thread.join(5)
        self._link.close()
        assert woken, f"nobody rang {self._wait.bell}"
        assert self.answer is None
