"""A worker that was stopped takes no update back, and starts nothing that is not its own."""

import pytest

from tests.model.explore import OK, UNSAFE
from tests.model.zombies import Rules, explore


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_all_rules_together_lose_no_update_and_start_nothing_lost(frames: int) -> None:
    verdict = explore(Rules(), frames=frames)
    assert verdict.outcome == OK, str(verdict)
    assert verdict.states > 50


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        # It saves what it read before others had counted on.
        (Rules(fenced=False), "updates were committed"),
        # It begins what was handed to another worker while it stood still.
        (Rules(start=False), "has lost it"),
        # The second copy of a frame, behind the first.
        (Rules(dropped=False), "answered when it was claimed"),
    ],
    ids=str,
)
def test_without_one_rule(rules: Rules, reason: str) -> None:
    verdict = explore(rules)
    assert verdict.outcome == UNSAFE, str(verdict)
    assert reason in verdict.reason
    assert verdict.trace
