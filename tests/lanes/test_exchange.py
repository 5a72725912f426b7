import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from djchan.exceptions import BrokerRefused, BrokerUnavailable
from djchan.lanes.exchange import AsyncExchange, Exchange
from djchan.lanes.ledger import Ledger
from djchan.lanes.outage import Outage
from djchan.lanes.registration import Registration
from djchan.layers.operations import (
    Address,
    Claim,
    Claimed,
    Commit,
    GiveUp,
    Leased,
    Outcome,
    Release,
    Wait,
)

ADDRESS = Address("P", "1-abc", 3)
OUTCOMES = [Outcome(1), Outcome(2, address=ADDRESS)]
PROGRESS = Outcome(2, address=ADDRESS, progress=1)


class FakeLink:
    """Fails as often as it was told to, then answers."""

    def __init__(self, *failures: Exception, results: Sequence[str] = ("done",)) -> None:
        self.failures = list(failures)
        self.results = results  # Of each outcome, by turns.
        self.known = True
        self.given_up = "done"
        self.leased = [Leased(7, 1, 0, "x", b""), Leased(8, 1, 0, "x", b"")]
        self.said: list[tuple[Any, ...]] = []
        self.before: Any = lambda: None  # Called before each failure.

    def perform(self, *operations: Any) -> list[Any]:
        self.said.append(operations)
        if self.failures:
            self.before()
            raise self.failures.pop(0)
        return [self.answer(operation) for operation in operations]

    def answer(self, operation: Any) -> Any:
        if isinstance(operation, Commit):
            return tuple(
                self.results[index % len(self.results)] for index in range(len(operation.outcomes))
            )
        if isinstance(operation, Claim):
            return Claimed(0, 0, self.known, tuple(self.leased))
        return {GiveUp: self.given_up, Release: 1, Wait: None}[type(operation)]


class FakeAsyncLink(FakeLink):
    async def perform(self, *operations: Any) -> list[Any]:
        return super().perform(*operations)


class Bench:
    """An exchange over a fake link, and all it works with."""

    def __init__(self, *failures: Exception, results: Sequence[str] = ("done",)) -> None:
        self.link = FakeLink(*failures, results=results)
        self.alink = FakeAsyncLink(*failures, results=results)
        self.worker = Registration("w")
        self.worker.leases.claimed("lane-0", 0, [1, 2])
        self.outage = Outage()
        self.leaving = threading.Event()
        self.stopping = False
        self.woken = 0
        self.ledger = Ledger("lane-0", Counter(), on_stale=self.wake)
        self.exchange = Exchange(
            self.link,
            self.ledger,
            outage=self.outage,
            leaving=self.leaving,
            stopping=lambda: self.stopping,
        )

    def wake(self) -> None:
        self.woken += 1

    def claim(self, outcomes: Sequence[Outcome] = (), **options: Any) -> Claimed | None:
        return self.exchange.claim(
            self.worker, outcomes, lane="0", channels=("x",), count=4, **options
        )

    def asay(self, outcomes: Sequence[Outcome], **options: Any) -> dict[int, str]:
        exchange = AsyncExchange(self.alink, self.ledger, outage=self.outage, leaving=self.leaving)
        return dict(asyncio.run(exchange.say(self.worker, outcomes, **options)))


def a_claim(number: int = 1, **fields: Any) -> Claim:
    return Claim("w", "w.0", ("x",), 4, link="lane-0", number=number, above=2)._replace(**fields)


# ------------------------------------------------------------------- one breath


def test_commit_words_wait_and_claim_are_one_round_trip():
    bench = Bench()
    release = Release("w", (9,))
    claimed = bench.claim(OUTCOMES, words=[release], wait=2.5)
    assert claimed is not None and [leased.token for leased in claimed.deliveries] == [7, 8]
    commit = Commit("w", "lane-0", 1, tuple(OUTCOMES))
    assert bench.link.said == [(commit, release, Wait("w.0", 2.5), a_claim())]


def test_with_nothing_to_commit_there_is_no_commit():
    bench = Bench()
    assert bench.claim() is not None
    assert bench.link.said == [(a_claim(),)]


def test_with_nothing_to_say_nothing_is_said():
    bench = Bench()
    assert bench.exchange.say(bench.worker, []) == "done"
    assert bench.link.said == []


@pytest.mark.parametrize("failure", [BrokerUnavailable(), BrokerRefused()])
def test_commit_and_claim_without_answer_are_said_again_with_their_numbers(failure):
    bench = Bench(failure, failure)
    commit = Commit("w", "lane-0", 1, tuple(OUTCOMES))
    assert bench.claim(OUTCOMES, wait=2.5) is not None
    again = (commit, a_claim(again=True))
    assert bench.link.said == [(commit, Wait("w.0", 2.5), a_claim()), again, again]
    # Each error is a reason to say what we know; and so is the answer, which may not be all.
    assert bench.outage.doubts == 3


