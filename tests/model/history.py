"""A new history as a model: Redis comes back older, and known to be another run.

From ``tests.model.test_history``; on to ``tests.model.explore``. Whoever connects says which
run it has found, before anything else; the first to find a new one makes the interface
stale. What it has had answered may be forgotten, so until it has announced its floors nothing
is committed to its connections.

::

                    History of another run             Resume: the floors, as answered
    interface known ──────────────────────► stale ─────────────────────────────────► known
                                              │
                                              └─ commit, give-up: "stale", said again;
                                                 Send: refused

The interface has two connections. Its reader may hold entries of the old history that it
has not looked at when the other one has announced the floors. The promise: nothing is
applied for a delivery whose answer the interface has seen, and none becomes a dead letter, which
somebody may run again; and everything gets done.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.explore import Exploration, Move, Verdict


class Rules(NamedTuple):
    """The rules of the protocol; every default is the one in force."""

    #: Who connects says which run it has found.
    history: bool = True
    #: A commit waits while the interface it answers to is stale.
    waits: bool = True
    #: So does giving a delivery up.
    letters: bool = True
    #: A stale interface is refused, so that it learns it.
    refused: bool = True
    #: A Resume raises the floors.
    floors: bool = True
    #: Entries of the old history are not looked at any more once the floors are announced.
    dropped: bool = True


class Redis(NamedTuple):
    history: int = 0
    stale: bool = False
    queue: tuple[int, ...] = ()
    leased: int = 0
    floor: int = 0
    inbox: tuple[int, ...] = ()


class Interface(NamedTuple):
    sent: int = 0
    confirmed: bool = True
    answered: int = 0
    read: int = 0  # Entries it has taken from the inbox of this history.
    buffer: tuple[int, ...] = ()  # Entries that it has taken and not looked at.
    connected: bool = True
    resumes: bool = False


class State(NamedTuple):
    redis: Redis = Redis()
    run: int = 0
    saved: Redis | None = None
    interface: Interface = Interface()
    runs: int = 0  # What the worker runs.
    connected: bool = True  # The worker is.


def explore(rules: Rules, *, deliveries: int = 2) -> Verdict:
    def moves(state: State) -> Iterator[Move[State]]:
        yield from interface_moves(state, rules, deliveries)
        yield from worker_moves(state, rules)
        if state.saved is None:
            yield Move("Redis: a replica is this far", state._replace(saved=state.redis))
        elif not state.run:
            me = state.interface._replace(connected=False)
            failover = state._replace(redis=state.saved, run=1, interface=me, connected=False)
            yield Move("Redis: failover to the replica", failover, fault=True)

    def finished(state: State) -> bool:
        return state.interface.answered == deliveries and not state.redis.queue

    return Exploration(State(), moves, broken=lambda state: "", finished=finished).run()


def connected(redis: Redis, run: int, rules: Rules) -> Redis:
    if rules.history and redis.history != run:
        return redis._replace(history=run, stale=True)
    return redis


def interface_moves(state: State, rules: Rules, deliveries: int) -> Iterator[Move[State]]:
    redis, me = state.redis, state.interface
    if me.buffer:
        number = me.buffer[0]
        after = me._replace(buffer=me.buffer[1:])
        if number == me.sent == me.answered + 1:
            after = after._replace(answered=number)
        yield Move(f"interface: answer {number}", state._replace(interface=after))

    if me.confirmed and me.sent == me.answered and me.sent < deliveries:
        following = me._replace(sent=me.sent + 1, confirmed=False)
        yield Move(f"interface: delivery {me.sent + 1}", state._replace(interface=following))

    if not me.connected:
        there = state._replace(
            redis=connected(redis, state.run, rules), interface=me._replace(connected=True)
        )
        yield Move("interface: connects", there)
        return

    if me.read < len(redis.inbox):
        number = redis.inbox[me.read]
        after = me._replace(read=me.read + 1, buffer=(*me.buffer, number))
        yield Move(f"interface: takes answer {number}", state._replace(interface=after))

    if redis.stale and rules.refused and not me.resumes:
        # Its beat, or what it sends next.
        refused = state._replace(interface=me._replace(resumes=True))
        yield Move("interface: refused, it is stale", refused)
    if not me.confirmed and not (redis.stale and rules.refused):
        sent = redis._replace(queue=(*redis.queue, me.sent))
        after = me._replace(confirmed=True)
        yield Move(f"interface: enqueue {me.sent}", state._replace(redis=sent, interface=after))
    if me.resumes:
        floor = max(redis.floor, me.answered) if rules.floors else redis.floor
        after = me._replace(
            resumes=False, read=0, confirmed=me.sent == me.answered,
            buffer=() if rules.dropped else me.buffer,
        )  # fmt: skip
        yield Move(
            f"interface: resume, {me.answered} answered",
            state._replace(redis=redis._replace(stale=False, floor=floor), interface=after),
        )


def worker_moves(state: State, rules: Rules) -> Iterator[Move[State]]:
    redis = state.redis
    if not state.connected:
        there = connected(redis, state.run, rules)
        yield Move("worker: connects", state._replace(redis=there, connected=True))
        return

    if redis.leased and redis.leased != state.runs:
        # Leased in the older state, and forgotten since: see tests.model.claims.
        back = redis._replace(leased=0, queue=(redis.leased, *redis.queue))
        yield Move(f"worker: Held gives back {redis.leased}", state._replace(redis=back))
    elif redis.queue and not state.runs:
        number = redis.queue[0]
        claimed = redis._replace(queue=redis.queue[1:], leased=number)
        yield Move(f"worker: claim {number}", state._replace(redis=claimed, runs=number))

    if state.runs and redis.leased != state.runs:
        yield Move(f"worker: end {state.runs} (fenced)", state._replace(runs=0))
    elif state.runs:
        for end, waits in (("commit", rules.waits), ("give up", rules.letters)):
            if not (redis.stale and waits):
                yield ended(state, end)


def ended(state: State, end: str) -> Move[State]:
    """The worker's delivery has its effects, or becomes a dead letter."""
    number, answered = state.runs, state.interface.answered
    redis = state.redis._replace(leased=0)
    if number <= redis.floor:
        superseded = state._replace(redis=redis, runs=0)
        return Move(f"worker: {end} {number} (superseded)", superseded)
    done = redis._replace(floor=number, inbox=(*redis.inbox, number))
    return Move(
        f"worker: {end} {number}",
        state._replace(redis=done, runs=0),
        broken=f"{end} {number} after {answered} was answered." if number <= answered else "",
    )
