"""A process is buried once and for all, and only when it was silent."""

import pytest

from tests.model.explore import OK, STUCK, UNSAFE
from tests.model.reaping import Rules, explore


@pytest.mark.parametrize("faults", [1, 2])
def test_all_rules_together_bury_the_silent_and_nobody_else(faults: int) -> None:
    verdict = explore(Rules(), faults=faults)
    assert verdict.outcome == OK, str(verdict)
    assert verdict.states > 100


@pytest.mark.parametrize(
    ("rules", "outcome"),
    [
        # It woke up and has beaten, after the reaper had looked.
        (Rules(compare=False), UNSAFE),
        # It wakes up in the middle, is known again, and loses what it claims then.
        (Rules(tombstone=False), UNSAFE),
        # It commits what somebody else was handed meanwhile.
        (Rules(fence=False), UNSAFE),
        # Dead for all others, and nobody starts it again: it does not know that it is.
        (Rules(renews=False), STUCK),
    ],
    ids=str,
)
def test_without_one_rule(rules: Rules, outcome: str) -> None:
    verdict = explore(rules)
    assert verdict.outcome == outcome, str(verdict)
    assert verdict.trace
