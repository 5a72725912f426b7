"""Every rule of the delivery protocol is needed, and together they are enough."""

import pytest

from tests.model.delivery import Rules, explore
from tests.model.explore import OK, STUCK, UNSAFE

# The largest takes some seconds of a CPU.
pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize(
    ("deliveries", "faults", "loss"),
    [(2, 3, False), (3, 3, False), (2, 2, True), (3, 1, True)],
)
def test_all_rules_together_are_safe_and_never_stuck(
    deliveries: int, faults: int, loss: bool
) -> None:
    verdict = explore(Rules(), deliveries=deliveries, faults=faults, loss=loss)
    assert verdict.outcome == OK, str(verdict)
    assert verdict.states > 500  # A model that goes nowhere is safe, too.


@pytest.mark.parametrize(
    ("rules", "faults", "outcome"),
    [
        # A popped answer that the connection swallows never comes again.
        (Rules(cursor=False), 1, STUCK),
        # A claim whose answer was lost leases for ever.
        (Rules(reconcile=False), 1, STUCK),
        # What a killed worker ran stays with it.
        (Rules(reaper=False), 1, STUCK),
        # Nobody can tell the commit of a zombie from that of its successor.
        (Rules(fence=False, floor="none"), 1, UNSAFE),
        # An enqueue that was sent twice is run twice.
        (Rules(numbered=False, floor="none"), 1, UNSAFE),
    ],
    ids=str,
)
def test_without_one_rule(rules: Rules, faults: int, outcome: str) -> None:
    verdict = explore(rules, faults=faults)
    assert verdict.outcome == outcome, str(verdict)
    assert verdict.trace


@pytest.mark.parametrize(
    ("rules", "faults", "outcome"),
    [
        # Redis forgot the delivery, and the interface does not know that it did.
        (Rules(watermark=False), 0, STUCK),
        # The floor came back lower than what is in flight: nothing is ever "the next" again.
        (Rules(floor="next"), 0, STUCK),
        # An old delivery comes back with the state, behind newer ones.
        (Rules(floor="none"), 1, UNSAFE),
        # A lease comes back that its worker has forgotten.
        (Rules(reconcile=False), 0, STUCK),
    ],
    ids=str,
)
def test_without_one_rule_when_redis_loses_its_last_second(
    rules: Rules, faults: int, outcome: str
) -> None:
    verdict = explore(rules, faults=faults, loss=True)
    assert verdict.outcome == outcome, str(verdict)
    assert verdict.trace


@pytest.mark.parametrize("weaker", [Rules(numbered=False), Rules(fence=False)], ids=str)
def test_the_floor_alone_stands_in_for_the_rule(weaker: Rules) -> None:
    """Two rules for one promise: either of them may be broken, not both."""
    assert explore(weaker, faults=2).outcome == OK
    assert explore(weaker._replace(floor="none"), faults=2).outcome == UNSAFE