def test_the_next_ones_have_the_next_numbers():
    bench = Bench()
    bench.claim(OUTCOMES)
    bench.claim(OUTCOMES)
    assert [[said.number for said in operations] for operations in bench.link.said] == [
        [1, 1],
        [2, 2],
    ]


def test_who_leaves_waits_for_no_answer():
    bench = Bench(*[BrokerUnavailable()] * 9)
    bench.leaving.set()
    assert bench.exchange.say(bench.worker, OUTCOMES) is None
    assert bench.claim() is None
    assert len(bench.link.said) == 2


# ------------------------------------------------------------------- the leases


def test_what_was_claimed_is_known_until_its_end_was_answered():
    bench = Bench()
    bench.claim(OUTCOMES)
    assert bench.worker.leases.held("w") == ("w", (7, 8), (("lane-0", 1),))
    assert bench.worker.leases.highest == 8
    bench.exchange.say(
        bench.worker, [Outcome(7)], words=[Release("w", (8,)), GiveUp("w", 9, "error", True)]
    )
    assert bench.worker.leases.held("w") == ("w", (), (("lane-0", 1),))


def test_new_tokens_are_to_be_above_those_that_are_known():
    bench = Bench()
    bench.claim()
    bench.claim()
    assert [claim.above for (claim,) in bench.link.said] == [2, 8]


def test_what_was_not_answered_is_known_still():
    bench = Bench(BrokerUnavailable())
    held = []
    bench.link.before = lambda: held.append(bench.worker.leases.held("w"))
    bench.claim(OUTCOMES)
    assert held == [("w", (1, 2), (("lane-0", 0),))]


@pytest.mark.parametrize(
    ("result", "known"),
    [("done", True), ("parked", True), ("already", True), ("stale", True), ("fenced", False)],
)
def test_a_delivery_that_goes_on_is_ours_still(result, known):
    bench = Bench(results=[result])
    assert bench.exchange.say(bench.worker, [PROGRESS]) == result
    assert (2 in bench.worker.leases) is known


@pytest.mark.parametrize("result", ["done", "parked", "already", "superseded", "fenced"])
def test_one_that_ended_is_not(result):
    bench = Bench(results=[result])
    bench.exchange.say(bench.worker, OUTCOMES)
    assert len(bench.worker.leases) == 0


def test_who_stops_does_not_ask_again_and_the_layer_may_take_back_what_it_leased():
    bench = Bench(BrokerUnavailable())

    def stop() -> None:
        bench.stopping = True

    bench.link.before = stop
    assert bench.claim() is None
    assert bench.link.said == [(a_claim(),)]
    # As if it had been answered with nothing: Held then gives back what it was leased.
    assert bench.worker.leases.held("w").claims == (("lane-0", 1),)
    assert bench.outage.doubts == 2


def test_who_stops_says_its_commit_again_alone():
    bench = Bench(BrokerUnavailable())
    bench.stopping = True
    assert bench.claim(OUTCOMES) is None
    commit = Commit("w", "lane-0", 1, tuple(OUTCOMES))
    assert bench.link.said == [(commit, a_claim()), (commit,)]
    assert len(bench.worker.leases) == 0


# ------------------------------------------------------ what was not applied as it was


@pytest.mark.parametrize(
    ("result", "words"), [("fenced", "another worker"), ("superseded", "1-abc")]
)
def test_what_was_not_applied_is_counted_and_logged(caplog, result, words):
    bench = Bench(results=[result])
    bench.exchange.say(bench.worker, OUTCOMES)
    assert bench.ledger.counters[result] == 2
    assert words in caplog.text


def test_what_was_parked_is_counted_and_told():
    bench = Bench(results=["done", "parked"])
    bench.exchange.say(bench.worker, OUTCOMES)
    assert bench.ledger.counters["parked"] == 1
    assert bench.ledger.parked


def test_what_is_stale_waits_and_is_said_again_with_a_new_number():
    bench = Bench(results=["done", "stale"])
    assert bench.exchange.say(bench.worker, OUTCOMES) == "stale"
    assert bench.worker.unsettled.waiting() == (OUTCOMES[1],)
    assert bench.woken == 1
    bench.link.results = ["stale"]
    bench.exchange.say_again(bench.worker)
    assert 2 in bench.worker.leases
    bench.link.results = ["done"]
    bench.exchange.say_again(bench.worker)
    commits = [Commit("w", "lane-0", number, (OUTCOMES[1],)) for number in (2, 3)]
    assert bench.link.said[1:] == [(commit,) for commit in commits]
    assert not bench.worker.unsettled
    assert 2 not in bench.worker.leases
    bench.exchange.say_again(bench.worker)
    assert len(bench.link.said) == 3  # Nothing is left to say.


