"""What a call sends: words for effects, and the round trip that applies them.

From ``layers.base`` (one word for a call), ``djchan.outbox`` and ``djchan.channel`` (all that a
consumer or a view said); through ``layers.effects``, which knows what a word means, to a link.
"""

import time
from collections.abc import Sequence
from typing import Any

from djchan import names
from djchan.exceptions import BrokerError, ChannelFull, Fenced, ProcessGone
from djchan.layers import effects
from djchan.layers.callers import Caller
from djchan.layers.calls import Calls
from djchan.layers.effects import Words
from djchan.layers.flow import Stream
from djchan.layers.operations import Address, Part, Push, Send, SendResult, Sent


class Sending(Calls):
    """The part of a layer that sends."""

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
            if result.startswith("full"):
                raise ChannelFull(self.why_full(result, channel))
            if result == "fenced":
                raise Fenced

    def apply(
        self, words: Sequence[Words], *, fence: tuple[str, int] | None = None
    ) -> tuple[SendResult, ...]:
        """Do ``words`` now, each on its own, in one round trip.

        ``fence``: the (worker, token) they are sent from. A lost answer is asked for again for
        ``send_retry`` seconds; then it raises OutcomeUnknown: they may or may not have been
        applied.
        """
        caller = self.callers.take()
        (sent,) = self._repeat(_send(caller, words, fence))
        self.callers.give_back(caller)
        return _results(sent)

    async def aapply(
        self, words: Sequence[Words], *, fence: tuple[str, int] | None = None
    ) -> tuple[SendResult, ...]:
        """``apply`` for an event loop."""
        caller = self.callers.take()
        (sent,) = await self._arepeat(_send(caller, words, fence))
        self.callers.give_back(caller)
        return _results(sent)

    def apply_from_delivery(self, words: Sequence[Words]) -> tuple[SendResult, ...]:
        """``apply`` for a delivery of another layer, which does not end before the answer.

        Channels take so many messages as from a commit (``overflow``). Raises BrokerError when
        there was none for ``stream_retry`` seconds.
        """
        caller, began = self.callers.take(), time.monotonic()
        repeat = self.unanswered.repeat(self.stream_retry)
        try:
            (sent,) = self._repeat(_send(caller, _to_limit(words), None), repeat=repeat)
        except BrokerError:
            self.unanswered.began(began)
            raise
        self.unanswered.ended()
        self.callers.give_back(caller)
        return _results(sent)

    async def aapply_from_delivery(self, words: Sequence[Words]) -> tuple[SendResult, ...]:
        """``apply_from_delivery`` for an event loop."""
        caller, began = self.callers.take(), time.monotonic()
        repeat = self.unanswered.repeat(self.stream_retry)
        try:
            (sent,) = await self._arepeat(_send(caller, _to_limit(words), None), repeat=repeat)
        except BrokerError:
            self.unanswered.began(began)
            raise
        self.unanswered.ended()
        self.callers.give_back(caller)
        return _results(sent)

    def part(
        self,
        fence: tuple[str, int],
        address: Address,
        index: int,
        message: bytes,
        *,
        stream: Stream | None = None,
    ) -> None:
        """Send part ``index`` of the response to ``address`` while its consumer still runs.

        ``stream``: counts what was sent of it; the caller has seen that there is room. A lost
        answer is asked for again for ``stream_retry`` seconds.

        Raises Fenced, ProcessGone (the client has left: stop), OutcomeUnknown.
        """
        part = effects.part(address, fence[1], index, message)
        if stream is not None:
            stream.send(self.engine.entry_size(part))
        caller = self.callers.take()
        (told,) = self._repeat(_part(caller, fence, address, part), repeat=self._patient())
        self.callers.give_back(caller)
        _told(told)

    async def apart(
        self,
        fence: tuple[str, int],
        address: Address,
        index: int,
        message: bytes,
        *,
        stream: Stream | None = None,
    ) -> None:
        """``part`` for an event loop."""
        part = effects.part(address, fence[1], index, message)
        if stream is not None:
            stream.send(self.engine.entry_size(part))
        caller = self.callers.take()
        (told,) = await self._arepeat(_part(caller, fence, address, part), repeat=self._patient())
        self.callers.give_back(caller)
        _told(told)


def _to_limit(words: Sequence[Words]) -> list[Words]:
    return [
        word._replace(capacity=word.limit) if isinstance(word, Push) and word.capacity else word
        for word in words
    ]


def _send(caller: Caller, words: Sequence[Words], fence: tuple[str, int] | None) -> Send:
    packed, _ = effects.pack(words)
    return Send("", caller.next(), packed, fence=fence, link=caller.id)


def _part(caller: Caller, fence: tuple[str, int], address: Address, entry: bytes) -> Part:
    home, connection, _ = address
    return Part(*fence, home, connection, entry, link=caller.id, number=caller.next())


def _results(sent: Sent | None) -> tuple[SendResult, ...]:
    if sent is None:
        raise ProcessGone
    return sent.results


def _told(told: SendResult) -> None:
    if told == "fenced":
        raise Fenced
    if told == "gone":
        raise ProcessGone("The client of this response has left, or its process has.")
