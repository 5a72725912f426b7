"""What waits is taken while somebody is idle, and nothing stays leased that nobody runs."""

import pytest

from tests.model.explore import OK, STUCK
from tests.model.wakeups import Faults, Rules, explore

KILL, STEP, CUT = Faults(kills=1), Faults(steps=1), Faults(cuts=1)


@pytest.mark.parametrize("faults", [Faults(), KILL, STEP, Faults(kills=1, steps=1)], ids=str)
def test_without_a_check_of_the_idle_nothing_waits_for_one_who_is_busy(faults: Faults) -> None:
    verdict = explore(Rules(), faults=faults)
    assert verdict.outcome == OK, str(verdict)
    assert verdict.states > 50


@pytest.mark.parametrize(("faults", "sends"), [(Faults(), 1), (KILL, 1), (STEP, 0)], ids=str)
def test_what_is_due_is_taken_while_somebody_is_idle(faults: Faults, sends: int) -> None:
    verdict = explore(Rules(), faults=faults, delays=1, sends=sends)
    assert verdict.outcome == OK, str(verdict)


@pytest.mark.parametrize("faults", [Faults(), KILL], ids=str)
def test_the_one_that_waits_for_what_is_due_may_take_something_else_or_die(faults: Faults) -> None:
    sends = 0 if faults == KILL else 1
    verdict = explore(Rules(due=False), faults=faults, delays=1, sends=sends)
    assert verdict.outcome == STUCK, str(verdict)
    assert verdict.trace


@pytest.mark.parametrize("faults", [CUT, Faults(cuts=2), Faults(kills=1, cuts=1)], ids=str)
def test_a_claim_that_redis_runs_late_is_made_good_by_a_check(faults: Faults) -> None:
    verdict = explore(Rules(polls=True), faults=faults)
    assert verdict.outcome == OK, str(verdict)


@pytest.mark.parametrize(
    ("rules", "faults"),
    [
        (Rules(push=False), Faults()),
        (Rules(next=False), Faults()),
        # The one that was woken has died before it could look.
        (Rules(reap=False), KILL),
        # It was idle in the older state, and is busy now: it is woken in place of an idle one.
        (Rules(history=False), STEP),
        # It is noted nowhere any more.
        (Rules(reconnect=False), STEP),
        # What is leased to it since the older state, or by a claim that it has given up.
        (Rules(held=False), STEP),
        (Rules(held=False, polls=True), CUT),
        # It is noted as idle by such a claim, while it is busy.
        (Rules(polls=False), CUT),
    ],
    ids=str,
)
def test_without_one_rule(rules: Rules, faults: Faults) -> None:
    verdict = explore(rules, faults=faults)
    assert verdict.outcome == STUCK, str(verdict)
    assert verdict.trace
