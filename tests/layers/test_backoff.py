"""Waits between tries: they double, are bounded, and do not run in step."""

from hypothesis import given
from hypothesis import strategies as st

from djchan.layers.backoff import Backoff


@given(st.floats(0.001, 1.0), st.floats(1.0, 60.0), st.integers(1, 40))
def test_every_wait_is_between_half_and_all_of_its_doubling(first: float, limit: float, tries: int):
    backoff = Backoff(first, limit)

    for number in range(tries):
        full = min(limit, first * 2**number)
        assert full / 2 <= backoff.next() <= full


def test_starts_anew_after_success():
    backoff = Backoff(0.1, 10)
    for _ in range(5):
        backoff.next()

    backoff.reset()

    assert backoff.next() <= 0.1


def test_two_that_started_together_do_not_come_back_together():
    one, other = Backoff(1, 100), Backoff(1, 100)

    assert [one.next() for _ in range(6)] != [other.next() for _ in range(6)]
