"""The dead letters of each channel in memory. No I/O happens here.

From ``layers.memory.effects`` (expired, overflow) and ``layers.memory.settling`` (given up);
on to whoever lists them, and by Redrive back to ``queues``.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import islice

from djchan import names
from djchan.layers.memory.inbox import NEVER, EntryId, parse_id
from djchan.layers.memory.queue import Delivery
from djchan.layers.operations import DeadLetter

KEPT = 1000  # Per channel; the oldest go, and so they do beyond ``limit`` bytes in all.


class Letters:
    def __init__(self, counters: Counter[str]) -> None:
        self.limit = 0  # Bytes of all of them; 0: none.
        self._counters = counters
        self._sizes: dict[str, int] = {}  # Channel -> bytes of its letters.
        # Channel -> id -> letter, oldest first; a channel without letters is not in here.
        self._letters: dict[str, dict[EntryId, tuple[str, Delivery]]] = {}
        self._last_id = NEVER

    def clear(self) -> None:
        self._letters.clear()
        self._sizes.clear()
        self.limit = 0

    def bury(self, delivery: Delivery, reason: str, now: int) -> None:
        milliseconds, number = self._last_id
        self._last_id = (now, 0) if now > milliseconds else (milliseconds, number + 1)
        letters = self._letters.setdefault(delivery.channel, {})
        letters[self._last_id] = (reason, delivery)
        self._sizes[delivery.channel] = self._sizes.get(delivery.channel, 0) + delivery.size
        if len(letters) > KEPT:
            self._forget_oldest(delivery.channel)
        while 0 < self.limit < sum(self._sizes.values()):
            heaviest = min(self._sizes, key=lambda name: (-self._sizes[name], name))
            while heaviest in self._letters and sum(self._sizes.values()) > self.limit:
                self._forget_oldest(heaviest)
                self._counters[names.counter("forgotten", heaviest)] += 1

    def sizes(self) -> dict[str, int]:
        """Channel to bytes of its letters."""
        return dict(self._sizes)

    def channels(self) -> dict[str, int]:
        return {channel: len(letters) for channel, letters in self._letters.items()}

    def list(self, channel: str, count: int, before: str) -> list[DeadLetter]:
        """Newest first, at most ``count``, older than ``before`` ("": than none)."""
        return list(islice(self._newest_first(channel, before), count))

    def take(self, channel: str, letter: str) -> Delivery | None:
        """Take a letter off; None when there is none of that id."""
        if parse_id(letter) in self._letters.get(channel, {}):
            return self._take(channel, parse_id(letter))
        return None

    def _forget_oldest(self, channel: str) -> None:
        self._take(channel, next(iter(self._letters[channel])))

    def _take(self, channel: str, letter: EntryId) -> Delivery:
        _, delivery = self._letters[channel].pop(letter)
        self._sizes[channel] -= delivery.size
        if not self._letters[channel]:
            del self._letters[channel], self._sizes[channel]
        return delivery

    def _newest_first(self, channel: str, before: str) -> Iterator[DeadLetter]:
        end = parse_id(before) if before else None
        for key, (reason, delivery) in reversed(self._letters.get(channel, {}).items()):
            if end is None or key < end:
                name = f"{key[0]}-{key[1]}"
                attempt, done, payload = delivery.attempt, delivery.begun, delivery.payload
                yield DeadLetter(name, reason, key[0], attempt, done, payload)
