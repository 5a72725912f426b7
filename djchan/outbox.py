"""Sends that wait until their consumer is done.

From ``djchan.channel``, whose sends, adds and discards become words at the call; on to the
commit of the delivery, which the worker makes of them, or at once to the layer.

::

    opened() ──► open ──add()──► open ──clear()──► open (nothing in it)
                  │
                  └── the consumer returned ──► closed: what is sent now goes out at once

An outbox is found through a ContextVar: a consumer's coroutines share theirs, and
``sync_to_async`` takes it along. A thread that a consumer started has none, a task that outlives
its consumer has a closed one, and a forked child a copy that nobody commits; they send at once.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import TypeVar

from djchan import forks, names
from djchan.exceptions import ChannelFull, Fenced
from djchan.layers.base import BaseChannelLayer
from djchan.layers.effects import Reply, Words, pack
from djchan.layers.flow import Stream
from djchan.layers.operations import (
    Address,
    Drop,
    Effect,
    GroupAdd,
    GroupAddChannel,
    GroupDiscard,
    GroupDiscardChannel,
    Keep,
    SendResult,
)
from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))

T = TypeVar("T")

# Channels 1.x's patience with a full channel at the end of a consumer, in seconds.
RETRY_TIME = 2.0
RETRY_INTERVAL = 0.2

_MEMBERSHIP = (GroupAdd, GroupAddChannel, GroupDiscard, GroupDiscardChannel)


class Uncommitted(dict[str, Keep | Drop]):
    """The sessions that the frames of one delivery save or delete, until it is committed.

    A later frame of the delivery finds them here: the layer still has the previous values. By key,
    the last Keep or Drop.
    """

    lock = threading.Lock()  # One for all instances: it is held seldom and briefly.

    def forget(self, committed: Sequence[Keep | Drop]) -> None:
        """The layer has these now; the next frame reads them there, as others may change them."""
        with self.lock:
            for effect in committed:
                if self.get(effect.key) is effect:
                    del self[effect.key]


class Outbox:
    """What one run of a consumer wants sent.

    ``layer``: the layer of the delivery, whose commit takes ``words``; None when there is no
    delivery. ``fence``: its (worker, token). ``response``: where the response goes, if it is
    an HTTP request. ``others``: words for other layers, which cannot be part of that commit
    and are sent before it, at least once. ``uncommitted``: of the delivery. ``by_hand``: opened
    by a consumer_started signal that did not come from a worker.
    """

    __slots__ = (
        "_forks",
        "_parts",
        "_stream",
        "by_hand",
        "fence",
        "layer",
        "open",
        "others",
        "response",
        "uncommitted",
        "words",
    )

    def __init__(
        self,
        layer: BaseChannelLayer | None,
        *,
        fence: tuple[str, int] | None = None,
        response: Address | None = None,
        uncommitted: Uncommitted | None = None,
    ) -> None:
        self.layer = layer
        self.fence = fence
        self.response = response
        self._parts = 0  # Of the response that were sent.
        self._forks = forks.seen
        self._stream: Stream | None = None  # The response, once it is sent in parts or watched.
        self.open = True
        self.by_hand = False
        self.words: list[Words] = []
        self.others: dict[BaseChannelLayer, list[Words]] = {}
        self.uncommitted = Uncommitted() if uncommitted is None else uncommitted

    @property
    def takes(self) -> bool:
        """Whether sends wait here: the consumer runs, in this very process."""
        return self.open and self._forks == forks.seen

    def add(self, word: Words, layer: BaseChannelLayer | None = None) -> None:
        """Keep ``word``, for ``layer`` (None: the delivery's own)."""
        if layer is None or layer is self.layer:
            self.words.append(word)
        else:
            self.others.setdefault(layer, []).append(word)

    def keep(self, effect: Keep | Drop) -> None:
        """Let the delivery's own layer keep or drop something when the delivery is committed."""
        self.words.append(effect)
        with self.uncommitted.lock:
            self.uncommitted[effect.key] = effect

    def clear(self, *, sessions: bool = False) -> None:
        """Forget what was sent, and with ``sessions`` what was saved: another run will do it."""
        kept = () if sessions else [each for each in self.words if isinstance(each, Keep | Drop)]
        self.words[:] = kept
        self.others.clear()

    def forget_replies(self, channel: str, layer: BaseChannelLayer) -> None:
        """Forget what waits here for the connection behind the reply channel ``channel``."""
        local = names.split_local(channel)
        words = self.words if layer is self.layer else self.others.get(layer, [])
        words[:] = [
            word for word in words if not isinstance(word, Reply) or (word[0], word[1]) != local
        ]

    def membership(self, group: str, layer: BaseChannelLayer) -> list[Words]:
        """The adds and discards of ``group`` that still wait here, in order."""
        words = self.words if layer is self.layer else self.others.get(layer, [])
        return [word for word in words if isinstance(word, _MEMBERSHIP) and word.group == group]

    def ahead(
        self, word: Words, layer: BaseChannelLayer, group: str | None
    ) -> tuple[list[Words], tuple[str, int] | None]:
        """What must be applied for ``word`` to overtake this outbox, and under which fence.

        A message to a group carries along the memberships that wait, else a socket added a
        line before would miss it. They stay in the outbox too: applied twice is applied once.
        """
        carried = [] if group is None else self.membership(group, layer)
        return [*carried, word], self.fence if layer is self.layer else None

    def is_part(self, word: Words, layer: BaseChannelLayer) -> bool:
        """Whether ``word`` belongs to the response to the request that is running.

        Such a delivery is never run again from then on: two responses must not be mixed.
        """
        return (
            self.response is not None
            and layer is self.layer
            and isinstance(word, Reply)
            and word[:2] == self.response[:2]
        )

    def _next_part(self, word: Words) -> tuple[tuple[str, int], Address, int, bytes]:
        assert self.fence is not None and self.response is not None and isinstance(word, Reply)
        index, self._parts = self._parts, self._parts + 1
        return self.fence, self.response, index, word.message

    def stream(self) -> Stream | None:
        """The response of this run, for whoever sends it or asks whether its client is there;
        None when this is no request of a worker's."""
        if self._stream is None and self.response is not None and self.layer is not None:
            self._stream = self.layer.flow.open(self.response)
        return self._stream

    def close(self) -> None:
        """The run is over: later sends go out at once."""
        self.open = False
        if self._stream is not None and self.layer is not None:
            self.layer.flow.close(self._stream)

    def immediately(
        self, word: Words, layer: BaseChannelLayer, *, group: str | None = None
    ) -> SendResult:
        """Send ``word`` now, before all sends that wait. ``group``: the group it is sent to.

        A part of the response waits until the client has taken the parts before it. Raises
        ProcessGone when the response has no reader any more.
        """
        if self.is_part(word, layer):
            stream = self.stream()
            assert stream is not None
            if not stream.has_room:
                stream.wait()
            layer.part(*self._next_part(word), stream=stream)
            return "ok"
        words, fence = self.ahead(word, layer, group)
        return layer.apply(words, fence=fence)[-1]

    async def aimmediately(
        self, word: Words, layer: BaseChannelLayer, *, group: str | None = None
    ) -> SendResult:
        """``immediately`` for an event loop."""
        if self.is_part(word, layer):
            stream = self.stream()
            assert stream is not None
            if not stream.has_room:
                await stream.await_room()
            await layer.apart(*self._next_part(word), stream=stream)
            return "ok"
        words, fence = self.ahead(word, layer, group)
        return (await layer.aapply(words, fence=fence))[-1]

    @property
    def has_begun(self) -> bool:
        """Whether a part of the response was sent."""
        return self._parts > 0

    def send_others(self) -> None:
        """Send the effects for other layers; called before the commit.

        Raises ChannelFull, or BrokerError when a layer has not answered: then another run has to
        send all of them again.
        """
        others, self.others = self.others, {}
        for layer, words in others.items():
            _raise_for(layer, send_patiently(layer, words, send=layer.apply_from_delivery))

    async def asend_others(self) -> None:
        """``send_others`` for an event loop."""
        others, self.others = self.others, {}
        for layer, words in others.items():
            _raise_for(layer, await asend_patiently(layer, words))


async def client_left() -> None:
    """Return when the client of the request that runs here has left, or its interface has died.

    Never, where no request of a worker's runs. To be canceled when the request is done.
    """
    outbox = current()
    stream = None if outbox is None else outbox.stream()
    if stream is None:
        await asyncio.get_running_loop().create_future()
    else:
        await stream.left()


_current: ContextVar[Outbox | None] = ContextVar("djchan_outbox", default=None)


def current() -> Outbox | None:
    """The outbox that sends of this thread or task go to; None: they go out at once."""
    outbox = _current.get()
    if outbox is None or outbox.takes:
        return outbox
    logger.debug("A send after its consumer had returned, or in a forked child, goes out at once.")
    return None


def of_delivery(layer: BaseChannelLayer) -> Outbox | None:
    """The open outbox, if its delivery came over ``layer``: what is kept there waits for the
    commit."""
    outbox = current()
    return outbox if outbox is not None and outbox.layer is layer else None


def check_lease() -> None:
    """Raise Fenced if the lease of the delivery that runs here has ended.

    One round trip: for writes outside the layer, which no commit can hold back.
    """
    outbox = current()
    if outbox is None or outbox.layer is None or outbox.fence is None:
        return
    if not outbox.layer.is_leased(outbox.fence):
        raise Fenced


class opened:
    """``with opened(layer) as outbox``: an open outbox for what runs inside.

    Closed at the end; what to do with its words is the caller's. A class, not a generator:
    this is done for each message.
    """

    __slots__ = ("_before", "_outbox")

    def __init__(
        self,
        layer: BaseChannelLayer | None,
        *,
        fence: tuple[str, int] | None = None,
        response: Address | None = None,
        uncommitted: Uncommitted | None = None,
    ) -> None:
        self._outbox = Outbox(layer, fence=fence, response=response, uncommitted=uncommitted)

    def __enter__(self) -> Outbox:
        self._before = _current.set(self._outbox)
        return self._outbox

    def __exit__(self, *exc: object) -> None:
        self._outbox.close()
        _current.reset(self._before)


async def adopted(outbox: Outbox, awaitable: Awaitable[T]) -> T:
    """Await it with ``outbox`` as the one that its sends go to, in the context that runs this."""
    _current.set(outbox)
    return await awaitable


def begin_by_hand() -> None:
    """Let sends wait until ``end_by_hand``: between consumer signals that a test sent."""
    outbox = Outbox(None)
    outbox.by_hand = True
    _current.set(outbox)


def end_by_hand(outbox: Outbox, *, retry_time: float, retry_interval: float) -> None:
    """Send what waits in ``outbox``, and let sends go out at once again."""
    outbox.open = False
    _current.set(None)
    for layer, words in outbox.others.items():
        _log_lost(send_patiently(layer, words, retry_time, retry_interval), retry_time)


def send_patiently(
    layer: BaseChannelLayer,
    words: Sequence[Words],
    retry_time: float = RETRY_TIME,
    retry_interval: float = RETRY_INTERVAL,
    *,
    send: Callable[[Sequence[Words]], Sequence[SendResult]] | None = None,
) -> tuple[Effect, ...]:
    """Send ``words``; those that meet a full channel again, for ``retry_time`` seconds.

    Those that still do then are returned. ``send``: None is ``layer.apply``.
    """
    send = send or layer.apply
    deadline = time.monotonic() + retry_time
    effects, _ = pack(words)
    while effects := _refused(effects, send(effects)):
        if time.monotonic() >= deadline:
            break
        time.sleep(retry_interval)
    return effects


async def asend_patiently(
    layer: BaseChannelLayer,
    words: Sequence[Words],
    retry_time: float = RETRY_TIME,
    retry_interval: float = RETRY_INTERVAL,
) -> tuple[Effect, ...]:
    """``send_patiently`` for the event loop of a delivery of another layer."""
    deadline = time.monotonic() + retry_time
    effects, _ = pack(words)
    while effects := _refused(effects, await layer.aapply_from_delivery(effects)):
        if time.monotonic() >= deadline:
            break
        await asyncio.sleep(retry_interval)
    return effects


def _raise_for(layer: BaseChannelLayer, refused: Sequence[Effect]) -> None:
    for effect in refused:
        channel = getattr(effect, "channel", "")
        raise ChannelFull(layer.why_full("full", channel))


def _refused(effects: Sequence[Effect], results: Sequence[SendResult]) -> tuple[Effect, ...]:
    """Which of ``effects`` met a full channel."""
    return tuple(
        effect for effect, result in zip(effects, results, strict=True) if result.startswith("full")
    )


def _log_lost(effects: Sequence[Effect], retry_time: float) -> None:
    for effect in effects:
        logger.error(
            "A message to %s was lost: the channel was full for %s seconds after the consumer "
            "ended. Run more workers for it, or raise capacity in the layer's CONFIG.",
            getattr(effect, "channel", "a channel"),
            retry_time,
        )
