"""How long to wait before the next try. No I/O happens here."""

import random


class Backoff:
    """Waits that double from ``first`` to ``limit`` seconds, each with up to half of jitter.

    Jitter keeps the processes that lost the same Redis from coming back in step.
    """

    def __init__(self, first: float = 0.05, limit: float = 2.0) -> None:
        self._first = first
        self._limit = limit
        self._next = first

    def next(self) -> float:
        """Seconds to wait now."""
        wait, self._next = self._next, min(self._limit, self._next * 2)
        return wait * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        self._next = self._first
