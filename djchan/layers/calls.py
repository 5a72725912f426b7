"""How a layer reaches its engine, from threads and from event loops.

From ``layers.sending``, ``layers.keeping``, ``layers.statistics`` and ``layers.base``, with
operations; on to a link of the engine. A thread borrows a link for each call. An event loop has
one for all of its calls, idle ones for receives that block, and its end of the layer
(``layers.local``); its links are closed when it ends (``layers.loops``).
"""

import asyncio
import threading
import time
from collections import deque
from importlib import import_module
from typing import Any

from djchan import forks
from djchan.exceptions import BrokerError, InvalidChannelLayer
from djchan.layers.bodies import Readers
from djchan.layers.callers import Callers
from djchan.layers.engine import AsyncLink, Engine, Link
from djchan.layers.flow import Flow
from djchan.layers.local import LocalProcess
from djchan.layers.loops import PerLoop
from djchan.layers.policy import Policy
from djchan.layers.repeat import Repeat, Unanswered

IDLE_LINKS = 32  # That threads have left, for the next call.
IDLE_SECONDS = 60.0  # After which one of these is closed.
IDLE_RECEIVERS = 8  # Links of an event loop that wait for the next receive that blocks.


class Calls(Policy):
    """``engine`` and ``symmetric_encryption_keys``: see ``layers.base.BaseChannelLayer``."""

    def __init__(
        self, *, engine: Engine, symmetric_encryption_keys: Any = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.engine = engine
        if symmetric_encryption_keys is not None:
            self.engine = _sealed(engine, symmetric_encryption_keys)
        self.readers = Readers()  # Of request bodies.
        self.callers = Callers()
        self.unanswered = Unanswered()
        self.flow = Flow(self.engine)  # Of the responses that this process sends.
        self._links: deque[tuple[float, Link]] = deque()  # Since when, the oldest first.
        self._links_lock = threading.Lock()
        forks.give_back_in_child(self)
        self._loops: PerLoop[_Loop] = PerLoop(_Loop, _Loop.aclose)

    def local(self) -> LocalProcess:
        """The running event loop's end of this layer, made at first use, not yet started."""
        ours = self._loops.get()
        if ours.local is None:
            ours.local = LocalProcess(self)
        return ours.local

    def give_back(self) -> None:
        """In a forked child: the idle connections and the callers' numbers are the parent's, and
        a thread that held the lock is not here."""
        self.callers = Callers()
        self._links, self._links_lock = deque(), threading.Lock()

    def close(self) -> None:
        """Close the idle connections of the synchronous face."""
        with self._links_lock:
            links, self._links = self._links, deque()
        for _, link in links:
            link.close()

    async def aclose(self) -> None:
        """Close the running event loop's connections."""
        await self._loops.end()

    def _alink(self) -> AsyncLink:
        ours = self._loops.get()
        if ours.link is None:
            ours.link = self.engine.alink("face")
        return ours.link

    async def apop(self, channels: tuple[str, ...], timeout: float) -> tuple[str, bytes] | None:
        """Perform a Pop, which may block, on a link of its own: whoever sends meanwhile must not
        wait for it."""
        waiting = self._loops.get().waiting
        link = waiting.pop() if waiting else self.engine.alink("receive")
        try:
            with self.callers.popping(channels, timeout) as pop:
                popped: tuple[str, bytes] | None
                (popped,) = await self._arepeat(pop, repeat=self._patient(), link=link)
        except BaseException:
            await link.aclose()
            raise
        if len(waiting) < IDLE_RECEIVERS:
            waiting.append(link)
        else:
            await link.aclose()
        return popped

    def pop(self, channels: tuple[str, ...], timeout: float) -> tuple[str, bytes] | None:
        """``apop`` for a thread."""
        with self.callers.popping(channels, timeout) as pop:
            popped: tuple[str, bytes] | None = self._repeat(pop, repeat=self._patient())[0]
        return popped

    def _patient(self) -> Repeat:
        """For what a request waits for: its end would lose more than the wait."""
        return Repeat(self.stream_retry, waits=True)

    def _link(self) -> "_Borrowed":
        return _Borrowed(self)

    def _perform(self, operation: object) -> Any:
        return self._performs(operation)[0]

    def _performs(self, *operations: Any) -> list[Any]:
        with self._link() as link:
            return link.perform(*operations)

    def _repeat(self, *operations: Any, repeat: Repeat | None = None) -> list[Any]:
        """Perform ``operations``, which may be done twice, until there is an answer.

        Raises as ``Repeat.failed``. ``repeat``: None is for ``send_retry`` seconds.
        """
        repeat = repeat or Repeat(self.send_retry)
        with self._link() as link:
            while True:
                try:
                    return link.perform(*operations)
                except BrokerError as error:
                    pause = repeat.failed(error)
                time.sleep(pause)

    async def _arepeat(
        self, *operations: Any, repeat: Repeat | None = None, link: AsyncLink | None = None
    ) -> list[Any]:
        """``_repeat`` for an event loop. ``link``: None is the one for all calls."""
        repeat = repeat or Repeat(self.send_retry)
        link = link or self._alink()
        while True:
            try:
                return await link.perform(*operations)
            except BrokerError as error:
                pause = repeat.failed(error)
            await asyncio.sleep(pause)


def _sealed(engine: Engine, keys: object) -> Engine:
    try:
        # Not imported by who has no keys: it is an extra, and it is large.
        module = import_module("djchan.layers.sealed")
    except ImportError as error:
        raise InvalidChannelLayer(
            "symmetric_encryption_keys in the layer's CONFIG needs cryptography, which cannot be "
            f"imported ({error}): pip install 'djchan[crypto]'."
        ) from error
    sealed: Engine = module.SealedEngine(engine, keys)
    return sealed


class _Loop:
    """What one event loop has of a layer."""

    def __init__(self) -> None:
        self.link: AsyncLink | None = None
        self.waiting: list[AsyncLink] = []  # Idle links for receives that block.
        self.local: LocalProcess | None = None

    async def aclose(self) -> None:
        links = [*self.waiting, *([] if self.link is None else [self.link])]
        self.link, self.waiting = None, []
        for link in links:
            await link.aclose()


class _Borrowed:
    """A link for one call: an idle one, or a new one."""

    def __init__(self, layer: Calls) -> None:
        self._layer = layer

    def __enter__(self) -> Link:
        layer = self._layer
        with layer._links_lock:
            self._link = layer._links.pop()[1] if layer._links else None
        if self._link is None:
            self._link = layer.engine.link("face")
        return self._link

    def __exit__(self, *exc: object) -> None:
        assert self._link is not None
        layer, now = self._layer, time.monotonic()
        surplus: list[Link] = []
        with layer._links_lock:
            links = layer._links
            links.append((now, self._link))
            while len(links) > IDLE_LINKS or now - links[0][0] > IDLE_SECONDS:
                surplus.append(links.popleft()[1])
        for link in surplus:
            link.close()
