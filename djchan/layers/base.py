"""The contract of a channel layer: Channels 1.x's names over any engine.

From ``djchan.channel``, ``djchan.asgi`` and projects that use the layer itself; on to
``layers.sending`` for what is sent, and the engine for the rest. Each call has an ``a`` twin
for event loops.

Calls made here come from code that is no registered process (a view, a shell, cron). When
Redis's answer gets lost they are repeated under their number for a while, and then raise
OutcomeUnknown. What consumers send goes with their commit (``djchan.outbox``).
"""

import logging
import random
import secrets
import string
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from djchan import names
from djchan.exceptions import (
    BrokerError,
    ChannelFull,
    InvalidChannelLayer,
    MessageTooLarge,
    UndecodableEnvelope,
)
from djchan.layers import bodies, codec
from djchan.layers.keeping import Keeping
from djchan.layers.operations import Flush, Members, SendResult
from djchan.layers.sending import Sending
from djchan.layers.statistics import Statistics
from djchan.log import escaping

BLOCK = 5.0  # Seconds that a blocking receive waits at most; callers loop.
FULL = 0.5  # The same where the question for a body's next chunk was refused.

logger = escaping(logging.getLogger(__name__))


class BaseChannelLayer(Sending, Keeping, Statistics):
    """A channel layer over ``engine``; ``options`` are those of ``layers.policy.Policy``.

    ``symmetric_encryption_keys``: a list of texts. What crosses the layer is encrypted with the
    first and can be read with each of them; names stay plain (``layers.sealed``).
    """

    ChannelFull = ChannelFull
    MessageTooLarge = MessageTooLarge
    extensions = ("groups", "flush", "statistics")

    # -------------------------------------------------------------- 1.x face

    def send(self, channel: str, message: dict[str, Any]) -> None:
        """Send one message. Raises ChannelFull, MessageTooLarge, InvalidMessage (a
        TypeError), InvalidChannelName (a TypeError), OutcomeUnknown."""
        self.raise_for(self.apply([self.word(channel, message)]), channel)

    def receive(
        self, channels: Iterable[str], block: bool = False
    ) -> tuple[str, dict[str, Any]] | tuple[None, None]:
        """Take one message, for good (no lease). ``block`` waits for at most 5 seconds.

        A lost answer is asked for again for ``stream_retry`` seconds. Raises OutcomeUnknown
        (what was taken then is what the next receive on the same channels gets, for a minute).
        Which of ``channels`` is looked at first is chance, so that none of them starves.
        """
        wanted = _shuffled(channels)
        questions = self.readers.questions(wanted)
        results = self.apply(list(questions.values())) if questions else ()
        seconds = _patience(results) if block else 0.0
        while True:
            got = self.pop(wanted, seconds)
            if got is None:
                return _abandoned(questions, results)
            received = self._received(*got)
            if received is None:
                continue
            last = self.readers.last(*received) if bodies.is_body(received[0]) else None
            if last is not None:
                try:
                    self.apply([last])
                except BrokerError as error:
                    logger.debug(_LAST, error)
            return received

    def begin_body(self, channel: str) -> None:
        """A request runs, perhaps anew: its body is received from the first chunk on."""
        self.readers.begin(channel)

    def receive_many(
        self, channels: Iterable[str], block: bool = False
    ) -> tuple[str, dict[str, Any]] | tuple[None, None]:
        """Deprecated by Channels 1.1 in favor of receive()."""
        warnings.warn("receive_many is receive now", DeprecationWarning, stacklevel=2)
        return self.receive(channels, block)

    def new_channel(self, pattern: str | None = None) -> str:
        """A name nobody has, for a pattern that ends in ``?``."""
        if pattern is None:
            raise InvalidChannelLayer(_FOR_CHANNELS4)
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

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """The name in Channels 4, whose consumers use this layer by ``layers.channels4``."""
        raise InvalidChannelLayer(_FOR_CHANNELS4)

    def group_channels(self, group: str) -> list[str]:
        """The plain channels in the group, and one ``process!`` for each process with members.

        Which sockets are members is known to the process that holds them.
        """
        ((processes, channels),) = self._repeat(Members(names.check_group(group)))
        return [*channels, *(f"websocket.send.{process}!" for process in processes)]

    def flush(self) -> None:
        """Remove every message, group and process of this layer, and nothing else."""
        self._perform(Flush())

    # ------------------------------------------------------------- its twins

    async def asend(self, channel: str, message: dict[str, Any]) -> None:
        self.raise_for(await self.aapply([self.word(channel, message)]), channel)

    async def areceive(
        self, channels: Iterable[str], block: bool = False
    ) -> tuple[str, dict[str, Any]] | tuple[None, None]:
        wanted = _shuffled(channels)
        questions = self.readers.questions(wanted)
        results = await self.aapply(list(questions.values())) if questions else ()
        seconds = _patience(results) if block else 0.0
        while True:
            got = await self.apop(wanted, seconds)
            if got is None:
                return _abandoned(questions, results)
            received = self._received(*got)
            if received is None:
                continue
            last = self.readers.last(*received) if bodies.is_body(received[0]) else None
            if last is not None:
                try:
                    await self.aapply([last])
                except BrokerError as error:
                    logger.debug(_LAST, error)
            return received

    async def agroup_add(self, group: str, channel: str) -> None:
        await self.aapply([self.add_word(group, channel)])

    async def agroup_discard(self, group: str, channel: str) -> None:
        await self.aapply([self.discard_word(group, channel)])

    async def asend_group(self, group: str, message: dict[str, Any]) -> None:
        await self.aapply([self.group_word(group, message)])

    async def aflush(self) -> None:
        await self._alink().perform(Flush())

    def _received(self, channel: str, payload: bytes) -> tuple[str, dict[str, Any]] | None:
        """The message of what was taken off ``channel``; None when it has expired, or cannot be
        read."""
        if bodies.is_body(channel):
            chunk = codec.decode(payload)
            return (channel, chunk) if self.readers.took(channel, chunk) else None
        try:
            envelope = codec.decode_envelope(payload)
        except UndecodableEnvelope as error:
            logger.error(
                "A message on %s was dropped. %s", channel, error, extra={"channel": channel}
            )
            return None
        if 0 < envelope.expires < self.now():
            logger.warning(
                "A message on %s had expired and was dropped.", channel, extra={"channel": channel}
            )
            return None
        return channel, {**codec.decode(envelope.common), **codec.decode(envelope.frames[0])}


