from itertools import accumulate

import pytest

from djchan.interface.drain import schedule


@pytest.mark.parametrize("count", [1, 7, 200, 1001])
def test_all_leave_once_within_the_time(count):
    sockets = list(range(count))
    plan = schedule(sockets, 5.0)
    assert sorted(socket for _, batch in plan for socket in batch) == sockets
    assert all(pause >= 0 for pause, _ in plan)
    assert sum(pause for pause, _ in plan) <= 5.0


def test_many_are_spread_over_all_of_it_in_batches_of_one_size():
    plan = schedule(list(range(1000)), 5.0)
    assert len(plan) == 50
    assert {len(batch) for _, batch in plan} == {20}
    moments = list(accumulate(pause for pause, _ in plan))
    assert moments[0] < 0.1 and moments[-1] >= 4.9
    assert all(n * 0.1 <= moment <= (n + 1) * 0.1 + 1e-6 for n, moment in enumerate(moments))


def test_a_batch_is_off_the_beat_and_nobody_is_always_first():
    one, other = schedule(list(range(400)), 5.0), schedule(list(range(400)), 5.0)
    assert [pause for pause, _ in one] != [pause for pause, _ in other]
    assert [batch for _, batch in one] != [batch for _, batch in other]


def test_few_sockets_are_not_made_to_wait():
    assert schedule([], 5.0) == []
    assert sum(pause for pause, _ in schedule([1, 2], 5.0)) <= 0.05
    assert sum(pause for pause, _ in schedule(list(range(40)), 5.0, chance=lambda: 0.99)) <= 1.0
    assert len(schedule(list(range(40)), 5.0)) == 10
