"""However many copies of a delivery there are, and whoever ends: its effects happen once."""

import pytest

from tests.model.endings import Rules, explore
from tests.model.explore import OK, STUCK, UNSAFE


@pytest.mark.parametrize("faults", [0, 1, 2, 3])
def test_all_rules_together_apply_it_once(faults: int) -> None:
    verdict = explore(Rules(), faults=faults)
    assert verdict.outcome == OK, str(verdict)
    assert verdict.states > (5 if faults == 0 else 20)


@pytest.mark.parametrize(
    ("rules", "faults", "outcome"),
    [
        # A second copy, while the connection lives.
        (Rules(floor=False), 1, UNSAFE),
        # A second copy, after the connection was forgotten and its floor with it.
        (Rules(known=False), 1, UNSAFE),
        # Nothing of a new connection would ever be committed.
        (Rules(begin=False), 0, STUCK),
        # What a killed interface had sent would not be done.
        (Rules(left=False), 1, STUCK),
        # A second copy, of an interface that was killed.
        (Rules(dropped=False), 2, UNSAFE),
    ],
    ids=str,
)
def test_without_one_rule(rules: Rules, faults: int, outcome: str) -> None:
    verdict = explore(rules, faults=faults)
    assert verdict.outcome == outcome, str(verdict)
    assert verdict.trace or faults == 0
