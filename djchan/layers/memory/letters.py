"""The dead letters of each channel in memory. No I/O happens here.

From ``layers.memory.effects`` (expired, overflow) and ``layers.memory.settling`` (given up);
on to whoever lists them, and by Redrive back to ``queues``.
"""

from collections.abc import Iterator
from itertools import islice

from djchan.layers.memory.inbox import NEVER, EntryId, parse_id
from djchan.layers.memory.queues import Delivery
from djchan.layers.operations import DeadLetter

KEPT = 1000  # Per channel; the oldest go.


class Letters:
    def __init__(self) -> None:
        # Channel -> id -> letter, oldest first; a channel without letters is not in here.
        self._letters: dict[str, dict[EntryId, tuple[str, Delivery]]] = {}
        self._last_id = NEVER

    def clear(self) -> None:
        self._letters.clear()

    def bury(self, delivery: Delivery, reason: str, now: int) -> None:
        milliseconds, number = self._last_id
        self._last_id = (now, 0) if now > milliseconds else (milliseconds, number + 1)
        letters = self._letters.setdefault(delivery.channel, {})
        letters[self._last_id] = (reason, delivery)
        if len(letters) > KEPT:
            del letters[next(iter(letters))]

    def channels(self) -> dict[str, int]:
        return {channel: len(letters) for channel, letters in self._letters.items()}

    def list(self, channel: str, count: int, before: str) -> list[DeadLetter]:
        """Newest first, at most ``count``, older than ``before`` ("": than none)."""
        return list(islice(self._newest_first(channel, before), count))

    def take(self, channel: str, letter: str) -> Delivery | None:
        """Take a letter off; None when there is none of that id."""
        letters = self._letters.get(channel, {})
        _, delivery = letters.pop(parse_id(letter), ("", None))
        if not letters:
            self._letters.pop(channel, None)
        return delivery

    def _newest_first(self, channel: str, before: str) -> Iterator[DeadLetter]:
        end = parse_id(before) if before else None
        for key, (reason, delivery) in reversed(self._letters.get(channel, {}).items()):
            if end is None or key < end:
                name = f"{key[0]}-{key[1]}"
                attempt, done, payload = delivery.attempt, delivery.begun, delivery.payload
                yield DeadLetter(name, reason, key[0], attempt, done, payload)
