"""A delivery that was claimed: whether it is run, and what its end is. No I/O happens here.

From ``djchan.lanes``, which claims; on to ``djchan.dispatch``, a message at a time, and
back to the lane as the operation that ends it.

::

                 ┌─► Refusal ──► GiveUp: expired, poison, lost
    Leased ──► open_delivery
                 ├─► UndecodableEnvelope ──► Release: another version may read it
                 └─► Work ──► a message, its words; the next … ──► outcome(): Commit
                                 └── progress(): a Commit of the frames so far

A delivery of a connection holds one or more frames, a custom message is a delivery of its
own. They run one after the other, and what they sent is committed in order: together, or in
parts when that takes long. A frame that asks for a later run holds up those behind it; a
custom message that does goes to the tail of its channel.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from djchan.exceptions import UndecodableEnvelope
from djchan.layers import codec, effects
from djchan.layers.effects import Words
from djchan.layers.operations import (
    STARTED,
    Address,
    Delay,
    Drop,
    Effect,
    GiveUp,
    Keep,
    Later,
    Leased,
    Outcome,
)
from djchan.outbox import Uncommitted
from djchan.utils import name_that_thing

HTTP = "http.request"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
RETRIES = "__retries__"
WAITS = "__waits__"  # Runs that ended because the layer did not answer.
WAIT = 1000  # ms until such a message runs again.

_EMPTY_MAP = b"\x80"


class Rules(NamedTuple):
    """What a worker goes by. ``attempts``: runs before a delivery counts as poison.

    ``at_most_once``: whether a channel is never run twice. ``retry_delay``: ms until a
    message whose consumer raised ConsumeLater runs again.
    """

    attempts: int
    at_most_once: Callable[[str], bool]
    retry_delay: int


class Refusal(NamedTuple):
    """A delivery that is not to be run; ``status`` is what its connection is told."""

    token: int
    channel: str
    id: str
    reason: str
    status: str
    bury: bool
    address: Address | None
    since: int = 0  # Frames of it that were committed before.

    def give_up(self, worker: str) -> GiveUp:
        answer = b"" if self.address is None else effects.answer(self.address, [], self.status)
        return GiveUp(worker, self.token, self.reason, self.bury, self.address, answer, self.since)


class Work:
    """A delivery that is run now: its messages, and what they have come to so far."""

    __slots__ = (
        "_begun",
        "_consumer",
        "_envelope",
        "_failed",
        "_later",
        "_ran",
        "_reason",
        "_routed",
        "_rules",
        "_said",
        "_settling",
        "_words",
        "address",
        "channel",
        "contents",
        "crashed",
        "first",
        "over",
        "source",
        "token",
        "uncommitted",
    )

    def __init__(
        self,
        leased: Leased,
        envelope: codec.Envelope,
        contents: list[dict[str, Any]],
        *,
        address: Address | None,
        first: int,
        rules: Rules,
    ) -> None:
        self.token = leased.token
        self.crashed = leased.attempt > 1  # A worker has died with it.
        self._begun = leased.attempt + envelope.runs  # Runs, with this one.
        self.channel = envelope.channel or leased.channel
        self.source = leased.source
        self.address = address
        self.contents = contents  # Of the messages that are still to run.
        self.first = first  # Their place in the delivery: those before it are committed.
        self.over = False  # Its end has come: there is no progress to be told any more.
        self._envelope = envelope
        self._rules = rules
        self.uncommitted = Uncommitted()
        self._settling: list[Keep | Drop] = []  # Those of them that a progress commit has sent.
        self._words: list[Words] = []  # Of messages that ran and were not committed.
        self._ran = self._said = 0  # Messages that ran; those that a progress was made of.
        self._later: Later | None = None
        self._reason = ""  # Why it is given up; "" while it is not.
        # The frames before ``first`` have found their consumers.
        self._routed = first > 0
        self._failed = False
        self._consumer: Callable[..., Any] | None = None  # Of the message that ran last.

    @property
    def response(self) -> Address | None:
        """Where the response goes, if this is an HTTP request."""
        return self.address if self.channel == HTTP else None

    def attempt_of(self, content: Mapping[str, object]) -> int:
        """The number of the run that is about to begin for this content, from 1."""
        if RETRIES not in content and WAITS not in content:
            return self._begun
        put_off = (content.get(RETRIES, 0), content.get(WAITS, 0))
        return self._begun + sum(count for count in put_off if isinstance(count, int))

    def id_of(self, content: dict[str, Any]) -> str:
        """The id of the message with this content: the same at every run."""
        return codec.message_id(self._envelope, content)

    def keep(
        self,
        words: list[Words],
        *,
        routed: bool = True,
        failed: bool = False,
        consumer: Callable[..., Any] | None = None,
    ) -> None:
        """The next message was run, by ``consumer``, and sent ``words``."""
        self._words += words
        self._consumer = consumer
        self._routed |= routed
        self._failed |= failed
        self._ran += 1
        self.over = self._ran == len(self.contents)

    @property
    def behind(self) -> int:
        """Messages of it that wait for the one that runs."""
        return max(0, len(self.contents) - self._ran - 1)

    @property
    def unsaid(self) -> bool:
        """Whether there is progress to be told."""
        return self._ran > self._said and not self.over

    def progress(self) -> Outcome | None:
        """What has run so far and was not told, to be committed while the rest runs.

        None when there is nothing, or when the rest has run, too: that is for ``outcome``.
        What is told is not part of a later one, so the caller has to see it through, and
        must be alone with this delivery meanwhile.
        """
        if not self.unsaid:
            return None
        words, self._words = self._words, []
        if self.uncommitted:
            self._settling += [each for each in words if isinstance(each, Keep | Drop)]
        since, self._said = self._since, self._ran
        packed, answer = self._pack(words, since, self._since)
        return Outcome(self.token, packed, self.address, answer, progress=self._since, since=since)

    def committed(self) -> None:
        """The layer has applied every progress commit."""
        if self._settling:
            self.uncommitted.forget(self._settling)
            self._settling = []

    def put_off(self, index: int, words: Sequence[Words] = (), *, waits: bool = False) -> bool:
        """Message ``index`` is to be run later; whether those behind it may run now.

        It carries its number of retries, or with ``waits`` the number of runs that the layer
        did not answer. ``words``: what is committed all the same.
        """
        self._routed = True
        envelope, place = self._envelope, self.first + index
        raw = codec.decode(envelope.frames[place])
        counted = WAITS if waits else RETRIES
        so_far = raw.get(counted, 0)
        raw[counted] = so_far + 1 if isinstance(so_far, int) else 1
        # As large as it was let in, and a number more.
        again = msgspec.Raw(codec.encode(raw, sys.maxsize))
        delay = WAIT if waits else self._rules.retry_delay
        if self.address is None:
            alone = msgspec.structs.replace(envelope, frames=[again])
            if envelope.expires:
                alone.expires += delay
            self.keep([*words, Delay(self.channel, codec.encode_envelope(alone), delay)])
            return True
        frames = list(envelope.frames)
        frames[place] = again
        payload = codec.encode_envelope(msgspec.structs.replace(envelope, frames=frames))
        self._later = Later(delay, place, payload, self.channel)
        self._words += words
        self.over = True
        return False

    def left(self, worker: str) -> Outcome | GiveUp:
        """The outcome for a run that is abandoned: another worker continues after the messages
        that have run, and the next message is marked as possibly begun."""
        if _runs_once(self.channel, self.contents, self._rules):
            lost = Refusal(
                *(self.token, self.channel, self._envelope.id, "lost", codec.LOST),
                bury=False,
                address=self.address,
                since=self._since,
            )
            return lost.give_up(worker)
        since, done = self._since, self.first + self._ran
        payload = codec.send_again(codec.encode_envelope(self._envelope))
        later = Later(0, done, payload, self.channel)
        packed, answer = self._pack(self._words, since, done)
        return Outcome(self.token, packed, self.address, answer, later, since=since)

    def abandon(self, reason: str) -> None:
        """End the delivery: the message that ran last failed and does not run again."""
        self._reason = reason
        self.over = True

    def end(self, worker: str) -> Outcome | GiveUp:
        """The end of this delivery, for the layer."""
        if self._reason:
            return self.give_up(worker, self._reason, status=codec.POISON)
        return self.outcome()

    def yield_rest(self) -> None:
        """The messages that have not run go back to the layer, to have another turn."""
        place = self.first + self._ran
        payload = codec.encode_envelope(self._envelope)
        # Not at once: that would be the head of the channel, before waiting deliveries.
        self._later = Later(1, place, payload, self.channel)
        self.over = True

    def give_up(self, worker: str, reason: str = "error", *, status: str = codec.FAILED) -> GiveUp:
        """The end of a delivery that could not be settled: kept as a dead letter."""
        refusal = Refusal(
            *(self.token, self.channel, self._envelope.id, reason, status),
            bury=True,
            address=self.address,
            since=self._since,
        )
        return refusal.give_up(worker)

    def outcome(self) -> Outcome:
        """The end of this delivery, to be committed."""
        if self.address is None:
            return Outcome(self.token, effects.pack(self._words)[0])
        since = self._since
        if self._later is not None:
            packed, answer = self._pack(self._words, since, self._later.done)
            return Outcome(self.token, packed, self.address, answer, self._later, since=since)
        status = codec.DONE
        if self._failed:
            status = codec.FAILED
        elif not self._routed:
            status = codec.UNROUTED
        packed, replies = effects.pack(self._words, self.address)
        unanswered = ""
        if self.channel == HTTP and not replies and self._consumer is not None:
            unanswered = name_that_thing(self._consumer)
        answer = effects.answer(self.address, replies, status, consumer=unanswered)
        return Outcome(self.token, packed, self.address, answer, since=since)

    @property
    def _since(self) -> int:
        """Messages of it that were committed, or are on their way to be."""
        return self.first + self._said

    def _pack(
        self, words: list[Words], since: int, frames: int
    ) -> tuple[tuple[Effect, ...], bytes]:
        """``words`` as effects and the entry that says that so many ``frames`` are answered."""
        if self.address is None or frames == since:
            return effects.pack(words)[0], b""
        packed, replies = effects.pack(words, self.address)
        return packed, effects.progress(self.address, frames, replies)


def open_delivery(leased: Leased, now: int, rules: Rules) -> Work | Refusal:
    """What is to be done with a delivery claimed at ``now`` (ms, the layer's clock).

    Raises UndecodableEnvelope.
    """
    envelope = codec.decode_envelope(leased.payload)
    address = Address(envelope.process, envelope.connection, envelope.seq) if envelope.seq else None
    first = 0 if leased.done == STARTED else leased.done
    common, frames = envelope.common, envelope.frames
    try:
        if bytes(common) == _EMPTY_MAP:
            contents = [{**codec.decode(frame)} for frame in frames[first:]]
        else:
            # Decoded for each: what one consumer changes is its own.
            contents = [{**codec.decode(common), **codec.decode(frame)} for frame in frames[first:]]
    except TypeError as error:
        raise UndecodableEnvelope("The messages of this delivery are no dicts.") from error
    if leased.attempt > 1 or envelope.runs or envelope.expires:
        refusal = _refusal(leased, envelope, contents, now, rules, address=address)
        if refusal is not None:
            return refusal
    return Work(leased, envelope, contents, address=address, first=first, rules=rules)


def _refusal(
    leased: Leased,
    envelope: codec.Envelope,
    contents: list[dict[str, Any]],
    now: int,
    rules: Rules,
    *,
    address: Address | None,
) -> Refusal | None:
    channel = leased.channel

    def refuse(reason: str, status: str, *, bury: bool) -> Refusal:
        since = 0 if leased.done == STARTED else leased.done
        return Refusal(leased.token, channel, envelope.id, reason, status, bury, address, since)

    # A dead letter that is sent again has no number, and runs because an operator wants it to.
    begun = leased.attempt > 1 or (envelope.runs and envelope.seq)
    if not begun:
        # At the first run only: what has run once, or was put off, has not waited for us.
        put_off = any(RETRIES in content or WAITS in content for content in contents)
        waited = envelope.expires and not (leased.done or put_off or envelope.runs)
        if waited and envelope.expires < now:
            bury = address is None and not rules.at_most_once(channel)
            return refuse("expired", codec.EXPIRED, bury=bury)
        return None
    if _runs_once(channel, contents, rules) or (channel == HTTP and leased.done == STARTED):
        return refuse("lost", codec.LOST, bury=False)
    if leased.attempt > rules.attempts:
        return refuse("poison", codec.POISON, bury=True)
    return None


def _runs_once(channel: str, contents: list[dict[str, Any]], rules: Rules) -> bool:
    """Whether these messages may begin only one run."""
    if channel == HTTP:
        unsafe = any(content.get("method") not in SAFE_METHODS for content in contents)
        return unsafe or rules.at_most_once(channel)
    return rules.at_most_once(channel)


def next_wait(now: int, next_due: int, limit: float) -> float:
    """Seconds to wait for work, at most ``limit``: until ``next_due`` (ms; 0: nothing is).

    Never 0, which would be for ever.
    """
    if not next_due:
        return limit
    return max(0.005, min(limit, (next_due - now) / 1000))
