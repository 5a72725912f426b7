"""A loss that no connection shows is noticed by the numbers, and nothing waits for ever."""

import pytest

from tests.model.explore import OK, STUCK, UNSAFE
from tests.model.watermark import Rules, explore


def test_all_rules_together_get_everything_answered() -> None:
    verdict = explore(Rules())
    assert verdict.outcome == OK, str(verdict)
    assert verdict.states > 100


@pytest.mark.parametrize(
    ("rules", "outcome"),
    [
        # The next send hides that the one before it was lost.
        (Rules(send=False), STUCK),
        # Who has nothing more to send never learns it.
        (Rules(beat=False), STUCK),
        # Refused, resumed, refused …
        (Rules(raised=False), STUCK),
        # It is known again; its delivery is not.
        (Rules(repeated=False), STUCK),
        # An older delivery comes back, and nobody knows that it was answered.
        (Rules(floors=False), UNSAFE),
    ],
    ids=str,
)
def test_without_one_rule(rules: Rules, outcome: str) -> None:
    verdict = explore(rules)
    assert verdict.outcome == outcome, str(verdict)
    assert verdict.trace
