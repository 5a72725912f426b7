"""The contract of a channel layer: Channels 1.x's names over any engine.

From ``djchan.channel``, ``djchan.asgi`` and projects that use the layer itself; on to
``layers.effects`` for what a call means, and the engine for doing it. Each call has an
``a`` twin for event loops.

Calls made here are anonymous (a view, a shell, cron): they are not repeated when Redis's
answer gets lost, they raise OutcomeUnknown. What consumers send goes with their commit
(``djchan.outbox``).
"""

import asyncio
import logging
import os
import secrets
import string
import threading
import warnings
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from djchan import names
from djchan.exceptions import (
    BrokerUnavailable,
    ChannelFull,
    Fenced,
    MessageTooLarge,
    OutcomeUnknown,
    ProcessGone,
)
from djchan.layers import codec, effects
from djchan.layers.effects import Words
from djchan.layers.engine import AsyncLink, Engine, Link
from djchan.layers.local import LocalProcess
from djchan.layers.operations import (
    Address,
    Counters,
    Flush,
    Length,
    Members,
    Part,
    Pop,
    Send,
    SendResult,
    Sent,
)
from djchan.layers.policy import Policy

BLOCK = 5.0  # Seconds that a blocking receive waits at most; callers loop.

logger = logging.getLogger(__name__)


