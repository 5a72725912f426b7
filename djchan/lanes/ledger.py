"""The numbers of what one link says, and what became of it.

From ``lanes.exchange``, which says it and hears the answers. What the answers say about leases
is noted in the registration's ``leases`` (``lanes.leases``), ends that came too early for
their interface in its ``unsettled`` (``lanes.unsettled``); the rest is counted and logged::

    done, parked, fenced, superseded, already ──► not leased to us any more (progress: still)
    stale ──────────────────────────────────────► unsettled
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from djchan.lanes.registration import Registration
from djchan.lanes.unsettled import End
from djchan.layers.operations import (
    Claim,
    Claimed,
    Commit,
    CommitResult,
    GiveUp,
    Outcome,
    Release,
)
from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))

# Said again they do nothing: the lease they name is over.
Words = Sequence[GiveUp | Release]

# What a progress may come to, and the rest of its delivery still be ours to run.
PROGRESS: frozenset[CommitResult | None] = frozenset({"done", "parked", "already", "stale"})
# … and have its effects, by now.
APPLIED: frozenset[CommitResult | None] = PROGRESS - {"stale"}


class Ledger:
    """``on_stale``: called when something has to be said again by the monitor."""

    def __init__(
        self, name: str, counters: Counter[str], on_stale: Callable[[], object] = tuple
    ) -> None:
        self.name = name
        self.counters = counters
        self.parked = False  # Something was, since whoever looks at this has set it to False.
        self._on_stale = on_stale
        self._commits = 0
        self._claims = 0

    def commit(self, registration: Registration, outcomes: Sequence[Outcome]) -> Commit:
        self._commits += 1
        return Commit(registration.id, self.name, self._commits, tuple(outcomes))

    def claim(
        self, registration: Registration, *, lane: str, channels: tuple[str, ...], count: int
    ) -> Claim:
        self._claims += 1
        return Claim(
            registration.id,
            registration.bell(lane),
            channels,
            count,
            link=self.name,
            number=self._claims,
            above=registration.leases.highest,
        )

    def claimed(
        self, registration: Registration, claim: Claim, claimed: Claimed | None = None
    ) -> None:
        """``claim`` was answered; None: its answer is not wanted any more."""
        tokens = [] if claimed is None else [leased.token for leased in claimed.deliveries]
        registration.leases.claimed(self.name, claim.number, tokens)

    def note(
        self,
        registration: Registration,
        commit: Commit | None,
        words: Words,
        answers: Sequence[Any],
    ) -> CommitResult | None:
        """What became of a commit and words; the result of its last outcome."""
        ended: list[int] = []
        result: CommitResult | None = None
        if commit is not None:
            results: Sequence[CommitResult] = answers[0]
            ended, result = self._ended(commit.outcomes, results), results[-1]
            if "stale" in results:
                pairs = zip(commit.outcomes, results, strict=True)
                registration.unsettled.add([each for each, said in pairs if said == "stale"])
                self._on_stale()
        # The answer of a claim may stand behind those of the words.
        for word, answer in zip(words, answers[commit is not None :], strict=False):
            if answer == "stale" and isinstance(word, GiveUp):
                self._say(word, answer)
                registration.unsettled.add([word])
                self._on_stale()
            else:
                ended += (word.token,) if isinstance(word, GiveUp) else word.tokens
        if ended:
            registration.leases.ended(ended)
        return result

    def settled(self, registration: Registration, ends: Sequence[tuple[End, CommitResult]]) -> None:
        """What became of ends that had waited in ``unsettled``."""
        outcomes: list[tuple[Outcome, CommitResult]]
        outcomes = [(end, result) for end, result in ends if isinstance(end, Outcome)]
        ended = [end.token for end, _ in ends if isinstance(end, GiveUp)]
        ended += self._ended([end for end, _ in outcomes], [result for _, result in outcomes])
        registration.leases.ended(ended)

    def _ended(self, outcomes: Sequence[Outcome], results: Sequence[CommitResult]) -> list[int]:
        """The tokens that are not ours any more; counts what is not as it should be."""
        if all(result == "done" for result in results):
            # The ordinary case, and the quick one.
            return [outcome.token for outcome in outcomes if not outcome.progress]
        ended: list[int] = []
        for outcome, result in zip(outcomes, results, strict=True):
            if result not in ("done", "already"):
                self._say(outcome, result)
            goes_on = result == "stale" or (outcome.progress and result in PROGRESS)
            if not goes_on:
                ended.append(outcome.token)
        return ended

    def _say(self, end: End, result: CommitResult) -> None:
        """Count and log what is not as it should be."""
        self.counters[result] += 1
        if result == "parked":
            self.parked = True
        elif result == "fenced":
            logger.warning(
                "Delivery %d had been handed to another worker before this one was done: "
                "what its consumer sent is dropped.",
                end.token,
            )
        elif result == "superseded":
            logger.warning(
                "Delivery %d of connection %s had been answered before: what its consumer "
                "sent is dropped.",
                end.token,
                end.address.connection if end.address else "?",
            )
        elif result == "stale":
            logger.info(
                "Delivery %d waits for the interface %s to make itself known again.",
                end.token,
                end.address.process if end.address else "?",
            )
