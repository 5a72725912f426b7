"""How fast a run may send its response: as fast as the client takes it.

``djchan.outbox`` sends the parts; code that runs a view learns here that its client has left. A
response has a window: the bytes of parts that may be in transit between the run and the client's
connection. The interface grants more as bytes leave (``operations.Grant``); a run that has sent
all that was granted waits here::

    sent < granted ──► sends on, without a round trip
    sent ≥ granted ──► Room: more was granted by now ──────────────► sends on
                         └── no: waits ── bell, or a look ── Room ──┘
                                              └── gone: ProcessGone

One thread of a process checks all of its responses: at each wake-up, and twice a second for runs
that only wait for the end. It starts with the first response and ends when there has been none for
a while.
"""

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from djchan import forks
from djchan.exceptions import BrokerError, ProcessGone
from djchan.layers import threads
from djchan.layers.engine import Engine, Link
from djchan.layers.operations import WINDOW, Address, Room, Wait
from djchan.log import escaping
from djchan.throttling import throttled

logger = escaping(logging.getLogger(__name__))

LOOK = 0.5  # Seconds between two looks for clients that have left.
WAIT = (
    0.05  # Seconds to wait for a wake-up: a run that begins to wait meanwhile is checked after it.
)
LINGER = 10.0  # Seconds without anything to look at after which the thread ends.


class Stream:
    """One response that its run sends in parts. Made by ``Flow.open``, given back to ``close``.

    ``sent``: bytes of its parts, as the layer stores them. ``moved_at``: when its last part was
    sent, or there was room for the next one (monotonic).
    """

    __slots__ = ("_flow", "_wakers", "address", "gone", "granted", "moved_at", "sent")

    def __init__(self, flow: "Flow", address: Address) -> None:
        self.address = address
        self.sent = 0
        self.granted = WINDOW
        self.gone = False
        self.moved_at = time.monotonic()
        self._flow = flow
        self._wakers: list[_Waker] = []

    @property
    def has_room(self) -> bool:
        return self.sent < self.granted

    @property
    def waits(self) -> bool:
        """Whether its run waits for the client."""
        return any(not waker.for_end for waker in self._wakers)

    def send(self, size: int) -> None:
        """A part of so many bytes is about to be sent. Raises ProcessGone."""
        if self.gone:
            raise ProcessGone
        self.sent += size
        self.moved_at = time.monotonic()

    def wait(self) -> None:
        """Wait until there is room. Raises ProcessGone when the response has no reader."""
        event = threading.Event()
        with self._flow.waking(self, _Waker(event.set, for_end=False)):
            while not (self.has_room or self.gone):
                event.wait()
                event.clear()
        self.send(0)

    async def await_room(self) -> None:
        """``wait`` for an event loop."""
        await self._awaited(for_end=False)
        self.send(0)

    async def left(self) -> None:
        """Return when the response has no reader any more: most often, its client has left."""
        await self._awaited(for_end=True)

    async def _awaited(self, *, for_end: bool) -> None:
        loop, event = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            try:
                loop.call_soon_threadsafe(event.set)
            except RuntimeError:
                logger.debug("The event loop of a response is closed.")

        with self._flow.waking(self, _Waker(wake, for_end=for_end)):
            while not (self.gone or (self.has_room and not for_end)):
                await event.wait()
                event.clear()

    def learn(self, granted: int | None) -> None:
        """Take the answer of Room for this response."""
        if granted is None:
            self.gone = True
        elif granted > self.granted:
            self.granted = granted
        else:
            return
        for waker in tuple(self._wakers):
            waker.wake()


class _Waker(NamedTuple):
    """A callback for changes; ``for_end``: it only matters when the response ends."""

    wake: Callable[[], object]
    for_end: bool


