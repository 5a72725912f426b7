"""Reaping as a model: a worker that is stopped for too long, is buried, and wakes up.

From ``tests.model.test_reaping``; on to ``tests.model.explore``. The reaper has seen the same
beat for as long as a living process never takes, and buries it: from that moment the id is
dead for ever, and what is leased to it goes back, here one lease at a time.

::

    worker ── beat, beat ──┤ stopped ·········· wakes ── beat: refused ──► a new id
    reaper      saw beat 2 ──────► Reap, if it still is 2: tombstone ──► leases go back

The promise: nobody is buried who has beaten since; nothing is taken from a worker that was
let in; everything is run in the end, once as far as its effects go.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.explore import Exploration, Move, Verdict

MOST_BEATS = 3


class Rules(NamedTuple):
    """The rules of the protocol; every default is the one in force."""

    #: A process is buried only if its beat is still the one that was seen.
    compare: bool = True
    #: The id of a buried process is refused, for ever; else a beat makes it known again.
    tombstone: bool = True
    #: A commit must hold its lease.
    fence: bool = True
    #: A worker that is refused goes on under a new id.
    renews: bool = True


class Lease(NamedTuple):
    delivery: int
    identity: int
    late: bool  # Made when the reaper was at work already.


class Redis(NamedTuple):
    queue: tuple[int, ...]
    known: frozenset[int] = frozenset((0,))  # Ids of workers.
    beat: int = 0
    leases: tuple[Lease, ...] = ()
    done: tuple[int, ...] = ()


class Worker(NamedTuple):
    identity: int = 0
    awake: bool = True
    runs: tuple[int, ...] = ()


class Reaper(NamedTuple):
    saw: int | None = None
    silent: bool = False  # For too long, as far as the reaper can tell.
    burying: bool = False


class State(NamedTuple):
    redis: Redis
    worker: Worker = Worker()
    reaper: Reaper = Reaper()
    faults: int = 1


def explore(rules: Rules, *, deliveries: int = 3, faults: int = 1) -> Verdict:
    def moves(state: State) -> Iterator[Move[State]]:
        if state.worker.awake:
            yield from worker_moves(state, rules)
        else:
            awake = state.worker._replace(awake=True)
            yield Move("worker: SIGCONT", state._replace(worker=awake))
        yield from reaper_moves(state, rules)

    def finished(state: State) -> bool:
        return len(state.redis.done) == deliveries

    def broken(state: State) -> str:
        done = state.redis.done
        return f"Applied: {done}." if len(set(done)) < len(done) else ""

    start = State(Redis(tuple(range(deliveries))), faults=faults)
    return Exploration(start, moves, broken=broken, finished=finished).run()


def worker_moves(state: State, rules: Rules) -> Iterator[Move[State]]:
    redis, me, reaper = state.redis, state.worker, state.reaper
    known = me.identity in redis.known
    if me.identity == 0 and redis.beat < MOST_BEATS and (known or not rules.tombstone):
        beaten = redis._replace(known=redis.known | {0}, beat=redis.beat + 1)
        yield Move("worker: beat", state._replace(redis=beaten))
    if not known and rules.tombstone and rules.renews:
        new = me.identity + 1
        renewed = state._replace(
            redis=redis._replace(known=redis.known | {new}), worker=Worker(identity=new)
        )
        yield Move("worker: refused, goes on under a new id", renewed)

    if known and redis.queue:
        delivery = redis.queue[0]
        lease = Lease(delivery, me.identity, late=reaper.burying)
        claimed = redis._replace(queue=redis.queue[1:], leases=(*redis.leases, lease))
        runs = me._replace(runs=(*me.runs, delivery))
        yield Move(f"worker: claim {delivery}", state._replace(redis=claimed, worker=runs))

    for delivery in me.runs:
        rest = me._replace(runs=tuple(other for other in me.runs if other != delivery))
        held = [one for one in redis.leases if one[:2] == (delivery, me.identity)]
        if held or not rules.fence:
            leases = tuple(one for one in redis.leases if one not in held)
            done = redis._replace(leases=leases, done=(*redis.done, delivery))
            yield Move(f"worker: commit {delivery}", state._replace(redis=done, worker=rest))
        else:
            yield Move(f"worker: commit {delivery} (fenced)", state._replace(worker=rest))

    if state.faults:
        yield Move(
            "worker: SIGSTOP",
            state._replace(
                worker=me._replace(awake=False),
                reaper=reaper._replace(silent=reaper.saw is not None and me.identity == 0),
                faults=state.faults - 1,
            ),
            fault=True,
        )


def reaper_moves(state: State, rules: Rules) -> Iterator[Move[State]]:
    redis, me = state.redis, state.reaper
    if 0 in redis.known and me.saw != redis.beat and not me.burying:
        seen = me._replace(saw=redis.beat, silent=not state.worker.awake)
        yield Move(f"reaper: sees beat {redis.beat}", state._replace(reaper=seen))
    if me.silent and not me.burying and 0 in redis.known:
        if me.saw != redis.beat and rules.compare:
            alive = state._replace(reaper=Reaper())
            yield Move(f"reaper: beat {me.saw} is not the last one, let it live", alive)
        else:
            buried = redis._replace(known=redis.known - {0})
            yield Move(
                "reaper: buries the worker",
                state._replace(redis=buried, reaper=Reaper(burying=True)),
                broken="It has beaten since." if me.saw != redis.beat else "",
            )
    if me.burying:
        mine = [lease for lease in redis.leases if lease.identity == 0]
        if not mine:
            yield Move("reaper: is done", state._replace(reaper=Reaper()))
        else:
            lease = mine[0]
            given = redis._replace(
                queue=(lease.delivery, *redis.queue),
                leases=tuple(one for one in redis.leases if one != lease),
            )
            yield Move(
                f"reaper: {lease.delivery} is handed on",
                state._replace(redis=given),
                broken=f"{lease.delivery} is taken from a worker that was let in."
                if lease.late
                else "",
            )