class BaseChannelLayer(Policy):
    """A channel layer over ``engine``; ``options`` are those of ``layers.policy.Policy``."""

    ChannelFull = ChannelFull
    MessageTooLarge = MessageTooLarge
    extensions = ("groups", "flush", "statistics")

    def __init__(self, *, engine: Engine, **options: Any) -> None:
        super().__init__(**options)
        self.engine = engine
        self._links: list[Link] = []
        self._links_lock = threading.Lock()
        self._links_pid = os.getpid()
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Loop] = (
            weakref.WeakKeyDictionary()
        )

    # -------------------------------------------------------------- 1.x face

    def send(self, channel: str, message: dict[str, Any]) -> None:
        """Send one message. Raises ChannelFull, MessageTooLarge, InvalidMessage (a
        TypeError), InvalidChannelName (a TypeError), OutcomeUnknown."""
        self.raise_for(self.apply([self.word(channel, message)]), channel)

    def receive(
        self, channels: Iterable[str], block: bool = False
    ) -> tuple[str, dict[str, Any]] | tuple[None, None]:
        """Take one message, for good (no lease). ``block`` waits for at most 5 seconds."""
        wanted = tuple(names.check_channel(name, receive=True) for name in channels)
        while True:
            got = self._perform(Pop(wanted, BLOCK if block else 0.0))
            if got is None:
                return None, None
            received = self._received(*got)
            if received is not None:
                return received

    def receive_many(
        self, channels: Iterable[str], block: bool = False
    ) -> tuple[str, dict[str, Any]] | tuple[None, None]:
        """Deprecated by Channels 1.1 in favor of receive()."""
        warnings.warn("receive_many is receive now", DeprecationWarning, stacklevel=2)
        return self.receive(channels, block)

    def new_channel(self, pattern: str) -> str:
        """A name nobody has, for a pattern that ends in ``?``."""
        if not pattern.endswith("?"):
            raise AssertionError(f"new_channel needs a name ending in '?', not {pattern!r}.")
        random = "".join(secrets.choice(string.ascii_letters) for _ in range(12))
        return names.check_channel(pattern + random)

    def group_add(self, group: str, channel: str) -> None:
        self.apply([self.add_word(group, channel)])

    def group_discard(self, group: str, channel: str) -> None:
        self.apply([self.discard_word(group, channel)])

    def send_group(self, group: str, message: dict[str, Any]) -> None:
        """Send to every member. Never ChannelFull: a full member is skipped and counted."""
        self.apply([self.group_word(group, message)])

    def group_channels(self, group: str) -> list[str]:
        """The plain channels in the group, and one ``process!`` for each process with members.

        Which sockets are members is known to the process that holds them.
        """
        processes, channels = self._perform(Members(names.check_group(group)))
        return [*channels, *(f"websocket.send.{process}!" for process in processes)]

    def flush(self) -> None:
        """Remove every message, group and process of this layer, and nothing else."""
        self._perform(Flush())

    def global_statistics(self) -> dict[str, int]:
        counters = self._perform(Counters())
        return {
            "messages_count": counters.get("claimed", 0),
            "channel_full_count": _total(counters, "full:"),
        }

    def channel_statistics(self, channel: str) -> dict[str, int]:
        counters, pending = self._performs(Counters(), Length(names.check_channel(channel)))
        return {
            "messages_pending": pending,
            "channel_full_count": counters.get(f"full:{channel}", 0),
        }

    # ------------------------------------------------------------- its twins

    async def asend(self, channel: str, message: dict[str, Any]) -> None:
        self.raise_for(await self.aapply([self.word(channel, message)]), channel)

    async def areceive(
        self, channels: Iterable[str], block: bool = False
    ) -> tuple[str, dict[str, Any]] | tuple[None, None]:
        wanted = tuple(names.check_channel(name, receive=True) for name in channels)
        # On a link of its own: whoever sends meanwhile must not wait for this one.
        waiting = self._loop().waiting
        link = waiting.pop() if waiting else self.engine.alink("receive")
        try:
            while True:
                (got,) = await link.perform(Pop(wanted, BLOCK if block else 0.0))
                if got is None:
                    return None, None
                received = self._received(*got)
                if received is not None:
                    return received
        finally:
            waiting.append(link)

    async def agroup_add(self, group: str, channel: str) -> None:
        await self.aapply([self.add_word(group, channel)])

    async def agroup_discard(self, group: str, channel: str) -> None:
        await self.aapply([self.discard_word(group, channel)])

    async def asend_group(self, group: str, message: dict[str, Any]) -> None:
        await self.aapply([self.group_word(group, message)])

    async def aflush(self) -> None:
        await self._alink().perform(Flush())

    # ----------------------------------------------------------------- words

    def word(
        self, channel: str, message: Any, *, delay: float = 0, admission: bool = True
    ) -> Words:
        """What sending ``message`` to ``channel`` in ``delay`` seconds is; checks both."""
        return effects.send(
            self,
            names.check_channel(channel),
            self.encode(message),
            delay=int(delay * 1000),
            admission=admission,
        )

    def group_word(self, group: str, message: Any) -> Words:
        return effects.group_send(self, names.check_group(group), self.encode(message))

    def add_word(self, group: str, channel: str) -> Words:
        return effects.group_add(self, names.check_group(group), names.check_channel(channel))

    def discard_word(self, group: str, channel: str) -> Words:
        return effects.group_discard(names.check_group(group), names.check_channel(channel))

    def raise_for(self, results: Sequence[SendResult], channel: str) -> None:
        """Raise what a result says, in words."""
        for result in results:
            if result == "full":
                raise ChannelFull(
                    f"The channel {channel!r} holds {self.capacity_of(channel)} messages, its "
                    "capacity. Run more workers for it, or raise capacity or channel_capacity "
                    "in the layer's CONFIG."
                )
            if result == "fenced":
                raise Fenced

    def apply(
        self, words: Sequence[Words], *, fence: tuple[str, int] | None = None
    ) -> tuple[SendResult, ...]:
        """Do ``words`` now, each on its own, in one round trip.

        ``fence``: the (worker, token) they are sent from. Raises OutcomeUnknown when the
        answer got lost: they may or may not have been applied.
        """
        packed, _ = effects.pack(words)
        with self._link() as link:
            try:
                (sent,) = link.perform(Send("", 0, packed, fence=fence))
            except BrokerUnavailable as error:
                raise _unknown(error) from error
        return _results(sent)

    async def aapply(
        self, words: Sequence[Words], *, fence: tuple[str, int] | None = None
    ) -> tuple[SendResult, ...]:
        """``apply`` for an event loop."""
        packed, _ = effects.pack(words)
        try:
            (sent,) = await self._alink().perform(Send("", 0, packed, fence=fence))
        except BrokerUnavailable as error:
            raise _unknown(error) from error
        return _results(sent)

    def part(self, fence: tuple[str, int], address: Address, index: int, message: bytes) -> None:
        """Send part ``index`` of the response to ``address`` while its consumer still runs.

        Raises Fenced, ProcessGone (the client has left: stop), OutcomeUnknown.
        """
        part = effects.part(address, fence[1], index, message)
        with self._link() as link:
            try:
                (told,) = link.perform(Part(*fence, address.process, address.connection, part))
            except BrokerUnavailable as error:
                raise _unknown(error) from error
        _told(told)

    async def apart(
        self, fence: tuple[str, int], address: Address, index: int, message: bytes
    ) -> None:
        """``part`` for an event loop."""
        part = effects.part(address, fence[1], index, message)
        try:
            (told,) = await self._alink().perform(
                Part(*fence, address.process, address.connection, part)
            )
        except BrokerUnavailable as error:
            raise _unknown(error) from error
        _told(told)

    # ------------------------------------------------------------------ ends

    def local(self) -> LocalProcess:
        """The running event loop's end of this layer, made at first use, not yet started."""
        ours = self._loop()
        if ours.local is None:
            ours.local = LocalProcess(self)
        return ours.local

    def close(self) -> None:
        """Close the idle connections of the synchronous face."""
        with self._links_lock:
            links, self._links = self._links, []
        for link in links:
            link.close()

    async def aclose(self) -> None:
        """Close the running event loop's connections."""
        ours = self._loops.pop(asyncio.get_running_loop(), None)
        if ours is not None:
            for link in (ours.link, *ours.waiting):
                if link is not None:
                    await link.aclose()

    def _loop(self) -> "_Loop":
        loop = asyncio.get_running_loop()
        ours = self._loops.get(loop)
        if ours is None:
            ours = self._loops[loop] = _Loop()
        return ours

    def _alink(self) -> AsyncLink:
        ours = self._loop()
        if ours.link is None:
            ours.link = self.engine.alink("face")
        return ours.link

    def _link(self) -> "_Borrowed":
        return _Borrowed(self)

    def _perform(self, operation: Any) -> Any:
        return self._performs(operation)[0]

    def _performs(self, *operations: Any) -> list[Any]:
        with self._link() as link:
            return link.perform(*operations)

    def _received(self, channel: str, payload: bytes) -> tuple[str, dict[str, Any]] | None:
        """The message of what was taken off ``channel``; None when it has expired."""
        if channel.startswith(BODY_PREFIX):
            return channel, codec.decode(payload)
        envelope = codec.decode_envelope(payload)
        if 0 < envelope.expires < self.now():
            logger.warning("A message on %s had expired and was dropped.", channel)
            return None
        return channel, {**codec.decode(envelope.common), **codec.decode(envelope.frames[0])}


