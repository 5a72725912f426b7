"""A commit of some frames of a delivery: each frame counts once, whoever dies after which."""

import pytest

from tests.model.explore import OK, UNSAFE
from tests.model.partial import FRAMES, Rules, explore


@pytest.mark.parametrize("poison", range(FRAMES + 1))
def test_all_rules_together_apply_each_frame_once_and_in_order(poison: int) -> None:
    verdict = explore(Rules(), poison=poison, faults=1 if poison else 2)
    assert verdict.outcome == OK, str(verdict)
    assert verdict.states > 100


@pytest.mark.parametrize(
    ("rules", "faults", "poison"),
    [
        # What was committed is run, and committed, again by the next worker.
        (Rules(stored=False), 1, 0),
        (Rules(resumed=False), 1, 0),
        # The end of the delivery arrives first, and the frames before it are refused.
        (Rules(waits=False), 0, 0),
        # Its lease goes on, so nothing but its number tells that it was applied.
        (Rules(numbered=False), 1, 0),
        # The worker that was thought dead says what its successor said, too.
        (Rules(fence="none"), 1, 0),
        # The same, when the successor is a worker of the same id.
        (Rules(fence="process"), 1, 0),
        # Good frames are buried with the poison behind them.
        (Rules(each=False), 0, 2),
        (Rules(each=False), 0, 3),
    ],
    ids=str,
)
def test_without_one_rule(rules: Rules, faults: int, poison: int) -> None:
    verdict = explore(rules, faults=faults, poison=poison)
    assert verdict.outcome == UNSAFE, str(verdict)
    assert verdict.trace
