"""Who may go now, where only so many may go at a time. No I/O happens here.

From the sockets, each of which asks for a turn before it hands its disconnect on; on to them
again, one for each turn that is given back::

    ask ── a turn is free ──► taken ── done() ──► the longest waiting one takes it
      └─── none is ─► waiting ─┘

A thousand sockets that drop at once do not swamp the workers: their disconnects wait here, in
the records of their connections, while those of others connect and are heard.
"""

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """``limit``: turns that may be taken at a time."""

    def __init__(self, limit: int) -> None:
        self._limit: float = limit
        self._waiting: OrderedDict[T, None] = OrderedDict()
        self.taken = 0

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def ask(self, who: T) -> bool:
        """Whether ``who`` has a turn now; otherwise it waits for one."""
        if self.taken < self._limit:
            self.taken += 1
            return True
        self._waiting[who] = None
        return False

    def done(self) -> T | None:
        """A turn is given back. Whoever is answered has it now."""
        if self._waiting:
            return self._waiting.popitem(last=False)[0]
        self.taken -= 1
        return None

    def leave(self, who: T) -> None:
        """``who`` wants no turn any more; nothing happens if it does not wait."""
        self._waiting.pop(who, None)

    def open(self) -> list[T]:
        """From now on everybody has a turn; those who waited have theirs now."""
        self._limit = float("inf")
        waiting = list(self._waiting)
        self._waiting.clear()
        self.taken += len(waiting)
        return waiting
