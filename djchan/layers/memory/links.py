"""Links to a layer in memory: the lock, the clock, and waiting. The thin shell of ``engine``.

From ``layers.local``, ``layers.calls`` and ``lanes``; on to ``layers.memory.engine``.
Threads and event loops share one MemoryEngine. Nobody polls: who waits leaves a *waker*
under the signals that may end its wait, and whoever causes such a signal calls it, from
any thread. A waker only says "look again"; what is there is decided under the lock.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeGuard

from djchan import forks
from djchan.exceptions import BrokerUnsupported
from djchan.layers.memory.bells import Signal
from djchan.layers.memory.engine import MemoryState
from djchan.layers.operations import Operation, Pop, Wait

_COPY = (
    "This is a forked child, and the channel layer is in the memory of the process that it was "
    "forked from: nobody would get what it sends. Let the consumer send it when the child is "
    'done, or use the BACKEND "djchan.layers.redis.RedisChannelLayer".'
)
READ_SECONDS = 5.0  # How long an inbox is waited at, as the contract says.

Waker = Callable[[], None]
Entries = list[tuple[str, bytes]]


class MemoryEngine:
    """A store for the processes (and threads) of one interpreter. Implements engine.Engine.

    ``now``: its clock, ms since the epoch.
    """

    local_only = True
    name = history = ""
    entry_size = staticmethod(len)

    def __init__(self, now: Callable[[], int] | None = None) -> None:
        self._now = _now if now is None else now
        self._state = MemoryState()
        self._lock = threading.Lock()
        self._wakers: dict[Signal, set[Waker]] = {}
        self._is_copy = False
        forks.give_back_in_child(self)

    def give_back(self) -> None:
        """In a forked child: those who serve the layer, one of whom may have held the lock, are
        threads of the parent's."""
        self._lock = threading.Lock()
        self._is_copy = self._is_copy or bool(self._state.registry.processes)

    def link(self, name: str) -> "MemoryLink":
        return MemoryLink(self)

    def alink(self, name: str) -> "AsyncMemoryLink":
        return AsyncMemoryLink(self)

    def inbox(self, process: str) -> "MemoryInbox":
        return MemoryInbox(self, process)

    def perform(self, operation: Operation) -> Any:
        """Do one operation without blocking; a Wait answers at once whether its bell is rung.

        Raises BrokerUnsupported in a forked child of the process that serves the layer.
        """
        if self._is_copy:
            raise BrokerUnsupported(_COPY)
        with self._lock:
            if isinstance(operation, Wait):
                return self._state.bells.take(operation.bell)
            answer = self._state.perform(operation, self._now())
            woken = self._woken() if self._state.signals else ()
        for wake in woken:
            wake()
        return answer

    def read(self, process: str, cursor: str, *, trim: bool) -> Entries:
        with self._lock:
            return self._state.read(process, cursor, trim=trim)

    def has_workers(self) -> bool:
        """Whether workers serve it now."""
        with self._lock:
            return any(each.kind == "worker" for each in self._state.registry.processes.values())

    def seconds_until_due(self) -> float | None:
        """Until the next delayed delivery is due; None when there is none."""
        with self._lock:
            due = self._state.queues.next_due()
        return max(0.0, (due - self._now()) / 1000) if due else None

    @contextmanager
    def waking(self, signals: Iterable[Signal], waker: Waker) -> Iterator[None]:
        """Within, ``waker`` is called at each of ``signals``, from the thread that caused it."""
        signals = tuple(signals)
        with self._lock:
            for signal in signals:
                self._wakers.setdefault(signal, set()).add(waker)
        try:
            yield
        finally:
            with self._lock:
                for signal in signals:
                    wakers = self._wakers[signal]
                    wakers.discard(waker)
                    if not wakers:
                        del self._wakers[signal]

    def _woken(self) -> tuple[Waker, ...]:
        signals = self._state.signals
        woken = tuple(
            [waker for signal in signals for waker in self._wakers.get(signal, ())]
            if self._wakers
            else ()
        )
        signals.clear()
        return woken


