"""The delivery protocol as a model: one connection, two workers, lost answers, kills, zombies.

From ``tests.model.test_delivery``; on to ``tests.model.explore``. Each rule of the protocol
(design.md, D1, D2, D3, D6) is a switch of ``Rules``, so that a test can turn one off and see
the harm it prevents.

::

    interface                     Redis                            workers 0, 1
    sent, answered, cursor        queue, leases, floor, inbox      what each one runs

    next ──► enqueue n ─────────► queue ──claim──► lease ────────► runs n
    answered ◄── read ◄────────── inbox ◄──commit (sets the floor)──┘

What stands for a consumer's work is ``effects``: the numbers whose outbox was applied.
The promise: each number once, in order; and after any fault everything still gets done.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from tests.model.explore import Exploration, Move, Verdict

WORKERS = (0, 1)


class Rules(NamedTuple):
    """The rules of the protocol; every default is the one in force."""

    #: The inbox is read by cursor; else an entry is popped, and can be lost on the way.
    cursor: bool = True
    #: An enqueue repeated with its number changes nothing.
    numbered: bool = True
    #: A worker gives back what Redis leases to it and it does not know of.
    reconcile: bool = True
    #: A commit counts iff its number is above the highest answered one ("next": iff it is
    #: that number plus one; "none": always).
    floor: Literal["above", "next", "none"] = "above"
    #: A commit must hold the lease that its claim made.
    fence: bool = True
    #: The interface notices that Redis went back in time.
    watermark: bool = True
    #: The reaper gives back what a dead worker ran.
    reaper: bool = True


class Lease(NamedTuple):
    worker: int
    number: int
    token: int


class Redis(NamedTuple):
    queue: tuple[int, ...] = ()
    leases: tuple[Lease, ...] = ()
    token: int = 0
    floor: int = 0
    enqueued: int = 0  # The highest number this connection has enqueued.
    inbox: tuple[int, ...] = ()
    effects: tuple[int, ...] = ()


class Interface(NamedTuple):
    sent: int = 0
    confirmed: bool = True  # Redis answered the enqueue of ``sent``.
    answered: int = 0
    cursor: int = 0
    resync: bool = False


class Worker(NamedTuple):
    alive: bool = True
    runs: Lease | None = None


class State(NamedTuple):
    redis: Redis
    interface: Interface
    workers: tuple[Worker, Worker]
    faults: int  # How many may still happen.
    saved: Redis | None = None  # What Redis would come back with.
    lost: bool = False  # Redis did come back with it.


def explore(rules: Rules, *, deliveries: int = 2, faults: int = 2, loss: bool = False) -> Verdict:
    """Walk the protocol under ``rules``; with ``loss``, Redis may fall back to a saved state."""

    def moves(state: State) -> Iterator[Move[State]]:
        yield from interface_moves(state, rules, deliveries)
        for index in WORKERS:
            yield from worker_moves(state, rules, index)
        if loss:
            yield from loss_moves(state, rules)

    def finished(state: State) -> bool:
        redis = state.redis
        return state.interface.answered == deliveries and not redis.queue and not redis.leases

    start = State(Redis(), Interface(), (Worker(), Worker()), faults)
    return Exploration(start, moves, broken=broken, finished=finished).run()


def broken(state: State) -> str:
    """The promise that ``state`` breaks, if any."""
    effects = state.redis.effects
    if list(effects) != sorted(effects):
        return f"Effects out of order: {effects}."
    # Redis forgot what it had applied, so that applying it once more is all one can do.
    if not state.lost and len(set(effects)) < len(effects):
        return f"Effects doubled: {effects}."
    return ""


def lost_answer(label: str, state: State) -> Move[State]:
    """Redis did it, and its answer got lost; who asked will ask again."""
    return Move(f"{label}, the answer is lost", state._replace(faults=state.faults - 1), fault=True)


def interface_moves(state: State, rules: Rules, deliveries: int) -> Iterator[Move[State]]:
    redis, me = state.redis, state.interface
    if me.confirmed and me.sent == me.answered and me.sent < deliveries:
        following = me._replace(sent=me.sent + 1, confirmed=False)
        yield Move(f"interface: delivery {me.sent + 1}", state._replace(interface=following))

    if not me.confirmed:
        after = redis
        if not (rules.numbered and me.sent <= redis.enqueued):
            after = redis._replace(
                queue=(*redis.queue, me.sent), enqueued=max(redis.enqueued, me.sent)
            )
        label = f"interface: enqueue {me.sent}"
        yield Move(label, state._replace(redis=after, interface=me._replace(confirmed=True)))
        if state.faults:
            yield lost_answer(label, state._replace(redis=after))

    if rules.cursor:
        if me.cursor < len(redis.inbox):
            number = redis.inbox[me.cursor]
            reader = applied(me, number)._replace(cursor=me.cursor + 1)
            yield Move(f"interface: read answer {number}", state._replace(interface=reader))
    elif redis.inbox:
        number, popped = redis.inbox[0], redis._replace(inbox=redis.inbox[1:])
        yield Move(
            f"interface: pop answer {number}",
            state._replace(redis=popped, interface=applied(me, number)),
        )
        if state.faults:
            yield lost_answer(f"interface: pop answer {number}", state._replace(redis=popped))

    if me.resync:
        yield Move(
            "interface: resync (announce the floor, read from the start, send again)",
            state._replace(
                redis=redis._replace(floor=max(redis.floor, me.answered)),
                interface=me._replace(confirmed=me.sent == me.answered, cursor=0, resync=False),
            ),
        )


def applied(me: Interface, number: int) -> Interface:
    """Only the answer to the delivery that is out releases the mailbox."""
    if number == me.sent == me.answered + 1:
        return me._replace(answered=number)
    return me


def worker_moves(state: State, rules: Rules, index: int) -> Iterator[Move[State]]:
    redis, me = state.redis, state.workers[index]

    def with_me(worker: Worker, state: State = state) -> State:
        workers = (worker, state.workers[1]) if index == 0 else (state.workers[0], worker)
        return state._replace(workers=workers)

    name = f"worker {index}"
    mine = tuple(lease for lease in redis.leases if lease.worker == index)

    if me.alive and me.runs is None and redis.queue:
        lease = Lease(index, redis.queue[0], redis.token + 1)
        claimed = state._replace(
            redis=redis._replace(
                queue=redis.queue[1:], leases=(*redis.leases, lease), token=lease.token
            )
        )
        yield Move(f"{name}: claim {lease.number}", with_me(me._replace(runs=lease), claimed))
        if state.faults:
            yield lost_answer(f"{name}: claim {lease.number}", claimed)

    if me.alive and me.runs is not None:
        number = me.runs.number
        after, word = commit(redis, me.runs, rules)
        label = f"{name}: commit {number}{word}"
        yield Move(label, with_me(me._replace(runs=None), state._replace(redis=after)))
        if state.faults:
            fewer = state.faults - 1
            if after is not redis:
                yield lost_answer(label, state._replace(redis=after))
            yield Move(
                f"{name}: kill -9", with_me(Worker(alive=False), state)._replace(faults=fewer), True
            )
            if me.runs in redis.leases:
                handed = give_back(redis, (me.runs,))
                yield Move(
                    f"reaper: {name} is silent (but runs on), {number} handed on",
                    state._replace(redis=handed, faults=fewer),
                    True,
                )

    if not me.alive and mine:
        if rules.reaper:
            yield Move(f"reaper: {name} is dead", state._replace(redis=give_back(redis, mine)))
    elif not me.alive:
        yield Move(f"{name}: started again", with_me(Worker()))

    unknown = tuple(lease for lease in mine if lease != me.runs)
    if me.alive and rules.reconcile and unknown:
        numbers = [lease.number for lease in unknown]
        yield Move(
            f"{name}: reconcile gives back {numbers}",
            state._replace(redis=give_back(redis, unknown)),
        )


def commit(redis: Redis, lease: Lease, rules: Rules) -> tuple[Redis, str]:
    """Redis after the commit, and what it answered if not "done"."""
    if rules.fence and lease not in redis.leases:
        return redis, " (fenced)"
    leases = tuple(other for other in redis.leases if other != lease)
    counts = {
        "above": lease.number > redis.floor,
        "next": lease.number == redis.floor + 1,
        "none": True,
    }[rules.floor]
    if not counts:
        return redis._replace(leases=leases), " (superseded)"
    return redis._replace(
        leases=leases,
        floor=lease.number,
        inbox=(*redis.inbox, lease.number),
        effects=(*redis.effects, lease.number),
    ), ""


def give_back(redis: Redis, leases: tuple[Lease, ...]) -> Redis:
    return redis._replace(
        queue=tuple(lease.number for lease in leases) + redis.queue,
        leases=tuple(lease for lease in redis.leases if lease not in leases),
    )


def loss_moves(state: State, rules: Rules) -> Iterator[Move[State]]:
    if state.saved is None:
        yield Move("Redis: saved to disk", state._replace(saved=state.redis))
    elif not state.lost:
        noticed = state.interface._replace(resync=rules.watermark)
        yield Move(
            "Redis: failover, back to what was saved",
            state._replace(redis=state.saved, interface=noticed, lost=True),
            fault=True,
        )
