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
import random
import secrets
import string
import threading
import warnings
import weakref
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, Literal

from djchan import names
from djchan.exceptions import (
    BrokerUnavailable,
    ChannelFull,
    Fenced,
    InvalidChannelLayer,
    MessageTooLarge,
    OutcomeUnknown,
    ProcessGone,
    UndecodableEnvelope,
)
from djchan.layers import codec, effects
from djchan.layers.effects import Words
from djchan.layers.engine import AsyncLink, Engine, Link
from djchan.layers.local import LocalProcess
from djchan.layers.operations import (
    Address,
    Counters,
    Drop,
    Flush,
    Keep,
    Length,
    Members,
    Oldest,
    Operation,
    Part,
    Pop,
    Recall,
    Send,
    SendResult,
    Sent,
    Waiting,
)
from djchan.layers.policy import Policy

BLOCK = 5.0  # Seconds that a blocking receive waits at most; callers loop.

logger = logging.getLogger(__name__)


class BaseChannelLayer(Policy):
    """A channel layer over ``engine``; ``options`` are those of ``layers.policy.Policy``.

    ``symmetric_encryption_keys``: a list of texts. What crosses the layer is encrypted with the
    first and can be read with each of them; names stay plain (``layers.sealed``).
    """

    ChannelFull = ChannelFull
    MessageTooLarge = MessageTooLarge
    extensions = ("groups", "flush", "statistics")

    def __init__(
        self, *, engine: Engine, symmetric_encryption_keys: Any = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.engine = engine
        if symmetric_encryption_keys is not None:
            self.engine = _sealed(engine, symmetric_encryption_keys)
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
        """Take one message, for good (no lease). ``block`` waits for at most 5 seconds.

        Which of ``channels`` is looked at first is chance, so that none of them starves.
        """
        wanted = _shuffled(channels)
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
        """``messages_count``: that are or were on the layer's channels; ``channel_full_count``:
        sends that were refused. Since the layer was flushed, or began."""
        counters, waiting = self._performs(Counters(), Waiting())
        return {
            "messages_count": _total(counters, "taken:") + sum(waiting.values()),
            "channel_full_count": _total(counters, "full:"),
        }

    def waiting(self) -> dict[str, int]:
        """How many messages wait, by channel, where some do."""
        waiting: dict[str, int] = self._perform(Waiting())
        return waiting

    def channel_statistics(self, channel: str) -> dict[str, int]:
        """The same of one channel, with ``messages_pending``: that wait; ``messages_max_age``:
        seconds that the first of them has waited. Process-local channels are counted by prefix,
        single-reader channels too, but for those that wait."""
        queue = names.non_local(names.check_channel(channel))
        counters, pending, oldest = self._performs(Counters(), Length(queue), Oldest(queue))
        return {
            "messages_count": counters.get(names.counter("taken", queue), 0) + pending,
            "messages_pending": pending,
            "messages_max_age": self._age(oldest),
            "channel_full_count": counters.get(names.counter("full", queue), 0),
        }

    # ------------------------------------------------------------- its twins

    async def asend(self, channel: str, message: dict[str, Any]) -> None:
        self.raise_for(await self.aapply([self.word(channel, message)]), channel)

    async def areceive(
        self, channels: Iterable[str], block: bool = False
    ) -> tuple[str, dict[str, Any]] | tuple[None, None]:
        wanted = _shuffled(channels)
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

    # ----------------------------------------------------------- kept values
    # Said again, once, when the answer got lost: that changes nothing but the answer to
    # "create", which then is that somebody else was first.

    def keep(
        self, key: str, value: bytes, *, ttl: float, must: Literal["", "create", "exist"] = ""
    ) -> bool:
        """Keep ``value`` under ``key`` for ``ttl`` seconds, whoever dies; whether it is kept.

        ``must``: "create" keeps it only where nothing is, "exist" only where something is.
        Raises MessageTooLarge.
        """
        return bool(self._repeat(self._keep(key, value, ttl, must)))

    def recall(self, key: str, *, ttl: float = 0) -> bytes | None:
        """What is kept under ``key``, from now on for ``ttl`` seconds (0: as before); or None."""
        value: bytes | None = self._repeat(Recall(key, _milliseconds(ttl)))
        return value

    def drop(self, key: str) -> bool:
        """Keep nothing under ``key`` any more; whether something was."""
        return bool(self._repeat(Drop(key)))

    async def akeep(
        self, key: str, value: bytes, *, ttl: float, must: Literal["", "create", "exist"] = ""
    ) -> bool:
        return bool(await self._arepeat(self._keep(key, value, ttl, must)))

    async def arecall(self, key: str, *, ttl: float = 0) -> bytes | None:
        value: bytes | None = await self._arepeat(Recall(key, _milliseconds(ttl)))
        return value

    async def adrop(self, key: str) -> bool:
        return bool(await self._arepeat(Drop(key)))

    def _keep(
        self, key: str, value: bytes, ttl: float, must: Literal["", "create", "exist"]
    ) -> Keep:
        if len(value) > self.max_message_size:
            raise MessageTooLarge(
                f"What is to be kept under {key!r} has {len(value)} bytes; the limit is "
                f"{self.max_message_size} (max_message_size in the layer's CONFIG)."
            )
        return Keep(key, value, _milliseconds(ttl) or 1, must)

    def _repeat(self, operation: Operation) -> Any:
        with self._link() as link:
            try:
                (answer,) = link.perform(operation)
            except BrokerUnavailable:
                (answer,) = link.perform(operation)
        return answer

    async def _arepeat(self, operation: Operation) -> Any:
        link = self._alink()
        try:
            (answer,) = await link.perform(operation)
        except BrokerUnavailable:
            (answer,) = await link.perform(operation)
        return answer

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
                    "capacity. Run more workers for it (and see that a route names it), or raise "
                    "capacity or channel_capacity in the layer's CONFIG."
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

    def _age(self, payload: bytes | None) -> int:
        """Whole seconds since the delivery ``payload`` was made; 0 for what is none."""
        try:
            created = 0 if payload is None else codec.decode_envelope(payload).created
        except UndecodableEnvelope:
            created = 0
        return max(0, self.now() - created) // 1000 if created else 0

    def _received(self, channel: str, payload: bytes) -> tuple[str, dict[str, Any]] | None:
        """The message of what was taken off ``channel``; None when it has expired, or cannot be
        read."""
        if channel.startswith(BODY_PREFIX):
            return channel, codec.decode(payload)
        try:
            envelope = codec.decode_envelope(payload)
        except UndecodableEnvelope as error:
            logger.error("A message on %s was dropped. %s", channel, error)
            return None
        if 0 < envelope.expires < self.now():
            logger.warning("A message on %s had expired and was dropped.", channel)
            return None
        return channel, {**codec.decode(envelope.common), **codec.decode(envelope.frames[0])}


BODY_PREFIX = "http.request.body."


def _shuffled(channels: Iterable[str]) -> tuple[str, ...]:
    wanted = [names.check_channel(name, receive=True) for name in channels]
    random.shuffle(wanted)
    return tuple(wanted)


def _sealed(engine: Engine, keys: Any) -> Engine:
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


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def _unknown(error: BrokerUnavailable) -> OutcomeUnknown:
    return OutcomeUnknown(f"{error} The send may or may not have been applied.")


def _total(counters: Mapping[str, int], prefix: str) -> int:
    return sum(value for name, value in counters.items() if name.startswith(prefix))
