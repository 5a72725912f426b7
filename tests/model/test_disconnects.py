"""Whoever dies: each connect is followed by one disconnect, and that is the last."""

import pytest

from tests.model.disconnects import Rules, explore
from tests.model.explore import OK, STUCK, UNSAFE


@pytest.mark.parametrize("faults", [0, 1, 2, 3])
def test_all_rules_together_end_each_connection_once(faults: int) -> None:
    verdict = explore(Rules(), faults=faults)
    assert verdict.outcome == OK, str(verdict)
    assert verdict.states > (20 if faults == 0 else 50)


@pytest.mark.parametrize(
    ("rules", "faults", "outcome"),
    [
        # Nobody knows of the sockets of a killed interface.
        (Rules(record=False), 1, STUCK),
        # It is run beside the delivery that was out, and may be the first to end.
        (Rules(waits=False), 1, UNSAFE),
        # That delivery is given up, and its orphan waits for ever.
        (Rules(ends="commit"), 1, STUCK),
        # Queued by the interface, and once more by who reaps it.
        (Rules(last=False), 1, UNSAFE),
        # Nobody was there to be told; its record stays with the living process.
        (Rules(forget=False), 0, STUCK),
        # The interface lives, and goes on with a socket that is gone for all others.
        (Rules(tombstone=False), 1, UNSAFE),
    ],
    ids=str,
)
def test_without_one_rule(rules: Rules, faults: int, outcome: str) -> None:
    verdict = explore(rules, faults=faults)
    assert verdict.outcome == outcome, str(verdict)
    assert verdict.trace
