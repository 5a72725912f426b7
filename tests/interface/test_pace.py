from hypothesis import given
from hypothesis import strategies as st

from djchan.interface.pace import Budget, Stall, Window
from djchan.layers.operations import WINDOW

MIB = 1024 * 1024


def test_half_a_window_is_granted_at_a_time():
    window = Window(WINDOW)
    assert [window.took(MIB) for _ in range(4)] == [0, WINDOW + 2 * MIB, 0, WINDOW + 4 * MIB]


@given(st.integers(1, 4 * WINDOW), st.lists(st.integers(1, 3 * MIB), min_size=1, max_size=40))
def test_whoever_has_sent_all_it_may_is_granted_more_when_that_is_taken(size, parts):
    window = Window(size)
    granted, sent, under_way = WINDOW, 0, []
    for part in parts:
        while sent >= granted:
            assert under_way, "it waits, and nothing is under way that could wake it"
            granted = window.took(under_way.pop(0)) or granted
        sent += part
        under_way.append(part)
        assert sum(under_way) <= max(size, WINDOW) + max(parts)


def test_a_client_that_takes_nothing_is_given_up():
    stall = Stall(8)
    assert stall.pause == 2
    looks = [(0, 5), (2, 5), (4, 6), (6, 6), (8, 6), (10, 6)]
    assert not any(stall.look(now, taken) for now, taken in looks)
    assert stall.look(12, 6), "8 seconds after its last byte was seen to be taken"


def test_a_budget_counts_what_is_over_it_too():
    budget = Budget(10)
    assert budget.add(10) and not budget.add(5)
    assert budget.add(-6) and budget.used == 9