def test_the_end_of_a_delivery_does_not_overtake_its_progress_that_waits():
    bench = Bench(results=["stale"])
    bench.exchange.say(bench.worker, [PROGRESS])
    bench.link.results = ["done"]
    assert bench.exchange.say(bench.worker, OUTCOMES) == "stale"
    assert bench.link.said[1:] == [(Commit("w", "lane-0", 2, (OUTCOMES[0],)),)]
    assert bench.claim([OUTCOMES[1]]) is not None
    assert bench.asay([OUTCOMES[1]]) == {2: "stale"}
    bench.exchange.say_again(bench.worker)
    (commit,) = bench.link.said[-1]
    assert commit.outcomes == (PROGRESS, OUTCOMES[1], OUTCOMES[1], OUTCOMES[1])
    assert 2 not in bench.worker.leases


GIVE_UP = GiveUp("w", 2, "poison", True)


def test_what_is_given_up_while_its_interface_is_stale_is_given_up_again():
    bench = Bench()
    bench.link.given_up = "stale"
    bench.claim(words=[GIVE_UP, Release("w", (1,))])
    assert bench.worker.unsettled.waiting() == (GIVE_UP,)
    assert bench.woken == bench.ledger.counters["stale"] == 1
    assert 1 not in bench.worker.leases
    bench.exchange.say_again(bench.worker)
    assert bench.link.said[-1] == (GIVE_UP,)
    assert 2 in bench.worker.leases
    bench.link.given_up = "done"
    bench.exchange.say_again(bench.worker)
    assert bench.link.said[-1] == (GIVE_UP,)
    assert not bench.worker.unsettled
    assert 2 not in bench.worker.leases


@pytest.mark.parametrize("by", ["say", "claim", "asay"])
def test_a_give_up_does_not_overtake_the_progress_that_waits(by):
    bench = Bench(results=["stale"])
    bench.exchange.say(bench.worker, [PROGRESS])
    if by == "say":
        bench.exchange.say(bench.worker, (), words=[GIVE_UP])
    elif by == "claim":
        bench.claim(words=[GIVE_UP])
    else:
        bench.asay((), words=[GIVE_UP])
    assert bench.worker.unsettled.waiting() == (PROGRESS, GIVE_UP)
    bench.link.results = ["done"]
    bench.exchange.say_again(bench.worker)
    commit, words = bench.link.said[-1]
    assert (commit.outcomes, words) == ((PROGRESS,), GIVE_UP)
    assert not bench.worker.unsettled
    assert 2 not in bench.worker.leases


# ---------------------------------------------------------------------- the loop


def test_the_loop_s_commits_are_said_again_too():
    bench = Bench(BrokerUnavailable(), BrokerRefused())
    giveup = GiveUp("w", 3, "error", True)
    assert bench.asay(OUTCOMES, words=[giveup]) == {1: "done", 2: "done"}
    assert bench.alink.said == [(Commit("w", "lane-0", 1, tuple(OUTCOMES)), giveup)] * 3
    assert len(bench.worker.leases) == 0


def test_the_loop_has_no_result_of_what_was_not_answered():
    bench = Bench()
    bench.leaving.set()
    assert bench.asay(OUTCOMES) == {}
    assert bench.asay([], words=[]) == {}


# --------------------------------------------------------------------- an outage


def test_an_outage_is_one_line_and_its_end_another(caplog):
    bench = Bench(*[BrokerUnavailable("Redis at x did not answer.")] * 3)
    with caplog.at_level(logging.WARNING):
        bench.exchange.say(bench.worker, OUTCOMES)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert "Redis at x" in caplog.records[0].getMessage()
    assert "answers again" in caplog.records[1].getMessage()
    assert bench.outage.doubts == 3


def test_a_connection_that_was_closed_while_it_waited_is_no_outage(caplog):
    cut = BrokerUnavailable("closed", cut=True)
    bench = Bench(cut)
    with caplog.at_level(logging.WARNING):
        bench.claim()
    assert caplog.records == []
    assert bench.link.said == [(a_claim(),), (a_claim(again=True),)]
    assert bench.outage.doubts >= 1 and not bench.outage.is_down
    bench = Bench(cut)
    with caplog.at_level(logging.WARNING):
        assert bench.asay(OUTCOMES) == {1: "done", 2: "done"}
    assert caplog.records == []


def test_when_a_new_one_does_not_answer_either_it_is(caplog):
    cut = BrokerUnavailable("closed", cut=True)
    bench = Bench(cut, cut)
    with caplog.at_level(logging.WARNING):
        bench.claim()
        Bench(cut, cut).asay(OUTCOMES)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"] * 2
