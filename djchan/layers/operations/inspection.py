"""What lies in a layer: to count it, to look at it, to clear it away. No I/O happens here.

From ``layers.statistics``, ``layers.base`` and ``djchan.letters`` (the dead letters), for the
people who ask them; on to an engine.
"""

from typing import NamedTuple


class Length(NamedTuple):
    """Answer: messages waiting on the channel."""

    channel: str


class Waiting(NamedTuple):
    """Answer: dict of channel -> messages waiting on it, for those that have some."""


class Usage(NamedTuple):
    """Answer: Used."""


class Used(NamedTuple):
    """Bytes of entries as the layer keeps them, by channel, where there are some."""

    waiting: dict[str, int]  # Queued, and suspects.
    parked: dict[str, int]
    delayed: dict[str, int]
    dead: dict[str, int]  # Dead letters.

    @property
    def total(self) -> int:
        """Of all but dead letters: what ``total`` of a Push is compared with."""
        return sum(sum(part.values()) for part in (self.waiting, self.parked, self.delayed))


class Oldest(NamedTuple):
    """Answer: the payload at the head of the channel; None when nothing waits there."""

    channel: str


class DeadChannels(NamedTuple):
    """Answer: dict of channel -> how many dead letters it has."""


class DeadLetters(NamedTuple):
    """Answer: list of DeadLetter, newest first, at most ``count``, older than ``before``.

    ``before``: the id of a dead letter of this channel, or "" for the newest.
    """

    channel: str
    count: int = 100  # type: ignore[assignment]
    before: str = ""


class DeadLetter(NamedTuple):
    id: str  # Of its channel, and never used again.
    reason: str
    at: int  # ms since the epoch.
    attempt: int  # Runs it had had, with the one that was not to be.
    done: int  # Frames that were committed before.
    payload: bytes


class Redrive(NamedTuple):
    """Take a dead letter off, and queue ``payload`` on its channel. Answer: was it there."""

    channel: str
    id: str
    payload: bytes


class Discard(NamedTuple):
    """Delete a dead letter. Answer: whether it was there."""

    channel: str
    id: str


class Members(NamedTuple):
    """Answer: (processes, plain channels) in the group, each a sorted tuple."""

    group: str


class Counters(NamedTuple):
    """Answer: dict of counter name -> int (full:CHANNEL, taken:CHANNEL, gone, reaped …).

    Single-reader channels share the counters of their name up to its ``?``. ``taken`` counts
    messages that were claimed or popped, less those that came back.
    """


class Flush(NamedTuple):
    """Remove everything of this layer, and nothing else. Answer: None."""
