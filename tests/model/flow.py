"""The window of a response in parts as a model, while answers are lost and clients leave.

A run sends parts, the interface hands them to the client and grants more (``layers.flow``,
``interface.pace``). A part is one byte here, and half a window too::

    run ── part ──► inbox ──► interface ── taken ──► client
     ▲                                      │
     └─ Room, or a wake-up ◄── granted ◄── Send, said again until it is answered

The promises: no more than a window is under way, the run never waits for ever while its client
reads, and it ends when its client, or the interface, is gone.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.explore import Exploration, Move, Verdict


class Rules(NamedTuple):
    """The rules of the protocol; every default is the one in force."""

    #: A Grant says how much there may be in total, not how much more.
    totals: bool = True
    #: Room notes whom to wake before it looks, in one step; without, a grant falls between.
    one_step: bool = True
    #: Whoever waits looks again by itself after a while.
    looks: bool = True
    #: A client that leaves wakes whoever sends to it.
    cut_wakes: bool = True
    #: The interface's death does.
    death_wakes: bool = True
    #: Half a window is granted at a time, not a whole one: one that is never reached stalls.
    halves: bool = True


class Faults(NamedTuple):
    lost: int = 0  # Answers to a Send.
    leaves: int = 0  # The client does.
    kills: int = 0  # Of the interface.


class State(NamedTuple):
    left: Faults
    sent: int = 0
    known: int = 0  # What the run knows to be granted.
    waits: str = ""  # The run: "asks" (between two steps of Room) or "sleeps".
    ended: bool = False  # The run knows that nobody wants it.
    granted: int = 0  # In the store.
    noted: bool = False  # Whom to wake.
    rung: bool = False
    arrived: int = 0  # At the interface.
    taken: int = 0  # By the client.
    said: int = 0  # Granted in total, as far as the interface has decided.
    saying: int = 0  # A Send with this total (or difference) is not answered.
    applied: bool = False  # It was applied, and its answer is on the way.
    gone: bool = False  # The client has left, or the interface is dead.


def explore(rules: Rules, faults: Faults, *, window: int = 2, parts: int = 5) -> Verdict:
    def moves(state: State) -> Iterator[Move[State]]:
        yield from run_moves(state, rules, parts)
        if not state.gone:
            yield from interface_moves(state, rules, window)
        yield from fault_moves(state, rules)

    def broken(state: State) -> str:
        under_way = state.sent - state.taken
        return f"{under_way} parts are under way." if under_way > window else ""

    def finished(state: State) -> bool:
        return state.ended if state.gone else state.taken == parts

    start = State(faults, known=window, granted=window, said=window)
    return Exploration(start, moves, broken=broken, finished=finished).run()


def run_moves(state: State, rules: Rules, parts: int) -> Iterator[Move[State]]:
    if state.ended:
        return
    if state.sent == parts:
        if state.gone:
            yield Move("run: has sent all", state._replace(ended=True))
    elif state.waits == "sleeps":
        awake = state._replace(waits="", rung=False)
        if state.rung:
            yield Move("run: is woken", awake)
        elif rules.looks:
            yield Move("run: looks", awake)
    elif state.sent < state.known:
        if state.gone:
            yield Move("run: its part is answered gone", state._replace(ended=True))
        else:
            yield Move("run: sends a part", state._replace(sent=state.sent + 1))
    elif state.waits == "asks":
        yield Move("run: is noted", state._replace(waits="sleeps", noted=True))
    elif state.gone:
        yield Move("run: Room answers gone", state._replace(ended=True))
    elif state.granted > state.known:
        yield Move("run: Room answers more", state._replace(known=state.granted))
    elif rules.one_step:
        yield Move("run: Room, and is noted", state._replace(waits="sleeps", noted=True))
    else:
        yield Move("run: Room", state._replace(waits="asks"))


def interface_moves(state: State, rules: Rules, window: int) -> Iterator[Move[State]]:
    if state.arrived < state.sent:
        yield Move("interface: reads a part", state._replace(arrived=state.arrived + 1))
    if state.taken < state.arrived:
        yield Move("client: takes a part", state._replace(taken=state.taken + 1))
    total = state.taken + window
    enough = window // 2 if rules.halves else window + 1
    if not state.saying and total - state.said >= max(1, enough):
        word = total if rules.totals else total - state.said
        yield Move(f"interface: grants {word}", state._replace(saying=word, said=total))
    if state.saying and not state.applied:
        granted = state.saying if rules.totals else state.granted + state.saying
        yield Move("store: applies it", woken(state._replace(granted=granted, applied=True)))
    if state.applied:
        yield Move("interface: is answered", state._replace(saying=0, applied=False))


def fault_moves(state: State, rules: Rules) -> Iterator[Move[State]]:
    left = state.left
    if left.lost and state.applied:
        # Said again. (The number of the Send, which tells it, is a rule of tests.model.history:
        # here it is off, to see that a grant does not need it.)
        fewer = left._replace(lost=left.lost - 1)
        yield Move("answer: lost", state._replace(applied=False, left=fewer), fault=True)
    if state.gone:
        return
    if left.leaves:
        after = state._replace(gone=True, left=Faults())
        yield Move("client: leaves", woken(after) if rules.cut_wakes else after, fault=True)
    if left.kills:
        after = state._replace(gone=True, left=Faults())
        yield Move("interface: dies", woken(after) if rules.death_wakes else after, fault=True)


def woken(state: State) -> State:
    return state._replace(noted=False, rung=state.rung or state.noted)