BODY_PREFIX = "http.request.body."


class _Loop:
    """What one event loop has of a layer."""

    def __init__(self) -> None:
        self.link: AsyncLink | None = None
        self.waiting: list[AsyncLink] = []  # Idle links for receives that block.
        self.local: LocalProcess | None = None


class _Borrowed:
    """A link for one call: an idle one, or a new one."""

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer

    def __enter__(self) -> Link:
        layer = self._layer
        with layer._links_lock:
            if layer._links_pid != os.getpid():
                # After a fork: these are the parent's, and so are the answers on them.
                layer._links, layer._links_pid = [], os.getpid()
            self._link = layer._links.pop() if layer._links else None
        if self._link is None:
            self._link = layer.engine.link("face")
        return self._link

    def __exit__(self, *exc: object) -> None:
        assert self._link is not None
        with self._layer._links_lock:
            if len(self._layer._links) < 32:
                self._layer._links.append(self._link)
                return
        self._link.close()


def _results(sent: Sent | None) -> tuple[SendResult, ...]:
    if sent is None:
        raise ProcessGone
    return sent.results


def _told(told: SendResult) -> None:
    if told == "fenced":
        raise Fenced
    if told == "gone":
        raise ProcessGone("The client of this response has left, or its process has.")


def _unknown(error: BrokerUnavailable) -> OutcomeUnknown:
    return OutcomeUnknown(f"{error} The send may or may not have been applied.")


def _total(counters: Mapping[str, int], prefix: str) -> int:
    return sum(value for name, value in counters.items() if name.startswith(prefix))
