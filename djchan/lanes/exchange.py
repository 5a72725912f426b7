"""Commits and claims, said to the layer until it has answered.

From the lanes, with what they have finished; on to an engine's link. An answer that got lost
may stand for something done or not. A commit has a number, so it is said again, in the same
words, and the layer applies it once; so has a claim, and the layer answers again with what it
leased by it. Only a wait is not repeated::

    perform(Commit, GiveUp …, Wait, Claim) ──► answers
        │ no answer
        ▼
    perform(Commit, GiveUp …, Claim again) ──► no answer: wait, again … ──► None

What the answers say is noted in ``lanes.ledger``.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from djchan.exceptions import BrokerError, BrokerUnavailable
from djchan.lanes.ledger import Ledger, Words
from djchan.lanes.outage import Outage
from djchan.lanes.registration import Registration
from djchan.lanes.unsettled import End
from djchan.layers.backoff import Backoff
from djchan.layers.engine import AsyncLink, Link
from djchan.layers.operations import (
    Claim,
    Claimed,
    CommitResult,
    GiveUp,
    Operation,
    Outcome,
    Wait,
)
from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))


def is_cut(error: BrokerError) -> bool:
    """Whether the connection was closed while it waited, and a new one may answer at once."""
    return isinstance(error, BrokerUnavailable) and error.cut


class Exchange:
    """One link of one thread, with its ledger.

    ``stopping()``: whether an answer to a claim is not wanted any more.
    """

    def __init__(
        self,
        link: Link,
        ledger: Ledger,
        *,
        outage: Outage,
        leaving: threading.Event,
        stopping: Callable[[], bool] = bool,
    ) -> None:
        self.link = link
        self.ledger = ledger
        self._outage = outage
        self._leaving = leaving
        self._stopping = stopping
        self._failures = 0
        self._backoff = Backoff()

    def say(
        self, registration: Registration, outcomes: Sequence[Outcome], *, words: Words = ()
    ) -> CommitResult | None:
        """Commit ``outcomes`` and say ``words``, for sure.

        The result of the last outcome ("stale" for one that waits in ``unsettled``); None when
        the process is leaving before there was an answer.
        """
        said = registration.unsettled.hold_back(outcomes)
        words = registration.unsettled.hold_back(words)
        waits = bool(outcomes) and not (said and said[-1] is outcomes[-1])
        commit = self.ledger.commit(registration, said) if said else None
        sure: list[Operation] = [*([] if commit is None else [commit]), *words]
        result: CommitResult | None = None
        if sure:
            answers = self._perform(sure)
            if answers is None:
                return None
            result = self.ledger.note(registration, commit, words, answers)
        return "stale" if waits else result or "done"

    def say_again(self, registration: Registration) -> None:
        """Say what waits in ``unsettled``: commit under a new number, give up."""
        waiting = registration.unsettled.waiting()
        if not waiting:
            return
        outcomes = tuple([end for end in waiting if isinstance(end, Outcome)])
        words = [end for end in waiting if isinstance(end, GiveUp)]
        commit = self.ledger.commit(registration, outcomes) if outcomes else None
        answers = self._perform([*([] if commit is None else [commit]), *words])
        if answers is None:
            return
        results: Sequence[CommitResult] = [*([] if commit is None else answers.pop(0)), *answers]
        said: list[End] = [*outcomes, *words]
        settled = [pair for pair in zip(said, results, strict=True) if pair[1] != "stale"]
        self.ledger.counters["stale"] += len(said) - len(settled)
        self.ledger.settled(registration, settled)
        registration.unsettled.settled(said, results)

    def claim(
        self,
        registration: Registration,
        outcomes: Sequence[Outcome],
        *,
        lane: str,
        channels: tuple[str, ...],
        count: int,
        words: Words = (),
        wait: float = 0.0,
    ) -> Claimed | None:
        """Commit and say, as ``say``, and claim what is next, all in one breath.

        ``wait``: seconds to wait at the lane's bell before the claim. None: the worker stops,
        and what was claimed, if anything, is to go back.
        """
        ledger = self.ledger
        said = registration.unsettled.hold_back(outcomes) if outcomes else outcomes
        words = registration.unsettled.hold_back(words) if words else words
        commit = ledger.commit(registration, said) if said else None
        sure: list[Operation] = [*([] if commit is None else [commit]), *words]
        claim = ledger.claim(registration, lane=lane, channels=channels, count=count)
        ask: list[Operation] = [Wait(claim.bell, wait), claim] if wait else [claim]
        failures = self._failures
        claimed: Claimed | None = None
        answers = self._perform(sure, ask)
        if answers is not None:
            if sure:
                ledger.note(registration, commit, words, answers)
            if len(answers) > len(sure):
                claimed = answers[-1]
        ledger.claimed(registration, claim, claimed)
        if claimed is None or failures != self._failures:
            # A claim of a broken connection may be read by the layer after all that.
            self._outage.doubt()
        return claimed

    def _perform(
        self, sure: Sequence[Operation], ask: Sequence[Operation] = ()
    ) -> list[Any] | None:
        """Say ``sure`` until it is answered, and ``ask`` unless the worker stops meanwhile."""
        was_cut = False
        while True:
            try:
                answers = self.link.perform(*sure, *ask)
            except BrokerError as error:
                if is_cut(error) and not was_cut:
                    # Closed while it waited; it is an outage when a new one does not answer.
                    was_cut = True
                    self._failures += 1
                    self._outage.doubt()
                    logger.info("A connection to the channel layer was closed: %s", error)
                else:
                    self.failed(error)
                if ask:
                    claim = ask[-1]
                    assert isinstance(claim, Claim)
                    ask = () if self._stopping() else (claim._replace(again=True),)
                if self._leaving.is_set() or not (sure or ask):
                    return None
                continue
            self.answered()
            return answers

    def failed(self, error: BrokerError) -> None:
        """Something was not answered: wait before the next try."""
        self._failures += 1
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

    async def say(
        self, registration: Registration, outcomes: Sequence[Outcome], *, words: Words = ()
    ) -> dict[int, CommitResult]:
        """Commit ``outcomes`` and say ``words``, for sure; gives up only when leaving.

        By token, what became of its last outcome; one that got no answer is not there.
        """
        said = registration.unsettled.hold_back(outcomes)
        words = registration.unsettled.hold_back(words)
        results: dict[int, CommitResult] = dict.fromkeys(
            [outcome.token for outcome in outcomes] if said is not outcomes else (), "stale"
        )
        commit = self.ledger.commit(registration, said) if said else None
        sure: list[Operation] = [*([] if commit is None else [commit]), *words]
        was_cut = False
        while sure and not self._leaving.is_set():
            try:
                answers = await self.link.perform(*sure)
            except BrokerError as error:
                if is_cut(error) and not was_cut:
                    was_cut = True
                    self._outage.doubt()
                    logger.info("A connection to the channel layer was closed: %s", error)
                    continue
                self._outage.began(error)
                await asyncio.sleep(self._backoff.next())
                continue
            self._backoff.reset()
            self._outage.ended()
            self.ledger.note(registration, commit, words, answers)
            if commit is not None:
                tokens = [outcome.token for outcome in said]
                results.update(zip(tokens, answers[0], strict=True))
            break
        else:
            for outcome in said:
                results.pop(outcome.token, None)
        return results
