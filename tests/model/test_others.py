"""What a delivery sends to another layer is there before it is done, or it is a dead letter."""

import pytest

from tests.model.explore import OK, STUCK, UNSAFE
from tests.model.others import Rules, explore


@pytest.mark.parametrize(("runs", "tries", "faults"), [(1, 1, 2), (2, 2, 3), (3, 2, 4)])
def test_all_rules_together_lose_nothing(runs: int, tries: int, faults: int) -> None:
    verdict = explore(Rules(), runs=runs, tries=tries, faults=faults)
    assert verdict.outcome == OK, str(verdict)
    assert verdict.states > 20


@pytest.mark.parametrize(
    ("rules", "outcome"),
    [
        (Rules(waits_for_answer=False), UNSAFE),
        (Rules(same_number=False), UNSAFE),
        (Rules(runs_again=False), UNSAFE),
        # While the other layer stays away, it runs for ever.
        (Rules(dies=False), STUCK),
    ],
    ids=str,
)
def test_without_one_rule(rules: Rules, outcome: str) -> None:
    verdict = explore(rules)
    assert verdict.outcome == outcome, str(verdict)
    assert verdict.trace
