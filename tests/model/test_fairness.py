"""Sources that take turns: nobody starves, nothing is lost, and each keeps its order."""

import pytest

from tests.model.explore import OK, UNSAFE
from tests.model.fairness import Rules, explore


@pytest.mark.parametrize("faults", [0, 1])
def test_all_rules_together_run_everything_and_starve_nobody(faults: int) -> None:
    verdict = explore(Rules(), faults=faults)
    assert verdict.outcome == OK, str(verdict)
    assert verdict.states > 100


@pytest.mark.parametrize(
    "rules",
    [
        # The busy source is served until it has nothing left.
        Rules(rotates=False),
        # What is left of a source is never claimed.
        Rules(stays=False),
        # A source that comes and goes has several places in the ring.
        Rules(leaves=False),
        # A source that comes later is never claimed from.
        Rules(joins=False),
        # What is given back to a source that had nothing left is never claimed.
        Rules(rejoins=False),
        # What is given back comes behind what was sent after it.
        Rules(head=False),
        # What has no source waits for all that have one.
        Rules(plain=False),
    ],
    ids=str,
)
def test_without_one_rule(rules: Rules) -> None:
    verdict = explore(rules)
    assert verdict.outcome == UNSAFE, str(verdict)
    assert verdict.trace
