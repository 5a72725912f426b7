from djchan.lanes.unsettled import Unsettled
from djchan.layers.operations import Address, GiveUp, Outcome, Release

ADDRESS = Address("P", "1-abc", 3)
FIRST = Outcome(1, address=ADDRESS, progress=1)
SECOND = Outcome(1, address=ADDRESS, progress=2)
LAST = Outcome(1, address=ADDRESS)
OTHER = Outcome(2, address=ADDRESS)
STUCK = GiveUp("w", 1, "stuck", True, ADDRESS, since=2)


def unsettled(*outcomes: Outcome) -> Unsettled:
    waiting = Unsettled()
    waiting.add(outcomes)
    return waiting


def test_while_nothing_waits_nothing_is_held_back():
    outcomes = [FIRST, OTHER]
    waiting = Unsettled()
    assert not waiting
    assert waiting.hold_back(outcomes) is outcomes


def test_the_end_of_a_delivery_joins_its_progress_that_waits():
    waiting = unsettled(FIRST)
    assert waiting.hold_back([OTHER, SECOND, LAST]) == [OTHER]
    assert waiting.waiting() == (FIRST, SECOND, LAST)


def test_a_give_up_joins_the_progress_that_waits_and_what_is_released_waits_for_nothing():
    waiting = unsettled(FIRST)
    poison, release = GiveUp("w", 3, "poison", True, ADDRESS), Release("w", (4,))
    assert waiting.hold_back([STUCK, poison, release]) == [poison, release]
    assert waiting.waiting() == (FIRST, STUCK)


def test_what_was_settled_waits_no_longer():
    waiting = unsettled(FIRST, OTHER)
    waiting.settled((FIRST, OTHER), ("stale", "done"))
    assert waiting.waiting() == (FIRST,)
    assert 1 in waiting and 2 not in waiting
    waiting.settled((FIRST,), ("fenced",))
    assert not waiting


def test_what_joined_while_the_others_were_said_waits_for_the_next_time():
    waiting = unsettled(FIRST)
    said = waiting.waiting()
    assert waiting.hold_back([LAST]) == []
    waiting.settled(said, ("done",))
    assert waiting.waiting() == (LAST,)
