import threading

import pytest

from djchan.lanes.batch import Batch, Pace
from djchan.lanes.registration import Registration
from djchan.layers.operations import Outcome
from tests.support.waiting import wait_for


class FakeWork:
    """``unsaid``: whether it has progress to tell."""

    def __init__(self, token: int, *, unsaid: bool = False) -> None:
        self.token = token
        self.unsaid = unsaid

    def progress(self) -> Outcome | None:
        unsaid, self.unsaid = self.unsaid, False
        return Outcome(self.token, progress=1) if unsaid else None

    def committed(self) -> None: ...


def filled(count: int) -> Batch:
    batch = Batch()
    batch.fill(Registration("w"), [FakeWork(token) for token in range(count)])  # type: ignore[misc]
    return batch


def test_deliveries_run_in_the_order_they_came():
    batch = filled(3)
    ran = []
    while work := batch.next(1.0):
        ran.append(work.token)
        batch.finish(Outcome(work.token), 2.0)
    assert ran == [0, 1, 2]
    assert [outcome.token for outcome in batch.take_finished()] == [0, 1, 2]
    assert batch.take_finished() == []


def test_it_knows_how_long_things_last():
    batch = filled(2)
    batch.next(1.0)
    assert batch.running_since == 1.0
    batch.finish(Outcome(0), 2.0)
    assert batch.running is None
    batch.next(2.0)
    batch.finish(Outcome(1), 3.0)
    assert batch.finished_since == 2.0  # Of the first that waits to be committed.
    batch.take_finished()
    batch.fill(Registration("w"), [FakeWork(9)])  # type: ignore[list-item]
    batch.next(4.0)
    batch.finish(Outcome(9), 5.0)
    assert batch.finished_since == 5.0


def test_one_that_somebody_else_ends_is_not_committed_here():
    batch = filled(1)
    batch.next(1.0)
    batch.finish(None, 2.0)
    assert batch.take_finished() == []


def test_what_was_taken_is_not_run():
    batch = filled(3)
    assert batch.next(0.0).token == 0
    assert batch.take_waiting() == (1, 2)
    assert batch.next(0.0) is None


def test_between_two_threads_each_delivery_goes_one_way_once():
    batch = filled(5000)
    given_back: list[int] = []
    begun = threading.Event()

    def take():
        begun.wait(5)
        for _ in range(50):
            given_back.extend(batch.take_waiting())
            given_back.extend(-outcome.token - 1 for outcome in batch.take_finished())

    thread = threading.Thread(target=take)
    thread.start()
    ran = []
    while work := batch.next(0.0):
        ran.append(work.token)
        batch.finish(Outcome(work.token), 0.0)
        if len(ran) == 100:
            begun.set()
    thread.join(5)
    committed = [-token - 1 for token in given_back if token < 0]
    committed += [outcome.token for outcome in batch.take_finished()]
    released = [token for token in given_back if token >= 0]
    assert sorted(committed) == sorted(ran)
    assert sorted(ran + released) == list(range(5000))


# ------------------------------------------------------- the progress of the running one


def running(*, unsaid: bool = True) -> Batch:
    """A batch whose first delivery runs; another one waits, and one is finished."""
    batch = filled(3)
    batch.next(1.0)
    batch.finish(Outcome(0), 2.0)
    batch.next(2.0).unsaid = unsaid
    batch.began = 2.5
    return batch


PROGRESS = Outcome(1, progress=1)


def test_the_monitor_takes_what_is_finished_and_the_progress():
    batch = running()
    registration, outcomes, tokens = batch.take_over(3.0, progress=True, waiting=True)
    assert (registration.id, outcomes, tokens) == ("w", [Outcome(0), PROGRESS], (2,))
    assert batch.saying and batch.told_at == 3.0


