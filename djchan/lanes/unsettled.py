"""Ends of deliveries that the layer cannot take yet, because their interface is stale.

From ``lanes.exchange``, where the layer answered "stale"; on to ``lanes.monitor``, which
says them again every ``stale_wait`` seconds, commits with a new number. An interface makes
itself known again within moments, or is declared dead, and either ends the wait::

    Commit, GiveUp ──"stale"──► unsettled ──said again──► done, superseded, fenced
                                    └──────"stale"───────────┘

The ends of a delivery stay in order: while one of them is here, the next one joins it.
"""

import threading
from collections.abc import Sequence
from typing import TypeVar

from djchan.layers.operations import CommitResult, GiveUp, Outcome, Release

End = Outcome | GiveUp
Ending = TypeVar("Ending", bound=Outcome | GiveUp | Release)


class Unsettled:
    """Of one registration. As many as there are connections with a delivery here, at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[int, list[End]] = {}  # By token.

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __contains__(self, token: int) -> bool:
        return token in self._waiting

    def add(self, ends: Sequence[End]) -> None:
        """The layer answered "stale" to these."""
        with self._lock:
            for end in ends:
                self._waiting.setdefault(end.token, []).append(end)

    def hold_back(self, endings: Sequence[Ending]) -> Sequence[Ending]:
        """Those of ``endings`` that can be said now; the others wait here."""
        if not self._waiting:
            return endings
        now: list[Ending] = []
        with self._lock:
            for ending in endings:
                if not isinstance(ending, Release) and ending.token in self._waiting:
                    self._waiting[ending.token].append(ending)
                else:
                    now.append(ending)
        return now

    def waiting(self) -> tuple[End, ...]:
        """All, in the order of their deliveries, to be said again by one thread at a time."""
        with self._lock:
            return tuple([end for ends in self._waiting.values() for end in ends])

    def settled(self, said: Sequence[End], results: Sequence[CommitResult]) -> None:
        """What ``waiting()`` gave was said again, with these results."""
        with self._lock:
            for end, result in zip(said, results, strict=True):
                if result != "stale":
                    ends = self._waiting[end.token]
                    ends.remove(end)
                    if not ends:
                        del self._waiting[end.token]
