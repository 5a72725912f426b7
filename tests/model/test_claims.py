"""A lost answer to a claim leases nothing for ever, and nothing is taken from who runs it."""

from typing import Literal

import pytest

from tests.model.claims import Rules, explore
from tests.model.explore import OK, STUCK, UNSAFE


@pytest.mark.parametrize(("deliveries", "faults"), [(3, 1), (2, 2), (3, 2)])
@pytest.mark.parametrize("exempt", ["later", "next"])
def test_all_rules_together_run_everything_and_take_nothing(
    exempt: Literal["later", "next"], deliveries: int, faults: int
) -> None:
    verdict = explore(Rules(exempt=exempt), deliveries=deliveries, faults=faults)
    assert verdict.outcome == OK, str(verdict)
    assert verdict.states > 100


@pytest.mark.parametrize(
    ("rules", "faults", "outcome"),
    [
        # A late request makes a claim on its way look like one that was answered.
        (Rules(numbered=False), 1, UNSAFE),
        # A request that is performed after it was asked again in vain leases for ever.
        (Rules(held=False), 1, STUCK),
        (Rules(periodic=False), 1, STUCK),
        # Held overtakes the answer to a claim, and takes what it brings.
        (Rules(exempt="none"), 0, UNSAFE),
        # Held is overtaken by two claims, and takes what the first of them brought.
        (Rules(exempt="last"), 0, UNSAFE),
    ],
    ids=str,
)
def test_without_one_rule(rules: Rules, faults: int, outcome: str) -> None:
    verdict = explore(rules, faults=faults)
    assert verdict.outcome == outcome, str(verdict)
    assert verdict.trace


def test_asking_again_needs_no_second_look() -> None:
    """Held right after an error cannot tell a claim on its way from one that was lost."""
    rules = Rules(periodic=False)
    assert explore(rules, late=False).outcome == OK
    assert explore(rules._replace(again=False), late=False).outcome == STUCK