class MemoryLink:
    """Implements engine.Link, for one thread at a time."""

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine

    def perform(self, *operations: Operation) -> list[Any]:
        return [
            self._block(operation) if _blocks(operation) else self._engine.perform(operation)
            for operation in operations
        ]

    def client_id(self) -> str:
        return ""

    def close(self) -> None:
        """Nothing is held."""

    def _block(self, operation: Wait | Pop) -> Any:
        event = threading.Event()
        deadline = time.monotonic() + operation.timeout
        with self._engine.waking(_signals(operation), event.set):
            while True:
                # Cleared before the look: what comes after it sets the event again.
                event.clear()
                answer = self._engine.perform(operation)
                pause = _pause(self._engine, operation, deadline)
                if answer or pause <= 0:
                    return _answer(operation, answer)
                event.wait(pause)


class AsyncMemoryLink:
    """Implements engine.AsyncLink, for one event loop."""

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine

    async def perform(self, *operations: Operation) -> list[Any]:
        # A loop that is busy with us has to get to its other tasks; and a task that is
        # canceled here has applied nothing.
        await asyncio.sleep(0)
        return [
            await self._block(operation) if _blocks(operation) else self._engine.perform(operation)
            for operation in operations
        ]

    def client_id(self) -> str:
        return ""

    async def aclose(self) -> None:
        """Nothing is held."""

    async def _block(self, operation: Wait | Pop) -> Any:
        bell = _LoopBell()
        deadline = time.monotonic() + operation.timeout
        with self._engine.waking(_signals(operation), bell.ring):
            while True:
                bell.clear()
                answer = self._engine.perform(operation)
                pause = _pause(self._engine, operation, deadline)
                if answer or pause <= 0:
                    return _answer(operation, answer)
                await bell.wait(pause)


class MemoryInbox:
    """Implements engine.InboxReader, for one event loop."""

    def __init__(self, engine: MemoryEngine, process: str) -> None:
        self._engine = engine
        self._process = process

    async def read(self, cursor: str, *, trim: bool) -> Entries:
        await asyncio.sleep(0)
        entries = self._engine.read(self._process, cursor, trim=trim)
        if entries:
            return entries
        bell = _LoopBell()
        with self._engine.waking([("inbox", self._process)], bell.ring):
            entries = self._engine.read(self._process, cursor, trim=False)
            if not entries:
                await bell.wait(READ_SECONDS)
                entries = self._engine.read(self._process, cursor, trim=False)
        return entries

    def client_id(self) -> str:
        return ""

    async def aclose(self) -> None:
        """Nothing is held."""


class _LoopBell:
    """Wakes one task of the running loop, from any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._event = asyncio.Event()

    def ring(self) -> None:
        if threading.get_ident() == self._thread:
            self._event.set()
            return
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:
            # That loop was closed with its task still waiting; nobody is there to wake.
            if not self._loop.is_closed():
                raise

    def clear(self) -> None:
        self._event.clear()

    async def wait(self, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self._event.wait()
        except TimeoutError:
            return


def _now() -> int:
    return int(time.time() * 1000)


def _blocks(operation: Operation) -> TypeGuard[Wait | Pop]:
    return isinstance(operation, Wait) or (isinstance(operation, Pop) and operation.timeout > 0)


def _signals(operation: Wait | Pop) -> list[Signal]:
    if isinstance(operation, Wait):
        return [("bell", operation.bell)]
    return [("due", ""), *(("channel", channel) for channel in operation.channels)]


def _pause(engine: MemoryEngine, operation: Wait | Pop, deadline: float) -> float:
    """Seconds until the operation has to look again by itself."""
    remaining = deadline - time.monotonic()
    due = engine.seconds_until_due() if isinstance(operation, Pop) else None
    # A millisecond at least: the clock of the layer may not have reached that due time yet.
    return remaining if due is None else min(remaining, max(due, 0.001))


def _answer(operation: Wait | Pop, answer: Any) -> Any:
    return None if isinstance(operation, Wait) else answer
