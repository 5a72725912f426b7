"""Sends from a delivery to another layer, as a model: one delivery, a worker, two layers.

From ``tests.model.test_others``; on to ``tests.model.explore``. A run sends to the other layer;
when that has answered, it commits, which ends the delivery. Without an answer it asks again under
the number of the send; then the delivery runs again, and in the end it is a dead letter::

    waiting ──run──► sending n ──answer──► commit ──► done
       ▲                │  ▲ └ no answer: again n
       └── run again ───┘  └── the worker dies: another one runs it
       └── no runs left ──────────────────► dead

The promise: a delivery that is done has its message on the other layer; one run leaves one there
at most; and a delivery ends, done or dead.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.explore import Exploration, Move, Verdict

WAITING, SENDING, DONE, DEAD = "waiting", "sending", "done", "dead"


class Rules(NamedTuple):
    """The rules of the protocol; every default is the one in force."""

    #: The delivery is committed only after the other layer has answered.
    waits_for_answer: bool = True
    #: A send without an answer is repeated under the number that it had.
    same_number: bool = True
    #: A run that had no answer is followed by another one.
    runs_again: bool = True
    #: After so many runs the delivery is a dead letter.
    dies: bool = True


class State(NamedTuple):
    delivery: str = WAITING
    runs: int = 0
    tries: int = 0  # Of the send of this run.
    number: int = 0  # Of the send of this run.
    request: int = 0  # The number of a send that is on its way (0: none).
    answered: bool = False
    away: bool = False  # Nothing reaches the other layer.
    remembered: int = 0  # The last number of this run that the other layer has applied.
    left: int = 0  # How many messages this run has left on it …
    there: bool = False  # … and whether any run has.
    faults: int = 0


def explore(rules: Rules, *, runs: int = 2, tries: int = 2, faults: int = 3) -> Verdict:
    def moves(state: State) -> Iterator[Move[State]]:
        yield from worker_moves(state, rules, runs, tries)
        yield from layer_moves(state)
        yield from fault_moves(state)

    def broken(state: State) -> str:
        if state.left > 1:
            return "One run left its message twice."
        if state.delivery == DONE and not state.request and not state.there:
            return "The delivery is done, and its message is lost."
        return ""

    def finished(state: State) -> bool:
        return state.delivery in (DONE, DEAD)

    return Exploration(State(faults=faults), moves, broken=broken, finished=finished).run()


def worker_moves(state: State, rules: Rules, runs: int, tries: int) -> Iterator[Move[State]]:
    if state.delivery == WAITING:
        begun = state._replace(delivery=SENDING, runs=min(state.runs + 1, runs), tries=1)
        # Its number is a new one, which the layer cannot remember.
        sent = begun._replace(number=1, request=1, answered=False, remembered=0, left=0)
        yield Move("it runs and sends", sent)
    if state.delivery != SENDING:
        return
    if state.answered or not rules.waits_for_answer:
        yield Move("it commits", state._replace(delivery=DONE))
    if state.answered or state.request:
        return
    if state.tries < tries:
        number = state.number if rules.same_number else state.number + 1
        again = state._replace(number=number, request=number, tries=state.tries + 1)
        yield Move("it sends again", again)
    elif state.runs < runs or not rules.dies:
        if rules.runs_again:
            yield Move("it is to run again", state._replace(delivery=WAITING))
        else:
            yield Move("it gives up", state._replace(delivery=DONE))
    else:
        yield Move("it is a dead letter", state._replace(delivery=DEAD))


def layer_moves(state: State) -> Iterator[Move[State]]:
    if state.away:
        yield Move("the other layer is back", state._replace(away=False), fault=True)
        if state.request:
            yield Move("… it is not reached", state._replace(request=0))
    elif state.request:
        applied = state._replace(request=0, answered=True, remembered=state.request)
        if state.request != state.remembered:
            applied = applied._replace(left=state.left + 1, there=True)
        yield Move("the other layer takes it", applied)


def fault_moves(state: State) -> Iterator[Move[State]]:
    if not state.faults:
        return
    left = state._replace(faults=state.faults - 1)
    if not state.away:
        yield Move("the other layer goes away", left._replace(away=True), fault=True)
    if state.answered and state.delivery == SENDING:
        yield Move("the answer is lost", left._replace(answered=False), fault=True)
    if state.request:
        yield Move("the connection breaks", left._replace(request=0), fault=True)
    if state.delivery == SENDING:
        died = left._replace(delivery=WAITING, request=0, answered=False)
        yield Move("the worker dies", died, fault=True)
