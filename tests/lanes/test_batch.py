import threading

from djchan.lanes.batch import Batch, Pace
from djchan.lanes.registration import Registration
from djchan.layers.operations import Outcome


class FakeWork:
    def __init__(self, token: int) -> None:
        self.token = token


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
