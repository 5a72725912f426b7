"""A channel that fills itself gets emptied: no livelock, no second run, the order kept."""

import pytest

from tests.model.explore import OK, STUCK, UNSAFE
from tests.model.parking import Rules, explore


@pytest.mark.parametrize("expires", [False, True])
def test_all_rules_together_run_everything_once_and_in_order(expires: bool) -> None:
    verdict = explore(Rules(), expires=expires)
    assert verdict.outcome == OK, str(verdict)
    assert verdict.states > 50


@pytest.mark.parametrize(
    ("rules", "expires", "outcome"),
    [
        # All workers hold what would make room, and none of them may end it.
        (Rules(parks=False), False, STUCK),
        # A later message finds room, and passes those that are parked.
        (Rules(behind=False), True, UNSAFE),
        # What is parked stays there.
        (Rules(moves_up=False), False, STUCK),
    ],
    ids=str,
)
def test_without_one_rule(rules: Rules, expires: bool, outcome: str) -> None:
    verdict = explore(rules, expires=expires)
    assert verdict.outcome == outcome, str(verdict)
    assert verdict.trace
