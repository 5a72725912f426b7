"""A process may leave a group only up to the adds it has seen, and must do so for dead ones."""

import pytest

from tests.model.explore import OK, STUCK, UNSAFE
from tests.model.groups import Rules, explore


def test_all_rules_together_miss_no_member_and_keep_no_empty_group() -> None:
    verdict = explore(Rules())
    assert verdict.outcome == OK, str(verdict)
    assert verdict.states > 500


@pytest.mark.parametrize(
    ("rules", "outcome"),
    [
        # The leave crosses an add, and takes the new member with it.
        (Rules(leave="blind"), UNSAFE),
        (Rules(leave="blind", undo=False), UNSAFE),
        # Left and joined again, the count is what it was before (ABA).
        (Rules(leave="count"), UNSAFE),
        (Rules(leave="count", undo=False), UNSAFE),
        # Nobody leaves for a connection that was gone before its add arrived.
        (Rules(undo=False), STUCK),
    ],
    ids=str,
)
def test_without_one_rule(rules: Rules, outcome: str) -> None:
    verdict = explore(rules)
    assert verdict.outcome == outcome, str(verdict)
    assert verdict.trace
