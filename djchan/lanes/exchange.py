"""Commits, said to the layer until it has answered.

From the lanes, with what they have finished; on to an engine's link. A commit whose answer
got lost may have been applied or not. It has a number, so it is said again, in the same
words, until there is an answer; the layer applies it once. Nothing else is repeated here:
what travels along (a wait, a claim) is asked once, and its loss is the caller's to know.

::

    perform(Commit, GiveUp …, Claim) ──► answers
        │ no answer
        ▼
    perform(Commit, GiveUp …) ──► no answer: wait, again … ──► None
"""

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from djchan.exceptions import BrokerError
from djchan.layers.backoff import Backoff
from djchan.layers.engine import AsyncLink, Link
from djchan.layers.operations import Commit, CommitResult, GiveUp, Operation, Outcome, Release

logger = logging.getLogger(__name__)

# Said again they do nothing: the lease they name is over.
Words = Sequence[GiveUp | Release]


class Outage:
    """Whether the layer answers, as all threads of a worker see it.

    One line when it stops answering, one when it is back; and whoever waits to try again
    is woken by the first who got an answer.
    """

    def __init__(self) -> None:
        self.is_down = False
        self._since = 0.0
        self._left = False
        self._lock = threading.Lock()
        self._back = threading.Event()

    def began(self, error: BrokerError) -> None:
        """There was no answer."""
        with self._lock:
            if self.is_down:
                return
            self.is_down = True
            self._since = time.monotonic()
            if not self._left:
                self._back.clear()
        logger.error("%s Trying again until it does; nothing is lost.", error)

    def ended(self) -> None:
        """There was an answer."""
        if not self.is_down:
            return
        with self._lock:
            since, self._since = self._since, 0.0
            self.is_down = False
            self._back.set()
        if not since:
            return  # Another thread was faster.
        seconds = time.monotonic() - since
        logger.warning("The channel layer answers again, after %.1f s.", seconds)

    def wait(self, seconds: float) -> None:
        """Wait before trying again; shorter when somebody else got an answer."""
        self._back.wait(seconds)

    def leave(self) -> None:
        """Let nobody wait any more."""
        with self._lock:
            self._left = True
            self._back.set()


class Ledger:
    """The numbers of what one link commits, and what became of it."""

    def __init__(self, name: str, counters: Counter[str]) -> None:
        self.name = name
        self.counters = counters
        self._number = 0

    def commit(self, worker: str, outcomes: Sequence[Outcome]) -> Commit:
        self._number += 1
        return Commit(worker, self.name, self._number, tuple(outcomes))

    def note(self, commit: Commit, results: Sequence[CommitResult]) -> None:
        """Count and log what was not applied."""
        for outcome, result in zip(commit.outcomes, results, strict=True):
            if result == "fenced":
                self.counters["fenced"] += 1
                logger.warning(
                    "Delivery %d had been handed to another worker before this one was done: "
                    "what its consumer sent is dropped.",
                    outcome.token,
                )
            elif result == "superseded":
                self.counters["superseded"] += 1
                logger.warning(
                    "Delivery %d of connection %s had been answered before: what its consumer "
                    "sent is dropped.",
                    outcome.token,
                    outcome.address.connection if outcome.address else "?",
                )


class Exchange:
    """One link of one thread, with its ledger."""

    def __init__(
        self, link: Link, ledger: Ledger, *, outage: Outage, leaving: threading.Event
    ) -> None:
        self.link = link
        self.ledger = ledger
        self._outage = outage
        self._leaving = leaving
        self._backoff = Backoff()

    def say(
        self,
        worker: str,
        outcomes: Sequence[Outcome],
        *,
        words: Words = (),
        ask: Sequence[Operation] = (),
    ) -> list[Any] | None:
        """Commit ``outcomes`` and say ``words``, for sure; ask ``ask``, in the same breath.

        The answers to ``ask``; None when they got lost, and it may have been done or not.
        Comes back without an answer to anything only when the process is leaving.
        """
        commit = self.ledger.commit(worker, outcomes) if outcomes else None
        sure: list[Operation] = [] if commit is None else [commit]
        sure += words
        asked: Sequence[Operation] = ask
        while True:
            try:
                answers = self.link.perform(*sure, *asked)
            except BrokerError as error:
                self.failed(error)
                asked = ()
                if not sure or self._leaving.is_set():
                    return None
                continue
            self.answered()
            if commit is not None:
                self.ledger.note(commit, answers[0])
            return answers[len(sure) :] if len(asked) == len(ask) else None

    def failed(self, error: BrokerError) -> None:
        """Something was not answered: wait before the next try."""
        self._outage.began(error)
        self._outage.wait(self._backoff.next())

    def answered(self) -> None:
        self._backoff.reset()
        self._outage.ended()


class AsyncExchange:
    """One link of one event loop, with its ledger."""

    def __init__(
        self, link: AsyncLink, ledger: Ledger, *, outage: Outage, leaving: threading.Event
    ) -> None:
        self.link = link
        self.ledger = ledger
        self._outage = outage
        self._leaving = leaving
        self._backoff = Backoff()

    async def say(self, worker: str, outcomes: Sequence[Outcome], *, words: Words = ()) -> None:
        """Commit ``outcomes`` and say ``words``, for sure; gives up only when leaving."""
        commit = self.ledger.commit(worker, outcomes)
        while not self._leaving.is_set():
            try:
                results, *_ = await self.link.perform(commit, *words)
            except BrokerError as error:
                self._outage.began(error)
                await asyncio.sleep(self._backoff.next())
                continue
            self._backoff.reset()
            self._outage.ended()
            self.ledger.note(commit, results)
            return
