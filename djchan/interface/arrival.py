"""Whether a request body still arrives as it should. No I/O happens here.

``request_bounds`` (on Daphne) and ``body_connection`` report what has come and look from time to
time. A body has ``seconds`` from one read to the next, and the same at first plus a second for each
``rate`` bytes that have come as a whole. So neither a silent client nor one that sends a byte now
and then keeps its connection, and an upload of any size has time::

    READING ── nothing for ``seconds`` ───────────────────────┐
       │  └─── longer than ``seconds`` + size / ``rate`` ──────┴──► 408
       └────── all of it is here ───────► over
"""

from typing import NamedTuple

# Seconds: a process that looks later than this stood still and heard nobody; so much more time is
# given for what has come meanwhile.
LATE = 1.0


class ArrivalLimits(NamedTuple):
    """``seconds``: between two reads, None without a limit; ``rate``: bytes per second."""

    seconds: float | None
    rate: int


class Arrival:
    """One body, which begins to arrive ``now`` (seconds, monotonic, as in all calls)."""

    __slots__ = ("_begun", "_last", "_next", "_rate", "_seconds", "size")

    def __init__(self, seconds: float, rate: int, now: float) -> None:
        self._seconds = seconds
        self._rate = rate
        self._begun = self._last = now
        self._next = now + seconds
        self.size = 0

    def received(self, size: int, now: float) -> None:
        """So many more bytes have come."""
        self.size += size
        self._last = now

    def look(self, now: float) -> float:
        """Seconds until the next look; 0: the client is too slow."""
        late = now - self._next
        if late > LATE:
            self._begun += late + LATE
            self._last += late + LATE
        due = min(self._last, self._begun + self.size / self._rate) + self._seconds
        self._next = max(now, due)
        return self._next - now
