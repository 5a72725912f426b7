"""Disconnects as a model: one connection, two workers, an interface that may die any time.

From ``tests.model.test_disconnects``; on to ``tests.model.explore``. With its connect, a
connection leaves a record: its disconnect, for the day its process cannot send it. The
interface sends one delivery at a time, and the disconnect last; when it dies, whoever reaps
it sends that, behind the delivery that is out.

::

    interface: connect (and the record) ─► receive ─► disconnect (the record is dropped)
        │                                                └─ nobody serves it: forgotten,
        │ killed, or silent and not dead                     the record with it
        ▼
    Reap: tombstone, record ─┬─ nothing is out ──────────────► disconnect
                             └─ orphan of the delivery that is ─┴─ when that has ended

The promise: a connect that was run is followed by one disconnect, after everything else of
that connection; and no record stays.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from tests.model.explore import Exploration, Move, Verdict

CONNECT, RECEIVE, DISCONNECT = "connect", "receive", "disconnect"
WORKERS = 2  # How many deliveries may be leased at a time.


class Rules(NamedTuple):
    """The rules of the protocol; every default is the one in force."""

    #: A connection leaves a record with its connect.
    record: bool = True
    #: The disconnect of a dead interface waits for the end of the delivery that is out.
    waits: bool = True
    #: Which end of that delivery sends it: every one, or commits only.
    ends: Literal["every", "commit"] = "every"
    #: The record is dropped when the interface's own disconnect is queued.
    last: bool = True
    #: It is dropped when the interface forgets the connection.
    forget: bool = True
    #: What a reaped interface says is refused.
    tombstone: bool = True


class Redis(NamedTuple):
    record: bool = False
    orphan: bool = False
    reaped: bool = False
    queue: tuple[str, ...] = ()
    leased: tuple[str, ...] = ()
    run: tuple[str, ...] = ()


class Interface(NamedTuple):
    said: tuple[str, ...] = ()  # What it has handed over.
    answered: int = 0  # How many of that have an answer.
    inbox: int = 0  # Answers that it has not read.
    open: bool = True  # The socket.
    over: bool = False  # The connection is forgotten, or was closed by its end.
    unserved: bool = False  # Nobody served its disconnect: the one way to end without it.
    alive: bool = True


class State(NamedTuple):
    redis: Redis = Redis()
    interface: Interface = Interface()
    faults: int = 1


def explore(rules: Rules, *, faults: int = 1) -> Verdict:
    def moves(state: State) -> Iterator[Move[State]]:
        if state.interface.alive and not state.interface.over:
            yield from interface_moves(state, rules)
        yield from worker_moves(state, rules)
        yield from death_moves(state, rules)

    def finished(state: State) -> bool:
        redis, me = state.redis, state.interface
        rests = not (redis.queue or redis.leased or redis.record or redis.orphan)
        done = CONNECT not in redis.run or DISCONNECT in redis.run
        return rests and (done or me.unserved) and (me.over or not me.alive)

    def broken(state: State) -> str:
        run = state.redis.run
        if DISCONNECT in run[:-1]:
            return f"After the disconnect: {run}."
        return ""

    return Exploration(State(faults=faults), moves, broken=broken, finished=finished).run()


def interface_moves(state: State, rules: Rules) -> Iterator[Move[State]]:
    redis, me = state.redis, state.interface
    if me.inbox:
        read = me._replace(inbox=me.inbox - 1, answered=me.answered + 1)
        if DISCONNECT in me.said:
            # The connection is over: its floor goes, and what else Redis keeps of it.
            redis = redis._replace(record=redis.record and not rules.forget)
            read = read._replace(over=True)
        yield Move("interface: reads an answer", State(redis, read, state.faults))
    if me.open:
        closed = me._replace(open=False)
        yield Move("interface: the socket closes", state._replace(interface=closed))

    if me.answered < len(me.said):
        return
    if not me.said:
        word = CONNECT
        redis = redis._replace(record=redis.record or rules.record)
    elif me.said[-1] == CONNECT and me.open:
        word = RECEIVE
    elif not me.open and DISCONNECT not in me.said:
        word = DISCONNECT
    else:
        return

    if state.redis.reaped and rules.tombstone:
        refused = state._replace(interface=me._replace(over=True))
        yield Move(f"interface: {word} is refused, it closes its sockets", refused)
        return
    if word == DISCONNECT:
        kept = redis._replace(record=redis.record and not rules.forget)
        forgotten = me._replace(over=True, unserved=True)
        label = "interface: nobody serves the disconnect, the connection is forgotten"
        yield Move(label, State(kept, forgotten, state.faults))
        redis = redis._replace(record=redis.record and not rules.last)
    sent = redis._replace(queue=(*redis.queue, word))
    yield Move(f"interface: {word}", State(sent, me._replace(said=(*me.said, word)), state.faults))


def worker_moves(state: State, rules: Rules) -> Iterator[Move[State]]:
    redis = state.redis
    if redis.queue and len(redis.leased) < WORKERS:
        word = redis.queue[0]
        claimed = redis._replace(queue=redis.queue[1:], leased=(*redis.leased, word))
        yield Move(f"worker: claim {word}", state._replace(redis=claimed))
    for place, word in enumerate(redis.leased):
        rest = redis._replace(leased=redis.leased[:place] + redis.leased[place + 1 :])
        committed = ended(rest._replace(run=(*redis.run, word)), word, orphan=True)
        yield Move(f"worker: commit {word}", answered(state, committed))
        given_up = ended(rest, word, orphan=rules.ends == "every")
        if word == RECEIVE:
            yield Move(f"worker: {word} is given up", answered(state, given_up))
        if state.faults:
            back = rest._replace(queue=(word, *redis.queue))
            died = state._replace(redis=back, faults=state.faults - 1)
            yield Move(f"worker: dies with {word}, it is handed on", died, fault=True)


def ended(redis: Redis, word: str, *, orphan: bool) -> Redis:
    """A delivery of the connection has ended; what waited for that is sent."""
    if redis.orphan and orphan:
        return redis._replace(orphan=False, queue=(*redis.queue, DISCONNECT))
    return redis


def answered(state: State, redis: Redis) -> State:
    me = state.interface
    if redis.reaped:  # Its inbox is gone.
        return state._replace(redis=redis)
    return state._replace(redis=redis, interface=me._replace(inbox=me.inbox + 1))


def death_moves(state: State, rules: Rules) -> Iterator[Move[State]]:
    redis, me = state.redis, state.interface
    if me.alive and state.faults:
        dead = me._replace(alive=False)
        fewer = state._replace(faults=state.faults - 1)
        yield Move("interface: kill -9", fewer._replace(interface=dead), fault=True)
        if not redis.reaped:
            silent = fewer._replace(redis=reaped(redis, rules))
            yield Move("reaper: the interface is silent (but lives)", silent, fault=True)
    if not me.alive and not redis.reaped:
        buried = state._replace(redis=reaped(redis, rules))
        yield Move("reaper: the interface is dead", buried)
    if redis.reaped and me.alive and not me.over and rules.tombstone:
        over = state._replace(interface=me._replace(over=True))
        yield Move("interface: its beat is refused, it closes its sockets", over)


def reaped(redis: Redis, rules: Rules) -> Redis:
    redis = redis._replace(reaped=True)
    if not redis.record:
        return redis
    if rules.waits and (redis.queue or redis.leased):
        return redis._replace(record=False, orphan=True)
    return redis._replace(record=False, queue=(*redis.queue, DISCONNECT))
