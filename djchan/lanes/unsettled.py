"""Ends of deliveries that the layer cannot take yet, because their interface is stale.

From ``lanes.exchange``, where the layer answered "stale"; on to ``lanes.monitor``, which
says them again every ``stale_wait`` seconds, with a new number. An interface makes itself
known again within moments, or is declared dead, and either ends the wait::

    Commit ──"stale"──► unsettled ──said again──► done, superseded, fenced
                            └──────"stale"───────────┘

A delivery's commits stay in order: while one of them is here, the next one joins it.
"""

import threading
from collections.abc import Sequence

from djchan.layers.operations import CommitResult, Outcome


class Unsettled:
    """Of one registration. As many as there are connections with a delivery here, at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[int, list[Outcome]] = {}  # By token.

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __contains__(self, token: int) -> bool:
        return token in self._waiting

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """The layer answered "stale" to these."""
        with self._lock:
            for outcome in outcomes:
                self._waiting.setdefault(outcome.token, []).append(outcome)

    def hold_back(self, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        """Those of ``outcomes`` that can be said now; the others wait here."""
        if not self._waiting:
            return outcomes
        now: list[Outcome] = []
        with self._lock:
            for outcome in outcomes:
                self._waiting.get(outcome.token, now).append(outcome)
        return now

    def waiting(self) -> tuple[Outcome, ...]:
        """All, in the order of their deliveries, to be said again by one thread at a time."""
        with self._lock:
            return tuple([outcome for outcomes in self._waiting.values() for outcome in outcomes])

    def settled(self, said: Sequence[Outcome], results: Sequence[CommitResult]) -> None:
        """What ``waiting()`` gave was said again, with these results."""
        with self._lock:
            for outcome, result in zip(said, results, strict=True):
                if result != "stale":
                    outcomes = self._waiting[outcome.token]
                    outcomes.remove(outcome)
                    if not outcomes:
                        del self._waiting[outcome.token]
