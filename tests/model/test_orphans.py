"""A copy of an answered delivery ends nothing but itself, also when its interface is dead."""

import pytest

from tests.model.explore import OK, STUCK, UNSAFE
from tests.model.orphans import Rules, explore


@pytest.mark.parametrize("copies", [0, 1, 2])
def test_all_rules_together_run_what_was_handed_over_and_then_the_disconnect(copies: int) -> None:
    verdict = explore(Rules(), deliveries=3, copies=copies)
    assert verdict.outcome == OK, str(verdict)
    assert verdict.states > 20


@pytest.mark.parametrize(
    ("rules", "outcome"),
    [
        # The copy ends first: the disconnect comes before the later delivery, which is refused.
        (Rules(later=False), UNSAFE),
        # Only the copy was out, and the disconnect waits for an end that nothing follows.
        (Rules(above=False), STUCK),
    ],
    ids=str,
)
def test_without_one_rule(rules: Rules, outcome: str) -> None:
    verdict = explore(rules)
    assert verdict.outcome == outcome, str(verdict)
    assert verdict.trace
