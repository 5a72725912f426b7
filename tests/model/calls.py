"""Numbered operations of a caller that is no process, as a model: one caller, what it asks for,
and a layer that remembers the caller's last answer for a while.

From ``tests.model.test_calls``; on to ``tests.model.explore``. The caller takes messages off a
channel one after the other (a Pop; a Part or a Send is the same, with "applied" for "taken"). The
answer may be lost, and a request of a broken connection may be performed late::

    caller ── pop n ──► layer: takes the next, remembers n and the answer ──► n is answered
           ── pop n ──► what it remembers of n
    late   ── pop n ──► n was applied: again nothing

The promise: the caller gets every message, once and in order.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.explore import Exploration, Move, Verdict


class Rules(NamedTuple):
    """The rules of the protocol; every default is the one in force."""

    #: A request whose answer was lost is repeated.
    repeats: bool = True
    #: … under the same number.
    same_number: bool = True
    #: The layer remembers the answer to the last number.
    remembers: bool = True
    #: A number below the last one is not applied.
    older_refused: bool = True
    #: The layer forgets only when no request of that number can come any more.
    forgets_late: bool = True


class Layer(NamedTuple):
    head: int = 0  # The next message to be taken.
    number: int = 0  # Of the last request that was applied …
    answer: int = -1  # … and what it took.


class State(NamedTuple):
    layer: Layer
    asked: int = 0  # Number of the caller's last request …
    trying: bool = False  # … which is not answered yet;
    request: int = 0  # the one that is on its way (0: none),
    answer: int = -1  # or its answer (-1: none).
    late: tuple[int, ...] = ()  # Requests of broken connections.
    got: tuple[int, ...] = ()
    faults: int = 0


def explore(rules: Rules, *, messages: int = 3, faults: int = 2) -> Verdict:
    def moves(state: State) -> Iterator[Move[State]]:
        yield from caller_moves(state, rules, messages)
        yield from layer_moves(state, rules, messages)
        yield from fault_moves(state, rules)

    def broken(state: State) -> str:
        whole = state.got == tuple(range(len(state.got)))
        return "" if whole else f"The caller got {state.got}."

    def finished(state: State) -> bool:
        return len(state.got) == messages

    start = State(Layer(), faults=faults)
    return Exploration(start, moves, broken=broken, finished=finished).run()


def caller_moves(state: State, rules: Rules, messages: int) -> Iterator[Move[State]]:
    if state.answer >= 0:
        got = state._replace(got=(*state.got, state.answer), answer=-1, trying=False)
        yield Move("the answer arrives", got)
    elif not state.trying and len(state.got) < messages:
        asked = state.asked + 1
        yield Move("it asks", state._replace(asked=asked, trying=True, request=asked))
    elif state.trying and not state.request and rules.repeats:
        asked = state.asked if rules.same_number else state.asked + 1
        yield Move("it asks again", state._replace(asked=asked, request=asked))


def layer_moves(state: State, rules: Rules, messages: int) -> Iterator[Move[State]]:
    if state.request:
        layer, answer = applied(state.layer, state.request, rules, messages)
        there = state._replace(layer=layer, request=0, answer=answer)
        yield Move("the layer performs the request", there)
    for number in state.late:
        layer, _ = applied(state.layer, number, rules, messages)
        late = tuple([each for each in state.late if each != number])
        yield Move("… a late one", state._replace(layer=layer, late=late))
    # The caller gives up long before the layer forgets, and nothing is late for so long.
    idle = not (state.trying or state.late)
    if state.layer.number and (idle or not rules.forgets_late):
        forgotten = state.layer._replace(number=0, answer=-1)
        yield Move("the layer forgets the answer", state._replace(layer=forgotten))


def applied(layer: Layer, number: int, rules: Rules, messages: int) -> tuple[Layer, int]:
    """The layer after a request with this number, and its answer (-1: none)."""
    if rules.remembers and number == layer.number:
        return layer, layer.answer
    if rules.older_refused and number < layer.number:
        return layer, -1
    if layer.head >= messages:
        return layer, -1
    return Layer(layer.head + 1, number, layer.head), layer.head


def fault_moves(state: State, rules: Rules) -> Iterator[Move[State]]:
    if not state.faults:
        return
    left = state._replace(faults=state.faults - 1)
    if state.request:
        late = tuple(sorted({*state.late, state.request}))
        yield Move("the connection breaks", left._replace(request=0, late=late), fault=True)
    if state.answer >= 0:
        yield Move("the answer is lost", left._replace(answer=-1), fault=True)
