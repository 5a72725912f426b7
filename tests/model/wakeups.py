"""Wake-ups as a model: who is woken for what waits, whoever dies and whatever Redis forgets.

From ``tests.model.test_wakeups``; on to ``tests.model.explore``. A worker that finds nothing is
noted as idle and blocks. What comes to the channel wakes one idle worker, and a worker that
leaves something behind wakes the next. Redis knows only who was noted, and that may be wrong:
the one may have died, or be busy since Redis came back from an older file.

::

               nothing there                           woken, or its connection broke
    claims ───────────────────► waits (noted as idle) ─────────────────────────────► claims
      │ takes one: wakes the next if more is there
      ▼
    runs, perhaps for ever ──► claims        dies ──► reaped: its lease goes back

The promise: nothing waits while a worker is idle, and no worker holds what it does not know of.
In djchan an idle worker also checks every 5 s; here it does so only with ``polls``, so that
each rule shows what it is needed for.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.explore import Exploration, Move, Verdict

WORKERS = (0, 1)
CLAIMS, WAITS, RUNS, DEAD = "claims", "waits", "runs", "dead"


class Rules(NamedTuple):
    """The rules of the protocol; every default is the one in force but ``polls``."""

    #: What comes to the channel wakes an idle worker.
    push: bool = True
    #: A worker that has taken one of several wakes another.
    next: bool = True
    #: Whoever reaps a worker wakes another: the dead one may have been woken for what waits.
    reap: bool = True
    #: Whoever finds another run of Redis wakes all who are noted as idle, and forgets them.
    history: bool = True
    #: A worker that was idle and takes something wakes another one if something is due later, and
    #: so does whoever reaps it: it may have been the one that waits for that time.
    due: bool = True
    #: A worker whose connection breaks while it waits claims again.
    reconnect: bool = True
    #: A lease that its worker does not know of goes back, and wakes somebody.
    held: bool = True
    #: An idle worker checks from time to time.
    polls: bool = False


class Faults(NamedTuple):
    """How many of each."""

    kills: int = 0
    steps: int = 0  # Redis goes back to an older state.
    cuts: int = 0  # A connection breaks, and what was sent over it is run later all the same.


class Redis(NamedTuple):
    queue: int = 0
    due: str = ""  # One message more: "later", or "now".
    idle: frozenset[int] = frozenset()  # Who may be woken.
    found_nothing: frozenset[int] = frozenset()  # By its last claim, woken since or not.
    woken: frozenset[int] = frozenset()
    known: frozenset[int] = frozenset(WORKERS)
    leases: frozenset[tuple[int, int]] = frozenset()  # Worker and token.
    noted: bool = True  # This run is the one that is noted.


class Worker(NamedTuple):
    does: str = CLAIMS
    token: int = 0  # Of the lease that it knows; 0: none.
    connected: bool = True
    timed: bool = False  # It waits until that message is due, at most.
    late: bool = False  # Redis will run a claim that it has given up.


class State(NamedTuple):
    redis: Redis = Redis()
    workers: tuple[Worker, ...] = (Worker(), Worker())
    saved: Redis | None = None
    sends: int = 0  # Still to come.
    delays: int = 0
    tokens: int = 0  # The last one that was given.
    faults: Faults = Faults()

    def put(self, index: int, **changes: object) -> "State":
        workers = list(self.workers)
        workers[index] = workers[index]._replace(**changes)  # type: ignore[arg-type]
        return self._replace(workers=tuple(workers))


def explore(
    rules: Rules, *, faults: Faults | None = None, sends: int = 2, delays: int = 0
) -> Verdict:
    def moves(state: State) -> Iterator[Move[State]]:
        # One step may send several, and wakes one worker for all of them.
        for count in range(1, min(2, state.sends) + 1):
            fewer = state._replace(sends=state.sends - count)
            sent = state.redis._replace(queue=state.redis.queue + count)
            for redis in rung(sent, rules.push):
                yield Move(f"somebody sends {count}", fewer._replace(redis=redis), fault=True)
        if state.delays and not state.redis.due:
            fewer = state._replace(delays=state.delays - 1)
            for redis in rung(state.redis._replace(due="later"), rules.push):
                yield Move("somebody sends one for later", fewer._replace(redis=redis), fault=True)
        if state.redis.due == "later":
            yield Move("it is due", state._replace(redis=state.redis._replace(due="now")))
        for index in WORKERS:
            yield from worker_moves(state, index, rules)
        yield from fault_moves(state)

    def finished(state: State) -> bool:
        living = [worker for worker in state.workers if worker.does != DEAD]
        known = {(index, each.token) for index, each in enumerate(state.workers)}
        if state.redis.leases - known or any(worker.late for worker in living):
            return False
        waits = state.redis.queue or state.redis.due
        return not waits or all(worker.does == RUNS for worker in living)

    start = State(sends=sends, delays=delays, faults=faults or Faults())
    return Exploration(start, moves, broken=lambda state: "", finished=finished).run()


def rung(redis: Redis, rings: bool = True) -> Iterator[Redis]:
    """One of those who are noted as idle is woken, whichever Redis picks."""
    if not rings or not redis.idle:
        yield redis
        return
    for index in redis.idle:
        yield redis._replace(idle=redis.idle - {index}, woken=redis.woken | {index})


def claimed(state: State, index: int, rules: Rules) -> Iterator[tuple[State, int]]:
    """A claim as Redis runs it; the token that it gives, or 0."""
    if index not in state.redis.known:
        yield state, 0
        return
    redis, me = state.redis, {index}
    was_idle = index in redis.found_nothing
    if was_idle:
        redis = redis._replace(
            idle=redis.idle - me, woken=redis.woken - me, found_nothing=redis.found_nothing - me
        )
    if redis.due == "now":
        redis = redis._replace(due="", queue=redis.queue + 1)
    if redis.queue:
        token = state.tokens + 1
        leases = redis.leases | {(index, token)}
        taken = redis._replace(queue=redis.queue - 1, leases=leases)
        for after in rung(taken, rules.next and taken.queue > 0):
            for last in rung(after, rules.due and was_idle and bool(after.due)):
                yield state._replace(redis=last, tokens=token), token
    else:
        noted = redis._replace(idle=redis.idle | me, found_nothing=redis.found_nothing | me)
        yield state._replace(redis=noted), 0


def given_back(redis: Redis, leases: frozenset[tuple[int, int]], rings: bool) -> Iterator[Redis]:
    back = redis._replace(queue=redis.queue + len(leases), leases=redis.leases - leases)
    return rung(back, rings)


def worker_moves(state: State, index: int, rules: Rules) -> Iterator[Move[State]]:
    redis, me = state.redis, state.workers[index]
    own = frozenset(lease for lease in redis.leases if lease[0] == index)
    if me.does == DEAD:
        if index in redis.known and any(worker.does != DEAD for worker in state.workers):
            dead = redis._replace(
                known=redis.known - {index},
                idle=redis.idle - {index},
                found_nothing=redis.found_nothing - {index},
                woken=redis.woken - {index},
            )
            for after in given_back(dead, own, rules.reap and bool(own or redis.queue)):
                for last in rung(after, rules.due and bool(after.due)):
                    yield Move(f"worker {index} is reaped", state._replace(redis=last))
        return
    if not me.connected:
        there = redis
        if rules.history and not redis.noted:
            there = redis._replace(
                noted=True,
                idle=frozenset(),
                found_nothing=frozenset(),
                woken=redis.woken | redis.found_nothing,
            )
        does = CLAIMS if me.does == WAITS and rules.reconnect else me.does
        connected = state._replace(redis=there).put(index, connected=True, does=does)
        yield Move(f"worker {index} connects", connected)
        return

    if me.does == CLAIMS:
        for after, token in claimed(state, index, rules):
            does = RUNS if token else WAITS
            timed = not token and bool(after.redis.due)
            told = after.put(index, does=does, token=token, timed=timed)
            yield Move(f"worker {index} {does}", told)
    if me.does == WAITS and index in redis.woken:
        heard = redis._replace(woken=redis.woken - {index})
        awake = state._replace(redis=heard).put(index, does=CLAIMS)
        yield Move(f"worker {index} is woken", awake)
    if me.does == WAITS and me.timed and redis.due != "later":
        yield Move(f"worker {index} has waited", state.put(index, does=CLAIMS))
    if me.does == WAITS and rules.polls:
        yield Move(f"worker {index} checks", state.put(index, does=CLAIMS))
    if me.does == RUNS:
        ended = redis._replace(leases=redis.leases - {(index, me.token)})
        done = state._replace(redis=ended).put(index, does=CLAIMS, token=0)
        # No promise hangs on it: a consumer of a custom channel may run as long as it likes.
        yield Move(f"worker {index} commits", done, fault=True)
    unknown = own - {(index, me.token)}
    if unknown and rules.held:
        for after in given_back(redis, unknown, rings=True):
            yield Move(f"worker {index} says what it holds", state._replace(redis=after))
    if me.late:
        for after, _ in claimed(state, index, rules):
            yield Move(f"Redis runs a late claim of {index}", after.put(index, late=False))


def fault_moves(state: State) -> Iterator[Move[State]]:
    faults = state.faults
    for index, worker in enumerate(state.workers):
        if faults.kills and worker.does != DEAD:
            fewer = state._replace(faults=faults._replace(kills=faults.kills - 1))
            killed = fewer.put(index, does=DEAD, token=0, late=False)
            yield Move(f"worker {index} is killed", killed, fault=True)
        if faults.cuts and worker.does == WAITS and worker.connected:
            fewer = state._replace(faults=faults._replace(cuts=faults.cuts - 1))
            cut = fewer.put(index, connected=False, late=True)
            yield Move(f"the connection of worker {index} breaks", cut, fault=True)
    if faults.steps and state.saved is None:
        yield Move("Redis: a copy is made", state._replace(saved=state.redis), fault=True)
    elif faults.steps and state.saved is not None:
        older = state._replace(
            redis=state.saved._replace(noted=False),
            workers=tuple(worker._replace(connected=False) for worker in state.workers),
            faults=faults._replace(steps=faults.steps - 1),
        )
        yield Move("Redis: comes back from the copy", older, fault=True)