class Flow:
    """All responses that this process sends in parts, over ``engine``."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._begin()
        forks.give_back_in_child(self)

    def give_back(self) -> None:
        """In a forked child: the thread, and those that held the lock, are the parent's."""
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._wakeup = f"flow-{secrets.token_hex(8)}"
        self._streams: dict[Address, Stream] = {}
        self._looking: threading.Thread | None = None
        self._newcomer = threading.Event()  # A run has begun to wait.

    def open(self, address: Address) -> Stream:
        """The response to ``address``, which its run is about to begin."""
        with self._lock:
            stream = self._streams[address] = Stream(self, address)
            return stream

    def close(self, stream: Stream) -> None:
        """Its run is over."""
        with self._lock:
            if self._streams.get(stream.address) is stream:
                del self._streams[stream.address]

    def moved_at(self, address: Address) -> float:
        """When the response last got on (monotonic): now, if it waits for its client; 0: there is
        none in parts."""
        with self._lock:
            stream = self._streams.get(address)
        if stream is None:
            return 0.0
        return time.monotonic() if stream.waits else stream.moved_at

    def waits(self, address: Address) -> bool:
        """Whether the run of this response waits for its client."""
        with self._lock:
            stream = self._streams.get(address)
        return stream is not None and stream.waits

    def waking(self, stream: Stream, waker: _Waker) -> "_Waking":
        """Within, ``waker`` is called when something changes for ``stream``."""
        return _Waking(self, stream, waker)

    def add(self, stream: Stream, waker: _Waker) -> None:
        with self._lock:
            if self._looking is None:
                looking = threading.Thread(target=self._look_on, name="djchan-flow", daemon=True)
                threads.start(looking)
                self._looking = looking
            stream._wakers.append(waker)
        if not waker.for_end:
            self._newcomer.set()

    def remove(self, stream: Stream, waker: _Waker) -> None:
        with self._lock:
            stream._wakers.remove(waker)
            stream.moved_at = time.monotonic()

    # ------------------------------------------------------------- in its thread

    def _look_on(self) -> None:
        link = self._engine.link("flow")
        looked_at = time.monotonic()
        try:
            while True:
                looked_for = [stream for stream in self._watched() if not stream.gone]
                now = time.monotonic()
                if looked_for:
                    looked_at = now
                    self._look(link, looked_for)
                elif now - looked_at > LINGER and self._ends():
                    return
                else:
                    self._newcomer.wait(LOOK)
        finally:
            link.close()

    def _watched(self) -> list[Stream]:
        self._newcomer.clear()
        with self._lock:
            return [stream for stream in self._streams.values() if stream._wakers]

    def _ends(self) -> bool:
        with self._lock:
            if any(stream._wakers for stream in self._streams.values()):
                return False
            self._looking = None
            return True

    def _look(self, link: Link, streams: list[Stream]) -> None:
        """Ask once, wake the runs that can go on, and wait for the next reason to ask."""
        addresses = tuple([stream.address[:2] for stream in streams])
        try:
            (answers,) = link.perform(Room(self._wakeup, addresses))
            for stream, granted in zip(streams, answers, strict=True):
                stream.learn(granted)
            if any(stream.waits for stream in streams) and not self._newcomer.is_set():
                link.perform(Wait(self._wakeup, WAIT))
                return
        except BrokerError as error:
            logger.debug("Redis could not be asked how much of responses may be sent: %s", error)
        except Exception as error:
            # Without this thread, runs that wait for their client would wait for ever.
            throttled(
                logger,
                logging.ERROR,
                f"unexpected {type(error).__name__}",
                "Redis was asked how much of responses may be sent, and answered with something "
                "unexpected. Trying again. Please report this.",
                exc_info=error,
            )
        self._newcomer.wait(LOOK)


class _Waking:
    """``with flow.waking(…)``."""

    def __init__(self, flow: Flow, stream: Stream, waker: _Waker) -> None:
        self._given = stream, waker
        self._flow = flow

    def __enter__(self) -> None:
        self._flow.add(*self._given)

    def __exit__(self, *exc: object) -> None:
        self._flow.remove(*self._given)
