"""Which kept values are older than one that this process has read. No I/O happens here.

Whoever can write to Redis can put back a value that was there before, with the seal that it
had then. So ``layers.sealed`` seals a stamp with each kept value, which is above that of the
value it replaces, and remembers the stamps that it has read.

A store that goes back in time by itself (a restart from an older file, a failover) begins a
new history, and what was remembered of the one before is forgotten: nothing is lost by it.
"""

import threading
import time
from collections import OrderedDict

from djchan import forks

REMEMBERED = 10_000  # Keys of which a stamp is remembered; the one used longest ago goes first.
SIZE = 8  # Bytes of a stamp.


class Stamps:
    def __init__(self) -> None:
        self._read: OrderedDict[str, int] = OrderedDict()
        self._history = ""
        self._lock = threading.Lock()
        forks.give_back_in_child(self)

    def give_back(self) -> None:
        """In a forked child: a thread that held the lock is not here."""
        self._lock = threading.Lock()

    def next(self, key: str) -> bytes:
        """A stamp for a new value of ``key``: the time in ms, or one above what was read."""
        with self._lock:
            stamp = max(self._read.get(key, 0) + 1, time.time_ns() // 1_000_000)
        return stamp.to_bytes(SIZE, "big")

    def is_fresh(self, key: str, stamp: bytes, history: str) -> bool:
        """Whether a value with this stamp may be what is kept under ``key`` now.

        ``history``: of the store, as the engine names it.
        """
        number = int.from_bytes(stamp, "big")
        with self._lock:
            if history != self._history:
                self._history = history
                self._read.clear()
            if number < self._read.get(key, 0):
                return False
            self._read[key] = number
            self._read.move_to_end(key)
            if len(self._read) > REMEMBERED:
                self._read.popitem(last=False)
        return True

    def forget(self, key: str) -> None:
        """What is kept under ``key`` is dropped: another value may begin anew."""
        with self._lock:
            self._read.pop(key, None)
