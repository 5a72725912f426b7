"""Callers: each has numbers of its own, and an interrupted Pop keeps its number."""

import pytest

from djchan.layers.callers import Callers


def test_a_caller_counts_its_operations_and_is_used_again() -> None:
    callers = Callers()
    caller = callers.take()
    assert (caller.next(), caller.next()) == (1, 2)
    assert callers.take().id != caller.id
    callers.give_back(caller)
    assert callers.take() is caller


def test_no_more_are_kept_than_the_limit() -> None:
    callers = Callers(limit=2)
    taken = [callers.take() for _ in range(5)]
    for caller in taken:
        callers.give_back(caller)
    assert sum(callers.take() in taken for _ in range(5)) == 2


def test_an_interrupted_pop_is_the_next_one_on_its_channels() -> None:
    callers = Callers()
    with pytest.raises(KeyboardInterrupt), callers.popping(("a", "b"), 5) as pop:
        raise KeyboardInterrupt
    with callers.popping(("a",), 5) as another:
        assert another.link != pop.link
    with callers.popping(("b", "a"), 0) as again:
        assert (again.link, again.number, again.timeout) == (pop.link, pop.number, 0)
    with callers.popping(("a", "b"), 5) as after:
        assert (after.link, after.number) != (pop.link, pop.number)


def test_interrupted_pops_are_bounded() -> None:
    callers = Callers(limit=3)
    for number in range(10):
        with pytest.raises(KeyboardInterrupt), callers.popping((str(number),), 0):
            raise KeyboardInterrupt
    assert len(callers._interrupted) == 3
