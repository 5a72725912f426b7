"""Frames that are committed in parts: once each, wherever a store that goes back takes them."""

import pytest

from tests.model.explore import OK, STUCK, UNSAFE
from tests.model.progress import Faults, Rules, explore


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("poison", [9, 1])
@pytest.mark.parametrize(
    "faults",
    [
        Faults(restarts=1),
        Faults(steps=1),
        Faults(restarts=1, steps=1),
        Faults(restarts=1, kills=1),
        Faults(steps=1, kills=1),
    ],
    ids=str,
)
def test_all_rules_together_apply_each_frame_once(faults: Faults, poison: int, later: bool) -> None:
    verdict = explore(Rules(), faults, poison=poison, later=later)
    assert verdict.outcome == OK, str(verdict)
    assert verdict.states > 100


@pytest.mark.parametrize(
    ("faults", "frames"), [(Faults(steps=2), 2), (Faults(restarts=1, steps=1), 3)], ids=str
)
def test_all_rules_together_when_the_store_goes_back_twice_and_with_more_frames(
    faults: Faults, frames: int
) -> None:
    verdict = explore(Rules(), faults, frames=frames)
    assert verdict.outcome == OK, str(verdict)
    assert verdict.states > 10_000


def test_if_all_that_begins_below_the_floor_went_back_copies_could_begin_anywhere() -> None:
    """It would take fewer rules; but every copy would be run to its end."""
    rules = Rules(below="all", resend_done=False, beside=False)
    verdict = explore(rules, Faults(restarts=1, steps=1), later=True)
    assert verdict.outcome == OK, str(verdict)


RESTART, BACK = Faults(restarts=1), Faults(steps=1)


@pytest.mark.parametrize(
    ("rules", "faults", "outcome"),
    [
        # Nothing is lost, and the copy begins at the first frame all the same.
        (Rules(floor_frames=False), RESTART, UNSAFE),
        (Rules(floor_frames=False), BACK, UNSAFE),
        # The interface has the replies, and nobody knows it.
        (Rules(told=False), BACK, UNSAFE),
        # It knows, and does not say so.
        (Rules(resume_frames=False), BACK, UNSAFE),
        # It says so, and sends what can only be superseded.
        (Rules(resend_done=False), BACK, STUCK),
        # The frames before are lost, and those behind them are committed.
        (Rules(since=False), BACK, UNSAFE),
        # The progress overtook the answer to the Send, which is said again.
        (Rules(beside=False), BACK, STUCK),
        # The copy is superseded, and the floor goes that the other one needs.
        (Rules(below="ends"), Faults(restarts=1, kills=1), STUCK),
        # The interface dies between its Resume and what it would have sent again.
        (Rules(below="kept"), Faults(steps=1, kills=1), STUCK),
    ],
    ids=str,
)
def test_without_one_rule(rules: Rules, faults: Faults, outcome: str) -> None:
    verdict = explore(rules, faults)
    assert verdict.outcome == outcome, str(verdict)
    assert verdict.trace


def test_without_one_rule_for_what_is_given_up() -> None:
    """Good frames are lost with the one that is not."""
    verdict = explore(Rules(given_up=False), BACK, poison=1)
    assert verdict.outcome == UNSAFE, str(verdict)
    assert verdict.trace


@pytest.mark.parametrize("faults", [RESTART, BACK], ids=str)
def test_without_one_rule_for_what_is_put_off(faults: Faults) -> None:
    """The frames before the one that is put off run again."""
    verdict = explore(Rules(put_off=False), faults, later=True)
    assert verdict.outcome == UNSAFE, str(verdict)
    assert verdict.trace
