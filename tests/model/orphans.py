"""Copies of one connection's deliveries as a model, when their interface dies.

From ``tests.model.test_orphans``; on to ``tests.model.explore``. An interface sends a delivery
again when Redis may have lost it (``Resume``), so two copies of it may be leased. One is
committed, the interface goes on to its next delivery, and the other one is still running when
the interface dies. ``tests.model.disconnects`` has the life of the record without copies.

::

    floor 1      copy of 1: leased ── commit: superseded ──► nothing follows it
                 2: queued or leased ── commit ────────────► the floor goes, the disconnect follows

The promise: what was handed over has its effects once and in order, and the disconnect comes
last.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.explore import Exploration, Move, Verdict

DISCONNECT = 0
WORKERS = 2  # How many deliveries may be leased at a time.


class Rules(NamedTuple):
    """The rules of the protocol; every default is the one in force."""

    #: Nothing follows the end of a delivery that is not above the floor.
    later: bool = True
    #: The disconnect of a dead interface waits only for what is above the floor.
    above: bool = True


class Redis(NamedTuple):
    queue: tuple[int, ...] = ()
    leased: tuple[int, ...] = ()
    floor: int | None = 0  # None: the connection is over.
    orphan: bool = False
    reaped: bool = False
    applied: tuple[int, ...] = ()

    def is_answered(self, number: int) -> bool:
        return number != DISCONNECT and (self.floor is None or number <= self.floor)

    def follow(self) -> "Redis":
        """Nothing of the connection is out any more."""
        queue = (*self.queue, DISCONNECT) if self.orphan else self.queue
        return self._replace(floor=None, orphan=False, queue=queue)


class State(NamedTuple):
    redis: Redis = Redis()
    sent: int = 0
    answered: int = 0  # As the interface knows.
    alive: bool = True
    copies: int = 1  # How often it may send again what is not answered.


def explore(rules: Rules, *, deliveries: int = 2, copies: int = 1) -> Verdict:
    def moves(state: State) -> Iterator[Move[State]]:
        if state.alive:
            yield from interface_moves(state, deliveries)
            yield Move("interface: kill -9", state._replace(alive=False), fault=True)
        elif not state.redis.reaped:
            yield Move("reaper: the interface is dead", reaped(state, rules))
        yield from worker_moves(state, rules)

    def broken(state: State) -> str:
        applied = state.redis.applied
        if DISCONNECT in applied[:-1]:
            return f"After the disconnect: {applied}."
        return ""

    def finished(state: State) -> bool:
        redis = state.redis
        if redis.queue or redis.leased or redis.orphan:
            return False
        if state.alive:
            return state.answered == deliveries
        return redis.floor is None and redis.applied == (*range(1, state.sent + 1), DISCONNECT)

    start = State(copies=copies)
    return Exploration(start, moves, broken=broken, finished=finished).run()


def interface_moves(state: State, deliveries: int) -> Iterator[Move[State]]:
    redis = state.redis
    assert redis.floor is not None
    if state.answered < redis.floor:
        read = state._replace(answered=redis.floor)
        yield Move(f"interface: reads that {redis.floor} is answered", read)
    if state.answered < state.sent and state.copies:
        again = redis._replace(queue=(*redis.queue, state.sent))
        sent = state._replace(redis=again, copies=state.copies - 1)
        yield Move(f"interface: sends {state.sent} again", sent, fault=True)
    if state.answered == state.sent < deliveries:
        number = state.sent + 1
        queued = redis._replace(queue=(*redis.queue, number))
        yield Move(f"interface: sends {number}", state._replace(redis=queued, sent=number))


def reaped(state: State, rules: Rules) -> State:
    redis = state.redis._replace(reaped=True, orphan=True)
    out = (*redis.queue, *redis.leased)
    waits = any(not (rules.above and redis.is_answered(number)) for number in out)
    return state._replace(redis=redis if waits else redis.follow())


def worker_moves(state: State, rules: Rules) -> Iterator[Move[State]]:
    redis = state.redis
    if redis.queue and len(redis.leased) < WORKERS:
        number = redis.queue[0]
        claimed = redis._replace(queue=redis.queue[1:], leased=(*redis.leased, number))
        yield Move(f"worker: claim {number}", state._replace(redis=claimed))
    for place, number in enumerate(redis.leased):
        rest = redis._replace(leased=redis.leased[:place] + redis.leased[place + 1 :])
        if redis.is_answered(number):
            after = rest.follow() if redis.reaped and not rules.later else rest
            lost = "" if number in redis.applied else f"{number} never has its effects."
            superseded = state._replace(redis=after)
            yield Move(f"worker: commit {number} (superseded)", superseded, broken=lost)
            continue
        done = rest._replace(applied=(*redis.applied, number))
        if redis.reaped:
            done = done.follow()
        elif number != DISCONNECT:
            done = done._replace(floor=number)
        yield Move(f"worker: commit {number}", state._replace(redis=done))
