from collections import Counter
from typing import Any

import pytest

from djchan import route
from djchan.exceptions import BrokerUnavailable
from djchan.lanes import reconcile, thread
from djchan.lanes.outage import Outage
from djchan.lanes.reconcile import Reconciler
from djchan.lanes.registration import Registration
from djchan.layers.operations import Claim, Held
from tests.lanes.site import PATIENCE, workers_known
from tests.support.waiting import wait_for


class FakeLink:
    def __init__(self) -> None:
        self.said: list[Any] = []
        self.answer: Any = 0
        self.failure: Exception | None = None

    def perform(self, operation: Any) -> list[Any]:
        self.said.append(operation)
        if self.failure is not None:
            raise self.failure
        return [self.answer]


class Bench:
    def __init__(self) -> None:
        self.current = Registration("w")
        self.current.leases.claimed("lane-0", 4, [7])
        self.link = FakeLink()
        self.outage = Outage()
        self.counters: Counter[str] = Counter()
        self.reconciler = Reconciler(
            self,  # type: ignore[arg-type]
            self.link,  # type: ignore[arg-type]
            outage=self.outage,
            interval=30.0,
            counters=self.counters,
        )
        self.reconciler.look(100.0)

    def said(self, at: float) -> int:
        before = len(self.link.said)
        self.reconciler.look(at)
        return len(self.link.said) - before


HELD = Held("w", (7,), (("lane-0", 4),))


def test_it_is_said_now_and_then():
    bench = Bench()
    assert [bench.said(at) for at in (101.0, 129.9, 130.0, 130.5, 159.9, 160.1)] == [
        0, 0, 1, 0, 0, 1,
    ]  # fmt: skip
    assert bench.link.said == [HELD, HELD]


def test_it_is_said_after_an_error_once():
    bench = Bench()
    bench.outage.began(BrokerUnavailable())
    bench.outage.began(BrokerUnavailable())
    assert [bench.said(101.0), bench.said(101.1)] == [1, 0]
    bench.outage.doubt()
    assert bench.said(101.2) == 1


def test_it_is_said_again_when_no_claim_of_a_broken_connection_can_be_under_way():
    bench = Bench()
    bench.outage.doubt()
    assert [bench.said(at) for at in (101.0, 101.1, 106.9, 107.0, 107.1, 136.9, 137.0)] == [
        1, 0, 0, 1, 0, 0, 1,
    ]  # fmt: skip
    assert thread.WAIT < reconcile.LATE


def test_it_is_said_until_there_is_an_answer():
    bench = Bench()
    bench.outage.doubt()
    bench.link.failure = BrokerUnavailable()
    for _ in range(2):
        with pytest.raises(BrokerUnavailable):
            bench.reconciler.look(101.0)
    bench.link.failure = None
    assert [bench.said(102.0), bench.said(103.0)] == [1, 0]


def test_what_was_told_too_late_is_told_again_at_the_next_look():
    """Else what is leased without our knowledge would stay so until the next regular look."""
    bench = Bench()
    bench.outage.doubt()
    bench.link.answer = -1
    assert [bench.said(101.0), bench.said(101.5)] == [1, 1]
    bench.link.answer = 2
    assert [bench.said(102.0), bench.said(102.5)] == [1, 0]
    assert bench.counters["reconciled"] == 2


def test_an_error_while_it_is_said_is_a_reason_to_say_it_again():
    bench = Bench()
    bench.outage.doubt()

    def perform(operation: Any) -> list[Any]:
        bench.outage.doubt()
        return [0]

    bench.link.perform = perform  # type: ignore[method-assign]
    bench.reconciler.look(101.0)
    del bench.link.perform
    assert bench.said(101.1) == 1


@pytest.mark.parametrize(("answer", "count"), [(3, 3), (0, 0), (None, 0)])
def test_what_went_back_is_counted_and_logged(caplog, answer, count):
    bench = Bench()
    bench.link.answer = answer
    bench.said(140.0)
    assert bench.counters["reconciled"] == count
    assert ("went back" in caplog.text) is bool(count)


# ----------------------------------------------------------------- a whole worker


def forget(site: Any) -> None:
    """Lease a message to the worker without its knowledge: the answer is ours."""
    (process,) = workers_known(site)
    assert site(Claim(process, "", ("lost",), 1)).deliveries


def test_what_it_does_not_know_goes_back_in_time(site):
    attempts = []

    def consumer(message):
        attempts.append(message.attempt)

    site.send("lost", {})
    worker = site.worker(
        route("lost", consumer), route("x", site.note), only_channels=["x"], reconcile=0.3
    )
    other = site.worker(route("lost", consumer), threads=1, only_channels=["nothing"])
    wait_for(lambda: len(workers_known(site)) == 2, timeout=PATIENCE, what="both are there")
    site.stop(other)
    forget(site)
    assert site.length("lost") == 0
    wait_for(lambda: site.length("lost") == 1, timeout=PATIENCE, what="it is back")
    assert worker.counters["reconciled"] == 1
    site.worker(route("lost", consumer))
    wait_for(lambda: attempts, timeout=PATIENCE, what="it runs")
    assert attempts == [1]


def test_it_goes_back_after_an_error_on_any_connection(site, flaky):
    site.send("lost", {})
    worker = site.worker(route("x", site.note))
    wait_for(lambda: workers_known(site), timeout=PATIENCE, what="it is there")
    forget(site)
    flaky.lose = [Claim]
    site.send("x", {"n": 1})
    site.wait(1)
    wait_for(lambda: site.length("lost") == 1, timeout=PATIENCE, what="it is back")
    assert worker.counters["reconciled"] == 1


def test_what_runs_is_left_alone(site, on):
    def consumer(message):
        site.hold(message)

    worker = site.worker(route("x", on(consumer)), reconcile=0.05, threads=2)
    site.numbers("x", 1)
    site.wait(1)
    forgotten = site.send("lost", {})
    assert forgotten is None
    forget(site)
    # As soon as that one is back, the one that runs has been left alone.
    wait_for(lambda: site.length("lost") == 1, timeout=PATIENCE, what="it is back")
    assert (site.length("x"), worker.counters["reconciled"]) == (0, 1)
    site.gate.set()
    wait_for(lambda: worker.counters["done"] == 1, timeout=PATIENCE, what="it is done")
    assert worker.counters["fenced"] == 0


def test_a_lane_that_failed_starts_over_and_what_it_had_is_run(site, monkeypatch, caplog):
    worker = site.worker(route("x", site.note))
    site.numbers("x", 1)
    site.wait(1)
    before = workers_known(site)
    (lane,) = worker._roster.lanes

    def fail(*arguments: Any) -> None:
        monkeypatch.undo()
        raise RuntimeError("a fault of our own")

    monkeypatch.setattr(lane, "_work", fail)
    site.send("x", {"n": 1})
    assert site.wait(2) == [0, 1]
    assert "a fault of our own" in caplog.text
    assert workers_known(site) == before
