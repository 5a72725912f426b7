"""What a caller asks for under a number is done once, whatever becomes of its answers."""

import pytest

from tests.model.calls import Rules, explore
from tests.model.explore import OK, STUCK, UNSAFE


@pytest.mark.parametrize(("messages", "faults"), [(2, 1), (3, 2), (4, 3)])
def test_all_rules_together_lose_and_double_nothing(messages: int, faults: int) -> None:
    verdict = explore(Rules(), messages=messages, faults=faults)
    assert verdict.outcome == OK, str(verdict)
    assert verdict.states > 20


@pytest.mark.parametrize(
    ("rules", "outcome"),
    [
        (Rules(repeats=False), STUCK),
        # What the lost answer had taken is gone.
        (Rules(same_number=False), UNSAFE),
        (Rules(remembers=False), UNSAFE),
        # A late request takes a message that nobody is told of.
        (Rules(older_refused=False), STUCK),
        (Rules(forgets_late=False), UNSAFE),
    ],
    ids=str,
)
def test_without_one_rule(rules: Rules, outcome: str) -> None:
    verdict = explore(rules)
    assert verdict.outcome == outcome, str(verdict)
    assert verdict.trace
