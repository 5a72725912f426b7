"""A poison is buried after three runs, and nobody with it."""

import pytest

from tests.model.explore import OK, STUCK, UNSAFE
from tests.model.suspects import Rules, explore


@pytest.mark.parametrize(
    ("poisons", "innocents", "kills", "goodbyes"),
    [(1, 2, 0, 0), (1, 3, 0, 0), (1, 2, 1, 0), (1, 1, 0, 3), (2, 1, 0, 0), (2, 2, 0, 0)],
)
def test_all_rules_together_bury_the_poison_alone(
    poisons: int, innocents: int, kills: int, goodbyes: int
) -> None:
    verdict = explore(Rules(), poisons=poisons, innocents=innocents, kills=kills, goodbyes=goodbyes)
    assert verdict.outcome == OK, str(verdict)
    assert verdict.states > 100


@pytest.mark.parametrize(
    ("rules", "goodbyes", "outcome"),
    [
        # The poison takes the same innocents with it three times.
        (Rules(alone=False), 0, UNSAFE),
        # Nobody counts: it is run for ever.
        (Rules(counted=False), 0, UNSAFE),
        # A worker is idle, and the suspect that it may take now waits.
        (Rules(ring=False), 0, STUCK),
        # Three deploys bury what has once been near a poison.
        (Rules(goodbye=False), 2, UNSAFE),
    ],
    ids=str,
)
def test_without_one_rule(rules: Rules, goodbyes: int, outcome: str) -> None:
    verdict = explore(rules, kills=0, goodbyes=goodbyes)
    assert verdict.outcome == outcome, str(verdict)
    assert verdict.trace


@pytest.mark.parametrize(("poisons", "kills"), [(3, 0), (2, 1), (1, 2)])
def test_the_limit_three_deaths_of_other_causes_bury_an_innocent(poisons: int, kills: int) -> None:
    """A first-timer beside a suspect cannot be told from it: three such deaths are its end."""
    verdict = explore(Rules(), poisons=poisons, innocents=1, kills=kills)
    assert verdict.outcome == UNSAFE
    assert verdict.reason == "An innocent delivery is buried."
