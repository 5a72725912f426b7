"""A response in parts keeps to its window, and never waits for nobody."""

import pytest

from tests.model.explore import OK, STUCK, UNSAFE
from tests.model.flow import Faults, Rules, explore

ALL = [Faults(), Faults(lost=2), Faults(lost=1, leaves=1), Faults(lost=1, kills=1)]


@pytest.mark.parametrize("window", [1, 2, 3])
@pytest.mark.parametrize("faults", ALL, ids=str)
def test_all_rules_together(faults: Faults, window: int) -> None:
    verdict = explore(Rules(), faults, window=window)
    assert verdict.outcome == OK, str(verdict)
    assert verdict.states > 20


@pytest.mark.parametrize("faults", ALL, ids=str)
def test_the_wake_ups_are_enough_where_nobody_looks_by_himself(faults: Faults) -> None:
    verdict = explore(Rules(looks=False), faults)
    assert verdict.outcome == OK, str(verdict)


@pytest.mark.parametrize(
    "rules", [Rules(cut_wakes=False), Rules(death_wakes=False), Rules(one_step=False)], ids=str
)
def test_a_look_now_and_then_is_enough_where_a_wake_up_is_missing(rules: Rules) -> None:
    for faults in ALL:
        verdict = explore(rules, faults)
        assert verdict.outcome == OK, str(verdict)


@pytest.mark.parametrize(
    ("rules", "faults", "outcome"),
    [
        # A difference that is said twice grants twice as much.
        (Rules(totals=False), Faults(lost=1), UNSAFE),
        # The grant falls between the look and the note, and nobody looks again.
        (Rules(one_step=False, looks=False), Faults(), STUCK),
        # Nobody tells the run.
        (Rules(cut_wakes=False, looks=False), Faults(leaves=1), STUCK),
        (Rules(death_wakes=False, looks=False), Faults(kills=1), STUCK),
        # All that was sent is taken, and that is not enough to grant more.
        (Rules(halves=False), Faults(), STUCK),
    ],
    ids=str,
)
def test_without_one_rule(rules: Rules, faults: Faults, outcome: str) -> None:
    verdict = explore(rules, faults)
    assert verdict.outcome == outcome, str(verdict)
    assert verdict.trace