def test_the_monitor_takes_no_more_than_it_is_to():
    batch = running()
    assert batch.take_over(3.0, progress=False, waiting=False)[1:] == ([Outcome(0)], ())
    assert not batch.saying
    assert batch.take_over(3.0, progress=True, waiting=False)[1:] == ([PROGRESS], ())


def test_without_progress_there_is_nothing_to_wait_for():
    batch = running(unsaid=False)
    batch.take_over(3.0, progress=True, waiting=False)
    assert not batch.saying


@pytest.mark.parametrize("result", ["done", "parked", "already", "stale", "fenced", None])
@pytest.mark.parametrize("by", ["finish", "take_progress"])
def test_the_end_waits_until_the_progress_was_answered(by, result):
    batch = running()
    batch.take_over(3.0, progress=True, waiting=False)
    got = []

    def end() -> None:
        if by == "finish":
            batch.finish(Outcome(1), 4.0)
            got.append(batch.take_finished())
        else:
            got.append(batch.take_progress(4.0))

    thread = threading.Thread(target=end)
    thread.start()
    wait_for(lambda: batch.began == 0.0 or by != "finish", timeout=5, what="its frame is over")
    assert not got
    batch.told(result)
    thread.join(5)
    if by == "take_progress":
        assert got == [None]
    else:
        # What is somebody else's has no end here.
        assert got == [[] if result in ("fenced", None) else [Outcome(1)]]
    assert batch.lost is (result in ("fenced", None))


def test_the_next_delivery_is_not_lost_with_the_one_before_it():
    batch = running()
    batch.take_over(3.0, progress=True, waiting=False)
    batch.told("fenced")
    batch.finish(Outcome(1), 4.0)
    batch.next(5.0)
    batch.finish(Outcome(2), 6.0)
    assert batch.take_finished() == [Outcome(2)]


# --------------------------------------------------------------------- abandoned


def test_an_abandoned_lane_leaves_all_it_had():
    batch = running()
    left = batch.abandon(2.5)
    assert left is not None
    assert (left.registration.id, left.work.token, left.waiting) == ("w", 1, (2,))
    assert left.outcomes == [Outcome(0), PROGRESS]
    assert batch.abandoned and batch.running is None


def test_what_it_finishes_afterwards_is_nothing():
    batch = running()
    batch.abandon(2.5)
    batch.finish(Outcome(1), 9.0)
    assert batch.take_finished() == []
    assert batch.next(9.0) is None


@pytest.mark.parametrize("began", [0.0, 2.0])
def test_one_whose_consumer_has_returned_is_not_abandoned(began):
    batch = running()
    batch.began = began  # Another frame, or none, than the one that was looked at.
    assert batch.abandon(2.5) is None
    assert not batch.abandoned
    batch.finish(Outcome(1), 3.0)
    assert batch.take_finished() == [Outcome(0), Outcome(1)]


def test_progress_that_is_somebody_else_s_is_not_left():
    batch = running()
    batch.lost = True
    left = batch.abandon(2.5)
    assert left is not None and left.outcomes == [Outcome(0)]


# -------------------------------------------------------------------------- pace


def test_the_first_claim_takes_one_and_the_next_ones_more():
    pace = Pace(0.005, 64)
    counts = []
    for _ in range(8):
        counts.append(pace.count)
        pace.ran(pace.count, pace.count * 20e-6)
    assert counts == [1, 2, 4, 8, 16, 32, 64, 64]


def test_a_batch_takes_about_its_time():
    pace = Pace(0.005, 64)
    for _ in range(20):
        pace.ran(pace.count, pace.count * 0.001)
    assert pace.count in (4, 5)


def test_slow_ones_come_alone():
    pace = Pace(0.005, 64)
    for _ in range(20):
        pace.ran(pace.count, pace.count * 20e-6)
    pace.ran(1, 0.5)
    assert pace.count == 1


def test_a_clock_that_stands_still_is_no_division_by_zero():
    pace = Pace(0.005, 64)
    pace.ran(1, 0.0)
    assert pace.count == 2