# Channels 4 makes a layer of CHANNEL_LAYERS itself where djchan is not there to hand it one.
_FOR_CHANNELS4 = (
    "Channels 4 uses this layer of CHANNEL_LAYERS by itself, and cannot: its entry is one for "
    "djchan. If all consumers of the project are those of Channels 4, the BACKEND is "
    '"djchan.channels4.RedisLayer", or "djchan.channels4.InMemoryLayer" for one process. For '
    'djchan, add "djchan" to INSTALLED_APPS, and give the entry a "ROUTING": the dotted path of '
    "your list of routes; Channels 4's consumers go on working over the same layer."
)
# It holds a place in the interface until the request is over, no longer.
_LAST = "The interface could not be told that a request body was read: %s"


def _patience(results: Sequence[SendResult]) -> float:
    """Seconds to wait after questions were answered so."""
    if "gone" in results:
        return 0.0
    return FULL if "full" in results else BLOCK


def _abandoned(
    questions: Iterable[str], results: Sequence[SendResult]
) -> tuple[str, dict[str, Any]] | tuple[None, None]:
    """The end of a body whose interface has died, if there is one; else nothing."""
    for channel, result in zip(questions, results, strict=True):
        if result == "gone":
            return channel, {"content": b"", "closed": True}
    return None, None


def _shuffled(channels: Iterable[str]) -> tuple[str, ...]:
    if isinstance(channels, str):
        raise InvalidChannelLayer(f"receive() takes a list of channels. {_FOR_CHANNELS4}")
    wanted = [names.check_channel(name, receive=True) for name in channels]
    random.shuffle(wanted)
    return tuple(wanted)
