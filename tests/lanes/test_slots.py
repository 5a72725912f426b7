"""Slots of the event loop: lent while a delivery waits for its client, and never lost."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djchan.lanes import slots
from djchan.lanes.slots import Slots


def free_slots(of):
    """How many can be taken now."""
    count = 0
    while of.take(0):
        count += 1
    for _ in range(count):
        of.give_back()
    return count


def taken(*tokens, limit=2):
    of = Slots(limit)
    for _ in tokens:
        assert of.take(0)
    return of


def test_one_that_waits_for_its_client_lends_its_slot():
    of = taken(1, 2)
    assert not of.take(0)
    of.set_waiting(1, True)
    of.set_waiting(1, True)
    assert free_slots(of) == 1


def test_one_that_goes_on_needs_no_free_slot():
    of = taken(1, 2)
    of.set_waiting(1, True)
    assert of.take(0)
    of.set_waiting(1, False)
    of.free(2)
    assert free_slots(of) == 0, "three ran"
    of.free(1)
    assert free_slots(of) == 1


def test_whoever_asks_for_a_slot_is_woken():
    of = taken(1, 2)
    got = threading.Event()
    asking = threading.Thread(target=lambda: of.take(5) and got.set())
    asking.start()
    of.set_waiting(2, True)
    assert got.wait(5)
    asking.join()


def test_as_many_as_may_wait_lend_theirs(monkeypatch):
    monkeypatch.setattr(slots, "WAITING", 1)
    of = taken(1, 2)
    of.set_waiting(1, True)
    of.set_waiting(2, True)
    assert free_slots(of) == 1
    of.set_waiting(2, False)
    assert free_slots(of) == 1, "it had kept its own"


@pytest.mark.timeout(60)
@given(st.data())
def test_all_slots_are_free_when_nothing_is_there(data):
    limit, of, there, tokens = 3, Slots(3), set(), iter(range(1000))
    for _ in range(data.draw(st.integers(0, 40))):
        step = data.draw(st.sampled_from(["take", "wait", "go on", "free"]))
        if step == "take":
            if of.take(0):
                there.add(next(tokens))
        elif there:
            token = data.draw(st.sampled_from(sorted(there)))
            if step == "free":
                there.discard(token)
                of.free(token)
            else:
                of.set_waiting(token, step == "wait")
    of.free(*there)
    assert free_slots(of) == limit
