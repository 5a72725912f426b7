"""The watermark as a model: Redis comes back older, and nobody's connection shows it.

From ``tests.model.test_watermark``; on to ``tests.model.explore``. An interface numbers what
it sends, and Redis keeps the number of the last one. When that is lower than what was
answered, Redis has lost what it had answered, and the interface announces itself again. (A
new run of Redis is told by its name: ``history``. This is for a failover behind a proxy.)

::

    interface ── Send n ──────────► applied, if n - 1 or more is stored; else refused ──┐
              ── Beat, n answered ► known, if n or more is stored; else refused ────────┤
              ◄── Resume: floors, number n; then all that is unanswered, once more ◄────┘

Two connections have one delivery each. The promise: both get answered; and nothing is
applied for a delivery after its answer was seen, once the loss was noticed.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.explore import Exploration, Move, Verdict

CONNECTIONS = (1, 2)


class Rules(NamedTuple):
    """The rules of the protocol; every default is the one in force."""

    #: A Send is refused where the number before it is not stored.
    send: bool = True
    #: So is a Beat where the number of the last answered Send is not.
    beat: bool = True
    #: A Resume stores the number of the last answered Send.
    raised: bool = True
    #: A Resume is followed by all that is unanswered.
    repeated: bool = True
    #: A Resume raises the floors to what was answered.
    floors: bool = True


class Redis(NamedTuple):
    number: int = 0
    queue: tuple[int, ...] = ()
    answered: frozenset[int] = frozenset()  # The floors of connections with one delivery.
    inbox: tuple[int, ...] = ()


class Interface(NamedTuple):
    number: int = 0
    to_send: frozenset[int] = frozenset(CONNECTIONS)
    waiting: frozenset[int] = frozenset()  # Sent, and not answered.
    read: int = 0
    resumes: bool = False
    resumed: bool = False


class State(NamedTuple):
    redis: Redis = Redis()
    interface: Interface = Interface()
    saved: Redis | None = None
    lost: bool = False


def explore(rules: Rules) -> Verdict:
    def moves(state: State) -> Iterator[Move[State]]:
        yield from interface_moves(state, rules)
        redis, me = state.redis, state.interface
        if redis.queue:
            connection, rest = redis.queue[0], redis.queue[1:]
            after = redis._replace(queue=rest)
            if connection not in redis.answered:
                after = after._replace(
                    answered=redis.answered | {connection}, inbox=(*redis.inbox, connection)
                )
            seen = connection not in me.to_send | me.waiting and after.inbox != redis.inbox
            yield Move(
                f"worker: delivery of connection {connection}",
                state._replace(redis=after),
                broken=f"Connection {connection} was answered, and this is applied again."
                if seen and me.resumed
                else "",
            )
        if state.saved is None:
            yield Move("Redis: a replica is this far", state._replace(saved=redis))
        elif not state.lost:
            back = state._replace(redis=state.saved, lost=True)
            yield Move("proxy: failover to the replica", back, fault=True)

    def finished(state: State) -> bool:
        return not state.interface.to_send and not state.interface.waiting

    return Exploration(State(), moves, broken=lambda state: "", finished=finished).run()


def interface_moves(state: State, rules: Rules) -> Iterator[Move[State]]:
    redis, me = state.redis, state.interface
    if me.read < len(redis.inbox):
        connection = redis.inbox[me.read]
        one = frozenset((connection,))
        after = me._replace(read=me.read + 1, waiting=me.waiting - one, to_send=me.to_send - one)
        yield Move(f"interface: connection {connection} has its answer", with_me(state, after))

    if me.resumes:
        known = frozenset(CONNECTIONS) - me.to_send - me.waiting
        resumed = redis._replace(
            number=max(redis.number, me.number) if rules.raised else redis.number,
            answered=redis.answered | known if rules.floors else redis.answered,
        )
        again = me.waiting if rules.repeated else frozenset()
        after = me._replace(
            resumes=False, resumed=True, read=0, to_send=me.to_send | again,
            waiting=me.waiting - again,
        )  # fmt: skip
        yield Move("interface: resume", with_me(state._replace(redis=resumed), after))
        return

    for connection in me.to_send:
        number = me.number + 1
        if rules.send and redis.number < number - 1:
            yield Move(f"interface: send {number} is refused", with_me(state, refused(me)))
            continue
        sent = redis._replace(number=number, queue=(*redis.queue, connection))
        after = me._replace(
            number=number, to_send=me.to_send - {connection}, waiting=me.waiting | {connection}
        )
        label = f"interface: send {number} for connection {connection}"
        yield Move(label, with_me(state._replace(redis=sent), after))

    if rules.beat and redis.number < me.number:
        yield Move("interface: its beat is refused", with_me(state, refused(me)))


def refused(me: Interface) -> Interface:
    return me._replace(resumes=True)


def with_me(state: State, me: Interface) -> State:
    return state._replace(interface=me)
