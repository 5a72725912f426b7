"""Dead letters: found, read, sent again, deleted. Nothing is lost by looking.

From ``manage.py deadletters`` (or an admin page), with a layer; on to its engine. A letter is
a delivery that was not to be run (any more)::

    Letters.select() ──► Letter ──► send_again(): a detached copy at the tail of its channel
                                └─► delete()

The copy answers nobody: its connection has been told long ago, and is most likely gone.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import msgspec

from djchan.exceptions import UndecodableEnvelope
from djchan.layers import codec
from djchan.layers.base import BaseChannelLayer
from djchan.layers.operations import STARTED, DeadChannels, DeadLetters, Discard, Redrive

PAGE = 100  # Letters of one question.
BATCH = 20  # Letters that are sent again, or deleted, in one round trip.

# What the reasons mean.
WHY = {
    "poison": "each of its runs ended with the death of its worker process (attempts in WORKER)",
    "stuck": "its consumer ran for longer than the worker's run limit",
    "expired": "no worker took it before it expired (expiry or channel_expiry in CONFIG)",
    "overflow": "its channel was over its limit, and so was what is parked beside it",
    "unsent": "another channel layer did not take what its consumer sent there; the log says why",
    "error": "the end of its run could not be settled; the worker's log has the traceback",
}

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Letter(NamedTuple):
    channel: str
    id: str
    reason: str
    at: int  # ms since the epoch.
    attempt: int  # Of its last run, or of the one that was not to be.
    done: int  # Frames that were committed before.
    payload: bytes

    @property
    def name(self) -> str:
        """What finds it among the letters of all channels."""
        return f"{self.channel}/{self.id}"


class Contents(NamedTuple):
    """What is in a letter. ``messages``: those that are not done, each a dict."""

    frames: int
    done: int
    ids: list[str]
    messages: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which letters. What is empty, or None, excludes none.

    ``channels``, ``reasons``: globs. ``names``: ``CHANNEL/ID`` or ``ID``. ``older_than``,
    ``newer_than``: seconds, or a timedelta.
    """

    channels: Sequence[str] = ()
    reasons: Sequence[str] = ()
    names: Sequence[str] = ()
    older_than: float | timedelta | None = None
    newer_than: float | timedelta | None = None

    @property
    def is_everything(self) -> bool:
        return self == Selection()

    def has_channel(self, channel: str) -> bool:
        return _matches(channel, self.channels)

    def has(self, letter: Letter, now: int) -> bool:
        """``now``: the layer's clock, ms."""
        age = timedelta(milliseconds=now - letter.at)
        return (
            self.has_channel(letter.channel)
            and _matches(letter.reason, self.reasons)
            and (not self.names or bool({letter.id, letter.name} & set(self.names)))
            and (self.older_than is None or age >= _span(self.older_than))
            and (self.newer_than is None or age <= _span(self.newer_than))
        )


def _span(given: float | timedelta) -> timedelta:
    return given if isinstance(given, timedelta) else timedelta(seconds=given)


# Reasons of letters whose last run had begun.
BEGUN = frozenset({"stuck", "error"})


class Letters:
    """The dead letters of ``layer``; ``close()`` when done. Everything raises BrokerErrors."""

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer
        self._link = layer.engine.link("letters")

    def close(self) -> None:
        self._link.close()

    def channels(self) -> dict[str, int]:
        """Channel to how many letters it has, by name."""
        (counts,) = self._link.perform(DeadChannels())
        return dict(sorted(counts.items()))

    def of(self, channel: str) -> Iterator[Letter]:
        """All letters of a channel, newest first."""
        before = ""
        while True:
            (page,) = self._link.perform(DeadLetters(channel, PAGE, before))
            for letter in page:
                yield Letter(channel, *letter)
            if len(page) < PAGE:
                return
            before = page[-1].id

    def select(self, selection: Selection) -> Iterator[Letter]:
        """The letters that were selected, by channel, newest first."""
        now = self._layer.now()
        for channel in self.channels():
            if selection.has_channel(channel):
                yield from (letter for letter in self.of(channel) if selection.has(letter, now))

    def send_again(self, letters: Iterable[Letter]) -> Iterator[tuple[Letter, bool]]:
        """Queue each again, in this order; with whether it was there still.

        Raises UndecodableEnvelope for one that cannot be read, before any of its batch went.
        """
        for batch in _batches(letters):
            redrives = [Redrive(each.channel, each.id, detached(each)) for each in batch]
            yield from zip(batch, self._link.perform(*redrives), strict=True)

    def delete(self, letters: Iterable[Letter]) -> Iterator[tuple[Letter, bool]]:
        """Delete each; with whether it was there still."""
        for batch in _batches(letters):
            discards = [Discard(each.channel, each.id) for each in batch]
            yield from zip(batch, self._link.perform(*discards), strict=True)


def detached(letter: Letter) -> bytes:
    """What is not done of a letter, as a delivery that no connection waits for.

    It has no number, so that no floor stops it, and never expires. Messages keep their ids.
    Raises UndecodableEnvelope.
    """
    envelope = codec.decode_envelope(letter.payload)
    frames = envelope.frames[_done(letter, envelope) :]
    # One run more is counted than began, for what was given up in place of a run.
    runs = envelope.runs + letter.attempt - (letter.reason not in BEGUN)
    return codec.encode_envelope(
        msgspec.structs.replace(envelope, seq=0, expires=0, frames=frames, runs=runs)
    )


def read(letter: Letter) -> Contents:
    """What is in a letter. Raises UndecodableEnvelope."""
    envelope = codec.decode_envelope(letter.payload)
    done = _done(letter, envelope)
    try:
        messages = [
            {**codec.decode(envelope.common), **codec.decode(frame)}
            for frame in envelope.frames[done:]
        ]
    except TypeError as error:
        raise UndecodableEnvelope("The messages of this delivery are no dicts.") from error
    ids = [codec.message_id(envelope, message) for message in messages]
    return Contents(len(envelope.frames), done, ids, messages)


def by_channel(letters: Iterable[Letter]) -> dict[str, list[Letter]]:
    found: dict[str, list[Letter]] = {}
    for letter in letters:
        found.setdefault(letter.channel, []).append(letter)
    return found


def reasons(letters: Iterable[Letter]) -> str:
    """How many for each reason, as text."""
    counts = Counter(letter.reason for letter in letters)
    return ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))


def seconds(text: str) -> float:
    """``"90s"``, ``"10m"``, ``"2h"``, ``"3d"``, ``"1w"`` in seconds. Raises ValueError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no span of time: write 90s, 10m, 2h, 3d or 1w")
    return float(match[1]) * _UNITS[match[2]]


def _done(letter: Letter, envelope: codec.Envelope) -> int:
    """Frames that are not to be run again. A response that had begun is one frame, not done."""
    return 0 if letter.done == STARTED else min(letter.done, len(envelope.frames))


def _matches(name: str, globs: Sequence[str]) -> bool:
    return not globs or any(fnmatchcase(name, glob) for glob in globs)


def _batches(letters: Iterable[Letter]) -> Iterator[list[Letter]]:
    batch: list[Letter] = []
    for letter in letters:
        batch.append(letter)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
