import asyncio
import logging
import threading
import time
from collections import Counter
from typing import Any

import pytest

from djchan.exceptions import BrokerRefused, BrokerUnavailable
from djchan.lanes.exchange import AsyncExchange, Exchange, Ledger, Outage
from djchan.layers.operations import Address, Claim, Claimed, Commit, GiveUp, Outcome, Release
from tests.support.waiting import wait_for

OUTCOMES = [Outcome(1), Outcome(2, address=Address("P", "1-abc", 3))]
CLAIM = Claim("w", "w.0", ("x",), 1)
CLAIMED = Claimed(0, 0, True, ())


class FakeLink:
    """Fails as often as it was told to, then answers."""

    def __init__(self, *failures: Exception, results: str = "done") -> None:
        self.failures = list(failures)
        self.results = results
        self.said: list[tuple[Any, ...]] = []

    def perform(self, *operations: Any) -> list[Any]:
        self.said.append(operations)
        if self.failures:
            raise self.failures.pop(0)
        return [self.answer(operation) for operation in operations]

    def answer(self, operation: Any) -> Any:
        if isinstance(operation, Commit):
            return (self.results,) * len(operation.outcomes)
        return {Claim: CLAIMED, GiveUp: "done", Release: 1}[type(operation)]


class FakeAsyncLink(FakeLink):
    async def perform(self, *operations: Any) -> list[Any]:
        return super().perform(*operations)


def exchange(link: FakeLink, **options: Any) -> Exchange:
    options = {"outage": Outage(), "leaving": threading.Event(), **options}
    return Exchange(link, Ledger("lane-0", Counter()), **options)


def test_commit_words_and_claim_are_one_round_trip():
    link = FakeLink()
    release = Release("w", (9,))
    answers = exchange(link).say("w", OUTCOMES, words=[release], ask=[CLAIM])
    assert answers == [CLAIMED]
    assert link.said == [(Commit("w", "lane-0", 1, tuple(OUTCOMES)), release, CLAIM)]


def test_with_nothing_to_commit_there_is_no_commit():
    link = FakeLink()
    assert exchange(link).say("w", [], ask=[CLAIM]) == [CLAIMED]
    assert link.said == [(CLAIM,)]


@pytest.mark.parametrize("failure", [BrokerUnavailable(), BrokerRefused()])
def test_a_commit_without_answer_is_said_again_with_its_number_and_without_the_claim(failure):
    link = FakeLink(failure, failure)
    commit = Commit("w", "lane-0", 1, tuple(OUTCOMES))
    assert exchange(link).say("w", OUTCOMES, ask=[CLAIM]) is None
    assert link.said == [(commit, CLAIM), (commit,), (commit,)]


def test_the_next_commit_has_the_next_number():
    link = FakeLink()
    ours = exchange(link)
    ours.say("w", OUTCOMES)
    ours.say("w", OUTCOMES)
    assert [commit.number for (commit,) in link.said] == [1, 2]


def test_a_claim_without_answer_is_not_repeated():
    link = FakeLink(BrokerUnavailable())
    assert exchange(link).say("w", [], ask=[CLAIM]) is None
    assert len(link.said) == 1


def test_who_leaves_waits_for_no_answer():
    leaving = threading.Event()
    leaving.set()
    link = FakeLink(*[BrokerUnavailable()] * 9)
    assert exchange(link, leaving=leaving).say("w", OUTCOMES) is None
    assert len(link.said) == 1


@pytest.mark.parametrize(
    ("result", "words"), [("fenced", "another worker"), ("superseded", "1-abc")]
)
def test_what_was_not_applied_is_counted_and_logged(caplog, result, words):
    ours = exchange(FakeLink(results=result))
    ours.say("w", OUTCOMES)
    assert ours.ledger.counters[result] == 2
    assert words in caplog.text


def test_an_outage_is_one_line_and_its_end_another(caplog):
    link = FakeLink(*[BrokerUnavailable("Redis at x did not answer.")] * 3)
    with caplog.at_level(logging.WARNING):
        exchange(link).say("w", OUTCOMES)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert "Redis at x" in caplog.records[0].getMessage()
    assert "answers again" in caplog.records[1].getMessage()


def test_who_waits_is_woken_by_the_first_answer():
    outage = Outage()
    outage.began(BrokerUnavailable())
    waited = []

    def wait():
        began = time.monotonic()
        outage.wait(10)
        waited.append(time.monotonic() - began)

    thread = threading.Thread(target=wait)
    thread.start()
    outage.ended()
    wait_for(lambda: waited, timeout=5, what="woken")
    assert waited[0] < 5
    thread.join(5)


def test_the_loop_s_commits_are_said_again_too():
    link = FakeAsyncLink(BrokerUnavailable(), BrokerRefused())
    ours = AsyncExchange(
        link, Ledger("loop", Counter()), outage=Outage(), leaving=threading.Event()
    )
    giveup = GiveUp("w", 3, "error", True)
    asyncio.run(ours.say("w", OUTCOMES, words=[giveup]))
    assert link.said == [(Commit("w", "loop", 1, tuple(OUTCOMES)), giveup)] * 3
