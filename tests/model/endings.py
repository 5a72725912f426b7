"""The end of a connection as a model: one delivery, its copies, and who may commit them.

From ``tests.model.test_endings``; on to ``tests.model.explore``. A Resume may send a delivery
again of which a copy is leased already. While the connection lives the floor lets one of
them through; but floors go with their connections, and a copy may outlive both::

    interface: begin, send ─► (Resume: send again) ─► reads the answer ─► forgets
        │ killed                                                             │
        ▼                                                                    ▼
    Reap: the floor stays while a copy is out                the floor goes: who has none
        └── until the first of them has ended                is not known, and commits nothing

The promise: the delivery's effects happen once.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.explore import Exploration, Move, Verdict

SEQ = 1  # There is one delivery.


class Rules(NamedTuple):
    """The rules of the protocol; every default is the one in force."""

    #: A commit is refused when it is not above the floor.
    floor: bool = True
    #: A commit is refused when its connection has no floor: it is over.
    known: bool = True
    #: A connection gets its floor before its first delivery, not with its first answer.
    begin: bool = True
    #: Of a dead interface, the floors stay of connections that have a delivery out.
    left: bool = True
    #: Such a floor goes with the first delivery that ends.
    dropped: bool = True


class State(NamedTuple):
    floor: int | None = None
    queue: int = 0  # Copies of the delivery.
    leased: int = 0
    effects: int = 0
    inbox: int = 0
    sent: bool = False
    answered: bool = False
    over: bool = False  # The connection is forgotten.
    dead: bool = False  # The interface was killed, and reaped.
    faults: int = 1


def explore(rules: Rules, *, faults: int = 2) -> Verdict:
    def moves(state: State) -> Iterator[Move[State]]:
        if not state.dead:
            yield from interface_moves(state, rules)
        yield from worker_moves(state, rules)

    def finished(state: State) -> bool:
        rests = not state.queue and not state.leased
        kept = state.dead and state.floor is not None
        return rests and state.sent and state.effects == 1 and not kept

    def broken(state: State) -> str:
        return "Its effects happened twice." if state.effects > 1 else ""

    start = State(faults=faults)
    return Exploration(start, moves, broken=broken, finished=finished).run()


def interface_moves(state: State, rules: Rules) -> Iterator[Move[State]]:
    if not state.sent:
        floor = 0 if rules.begin else None
        sent = state._replace(sent=True, queue=1, floor=floor)
        yield Move("interface: begin, send", sent)
        return
    if state.inbox:
        read = state._replace(inbox=state.inbox - 1, answered=True)
        yield Move("interface: reads the answer", read)
    if state.answered and not state.over:
        yield Move("interface: forgets the connection", state._replace(over=True, floor=None))
    if state.faults:
        fewer = state._replace(faults=state.faults - 1)
        if not state.answered:
            again = fewer._replace(queue=state.queue + 1)
            yield Move("interface: the store began a new history, send again", again, fault=True)
        out = bool(state.queue or state.leased)
        floor = state.floor if out and rules.left else None
        dead = fewer._replace(dead=True, inbox=0, floor=floor)
        yield Move("interface: killed, and reaped", dead, fault=True)


def worker_moves(state: State, rules: Rules) -> Iterator[Move[State]]:
    if state.queue:
        claimed = state._replace(queue=state.queue - 1, leased=state.leased + 1)
        yield Move("worker: claim", claimed)
    if state.leased:
        rest = state._replace(leased=state.leased - 1)
        superseded = rules.known if state.floor is None else rules.floor and state.floor >= SEQ
        if state.dead and rules.dropped:
            rest = rest._replace(floor=None)
        if superseded:
            yield Move("worker: commit, superseded", rest)
        elif state.dead:
            yield Move("worker: commit for the dead", rest._replace(effects=rest.effects + 1))
        else:
            done = rest._replace(floor=SEQ, effects=rest.effects + 1, inbox=rest.inbox + 1)
            yield Move("worker: commit", done)
