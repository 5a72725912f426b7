"""After Redis has come back older, nothing is applied again that was answered before."""

import pytest

from tests.model.explore import OK, STUCK, UNSAFE
from tests.model.history import Rules, explore


@pytest.mark.parametrize("deliveries", [1, 2, 3])
def test_all_rules_together_apply_nothing_again_that_was_answered(deliveries: int) -> None:
    verdict = explore(Rules(), deliveries=deliveries)
    assert verdict.outcome == OK, str(verdict)
    assert verdict.states > 50


@pytest.mark.parametrize(
    ("rules", "outcome"),
    [
        # The worker is back before the interface, and commits what the floor has forgotten.
        (Rules(waits=False), UNSAFE),
        # It gives up what was answered: a dead letter that somebody may run once more.
        (Rules(letters=False), UNSAFE),
        (Rules(history=False), UNSAFE),
        # It announces what it knows to nobody's use.
        (Rules(floors=False), UNSAFE),
        # It has announced its floor, and then looks at an answer of the old history.
        (Rules(dropped=False), UNSAFE),
        # Nobody tells it that a commit waits for its Resume.
        (Rules(refused=False), STUCK),
    ],
    ids=str,
)
def test_without_one_rule(rules: Rules, outcome: str) -> None:
    verdict = explore(rules)
    assert verdict.outcome == outcome, str(verdict)
    assert verdict.trace
