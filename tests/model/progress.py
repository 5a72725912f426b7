"""Deliveries that are committed in parts as a model, while the store restarts or goes back.

From ``tests.model.test_progress``; on to ``tests.model.explore``. A worker commits frames of a
delivery while the rest runs (*progress*). When the store restarts, or comes back older, the
interface resumes and sends again what has no answer; so there are copies of the delivery,
and some of them begin with frames that are committed. All count in frames of the delivery::

    worker since ── commit: since .. k ─► store: floor k, lease done = k
                                            │ inbox: since .. k and their replies
                    Resume: floor k         ▼
    store ◄── and a copy, done = k ── interface: knows k

A run has no effect but its commit, so a worker runs frames and commits them in one move.
While the interface is stale nothing is committed to it (``tests.model.history``), and a
lease that its worker does not know goes back (``tests.model.claims``). The promise: the reply
to each frame reaches the client once, in order; and its effects, which others consume at
once, happen once, or again if they were lost before the reply was read.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from tests.model.explore import Exploration, Move, Verdict


class Rules(NamedTuple):
    """The rules of the protocol; every default is the one in force."""

    #: Progress raises the floor, also of a dead interface; what begins below it is superseded.
    floor_frames: bool = True
    #: Progress tells the interface how far it goes; what it knew already is not taken.
    told: bool = True
    #: A Resume says how far the delivery in flight is known to be done.
    resume_frames: bool = True
    #: What is sent again begins there.
    resend_done: bool = True
    #: A commit says where it begins. If the lease is not there, it goes back to be run anew.
    since: bool = True
    #: Also beside a Send that begins lower, and is said again word for word.
    beside: bool = True
    #: To give a delivery up is an end as any other: it says since, and is held to the floor.
    given_up: bool = True
    #: To put the rest off until later is progress as any other: the floor rises, it is told.
    put_off: bool = True
    #: What begins below the floor ends ("ends"), but not the floor of a dead interface
    #: ("kept"); of a dead interface, which sends no other copy, it goes back to be run from
    #: there ("back"), or of any ("all").
    below: Literal["back", "all", "kept", "ends"] = "back"


class Lease(NamedTuple):
    token: int
    done: int


class Entry(NamedTuple):
    """Of the inbox: the replies to frames ``first`` to ``last`` (not with it)."""

    first: int
    last: int
    ends: bool = False
    told: bool = True


class Redis(NamedTuple):
    queue: tuple[int, ...] = ()  # Copies of the delivery: how many frames of it are done.
    leases: tuple[Lease, ...] = ()
    floor: int | None = 0  # Frames; all of them: the delivery was answered.
    inbox: tuple[Entry, ...] = ()
    number: int = 0  # Of the last Send.
    effects: frozenset[int] = frozenset()  # Frames that it knows to have had theirs.
    stale: bool = False

    def back(self, lease: Lease, done: int) -> "Redis":
        """``lease`` goes back to the queue."""
        return self.without(lease)._replace(queue=tuple(sorted((*self.queue, done))))

    def without(self, lease: Lease) -> "Redis":
        return self._replace(leases=tuple(other for other in self.leases if other != lease))


class Interface(NamedTuple):
    words: tuple[int, ...] = (0,)  # Copies to be sent, until that was answered …
    answered: int = 0  # … and the number of the last one that was.
    known: int = 0  # Frames whose replies it has.
    read: int = 0  # Entries of the inbox.
    client: tuple[int, ...] = ()  # Frames whose replies have reached the client.
    over: bool = False  # It has read the answer.
    dead: bool = False


class Faults(NamedTuple):
    restarts: int = 0  # Of the store, with nothing lost.
    steps: int = 0  # Back.
    kills: int = 0  # Of the interface.


class Runs(NamedTuple):
    """What a worker runs; token 0: nothing."""

    token: int = 0
    since: int = 0


class State(NamedTuple):
    left: Faults
    workers: tuple[Runs, ...]
    redis: Redis = Redis()
    saved: tuple[Redis, ...] = ()  # Older states, the oldest one first.
    interface: Interface = Interface()
    effects: frozenset[int] = frozenset()  # Frames that had theirs; as others have seen it.


class Task(NamedTuple):
    """``poison``: the frame at which every worker gives up (none, if there is no such frame)."""

    frames: int
    poison: int
    later: bool  # Consumers may ask for a later run.

    @property
    def good(self) -> int:
        return min(self.frames, self.poison)


def explore(
    rules: Rules,
    faults: Faults,
    *,
    frames: int = 2,
    workers: int = 2,
    poison: int = 9,
    later: bool = False,
) -> Verdict:
    task = Task(frames, poison, later)

    def moves(state: State) -> Iterator[Move[State]]:
        yield from interface_moves(state, rules, task)
        yield from worker_moves(state, rules, task)
        yield from fault_moves(state)

    def broken(state: State) -> str:
        client, over = state.interface.client, state.interface.over
        if client != tuple(range(task.good if over else len(client))):
            return f"Replies to the frames: {client}."
        return ""

    def finished(state: State) -> bool:
        redis, me = state.redis, state.interface
        rests = not redis.queue and not redis.leases
        done = redis.floor is None and len(state.effects) == task.good
        return rests and (done if me.dead else me.over)

    start = State(faults, (Runs(),) * workers)
    return Exploration(start, moves, broken=broken, finished=finished).run()


def interface_moves(state: State, rules: Rules, task: Task) -> Iterator[Move[State]]:
    redis, me = state.redis, state.interface
    if me.dead:
        return
    if me.read < len(redis.inbox):
        entry = redis.inbox[me.read]
        after = me._replace(read=me.read + 1)
        if entry.ends or not entry.told or entry.last > me.known:
            after = after._replace(client=(*me.client, *range(entry.first, entry.last)))
        if entry.told:
            after = after._replace(known=max(me.known, entry.last), over=me.over or entry.ends)
        label = f"interface: reads {entry.first} to {entry.last}{', the end' * entry.ends}"
        yield Move(label, state._replace(interface=after))

    if redis.stale:
        known = me.known if rules.resume_frames else 0
        floor = max(redis.floor or 0, task.frames if me.over else known)
        resumed = redis._replace(stale=False, floor=floor, number=max(redis.number, me.answered))
        done = me.known if rules.resend_done else 0
        if not me.over and not any(word >= done or not rules.beside for word in me.words):
            me = me._replace(words=(*me.words, done))
        yield Move(
            f"interface: resumes, floor {floor}", state._replace(redis=resumed, interface=me)
        )
    elif me.words and redis.number == me.answered:
        queue = tuple(sorted((*redis.queue, me.words[0])))
        sent = redis._replace(queue=queue, number=redis.number + 1)
        yield Move(f"interface: sends, {me.words[0]} done", state._replace(redis=sent))
    elif me.words:
        heard = me._replace(words=me.words[1:], answered=me.answered + 1)
        yield Move("interface: the Send is answered", state._replace(interface=heard))


def worker_moves(state: State, rules: Rules, task: Task) -> Iterator[Move[State]]:
    redis = state.redis
    known = {runs.token for runs in state.workers}
    for lease in redis.leases:
        if lease.token not in known:
            back = state._replace(redis=redis.back(lease, lease.done))
            yield Move(f"worker: Held gives back {lease}", back)

    for runs in dict.fromkeys(state.workers):
        if not runs.token:
            for done in dict.fromkeys(redis.queue):
                yield claim(state, runs, done)
            continue
        held = next((lease for lease in redis.leases if lease.token == runs.token), None)
        if held is None:
            yield Move(f"worker: {runs} is fenced", with_worker(state, runs, Runs()))
            continue
        if redis.stale:
            continue
        for last in range(runs.since + 1, task.good + 1):
            yield commit(state, rules, task, runs, held, last)
        if runs.since == task.poison:
            yield commit(state, rules, task, runs, held, runs.since, how="gives up")
        for last in range(runs.since, min(task.frames, task.good + 1) if task.later else 0):
            yield commit(state, rules, task, runs, held, last, how="puts off")


def claim(state: State, runs: Runs, done: int) -> Move[State]:
    redis = state.redis
    used = {lease.token for older in (redis, *state.saved) for lease in older.leases}
    used |= {runs.token for runs in state.workers}
    token = next(token for token in range(1, 99) if token not in used)
    place = redis.queue.index(done)
    claimed = redis._replace(
        queue=redis.queue[:place] + redis.queue[place + 1 :],
        leases=(*redis.leases, Lease(token, done)),
    )
    after = with_worker(state._replace(redis=claimed), runs, Runs(token, done))
    return Move(f"worker: claims {token}, {done} done", after)


def commit(
    state: State,
    rules: Rules,
    task: Task,
    runs: Runs,
    held: Lease,
    last: int,
    *,
    how: Literal["commits", "gives up", "puts off"] = "commits",
) -> Move[State]:
    redis, me, first = state.redis, state.interface, runs.since
    label = f"worker: {how} {runs.token}, {first} to {last}"
    over = with_worker(state, runs, Runs())
    checked = how != "gives up" or rules.given_up

    if rules.since and checked and held.done != first:
        back = redis.back(held, held.done)
        return Move(f"{label}: fenced, {held.done} done", over._replace(redis=back))
    if redis.floor is None or redis.floor == task.frames:
        ended = redis.without(held)._replace(floor=None if me.dead else redis.floor)
        return Move(f"{label}: superseded", over._replace(redis=ended))
    if rules.floor_frames and checked and first < redis.floor:
        if rules.below == "all" or (rules.below == "back" and me.dead):
            back = redis.back(held, redis.floor)
            return Move(f"{label}: goes back, {redis.floor} done", over._replace(redis=back))
        ended = redis.without(held)
        if me.dead and rules.below == "ends":
            ended = ended._replace(floor=None)  # As with any that ends: tests.model.endings.
        return Move(f"{label}: superseded", over._replace(redis=ended))

    ran = frozenset(range(first, last))
    twice = ran & state.effects
    ends = last == task.frames or how == "gives up"
    progress = how == "commits" or rules.put_off
    after = redis.without(held)
    if not me.dead and (ends or first < last):
        told = ends or (rules.told and progress)
        after = after._replace(inbox=(*redis.inbox, Entry(first, last, ends, told)))
    if ends:
        after = after._replace(floor=None if me.dead else task.frames)
    elif rules.floor_frames and progress:
        after = after._replace(floor=last)
    if how == "puts off":
        after = after.back(held, last)
    elif not ends:
        after = after._replace(leases=(*after.leases, Lease(held.token, last)))
    next_one = Runs() if ends or how == "puts off" else Runs(runs.token, last)
    return Move(
        label,
        with_worker(state, runs, next_one)._replace(
            redis=after._replace(effects=redis.effects | ran), effects=state.effects | ran
        ),
        broken=f"Effects of the frames {sorted(twice)} happened twice." if twice else "",
    )


def with_worker(state: State, before: Runs, after: Runs) -> State:
    workers = list(state.workers)
    workers[workers.index(before)] = after
    return state._replace(workers=tuple(sorted(workers)))


def fault_moves(state: State) -> Iterator[Move[State]]:
    redis, me, left = state.redis, state.interface, state.left
    if left.restarts and not redis.stale:
        fewer = left._replace(restarts=left.restarts - 1)
        again = state._replace(redis=redis._replace(stale=True), left=fewer)
        yield Move("store: restarts", again, fault=True)
    if len(state.saved) < left.steps:
        yield Move("store: is saved", state._replace(saved=(*state.saved, redis)))
    if state.saved and not me.dead:
        older = state.saved[-1]._replace(stale=True)
        # What was consumed of those that are lost, and whose replies were not read, is back.
        effects = older.effects | (state.effects & set(me.client))
        back = state._replace(
            redis=older,
            saved=state.saved[:-1],
            interface=me._replace(read=min(me.read, len(older.inbox))),
            effects=effects,
            left=left._replace(steps=left.steps - 1),
        )
        yield Move("store: goes back", back, fault=True)
    if left.kills and not redis.stale and (redis.queue or redis.leases):
        dead = state._replace(
            redis=redis._replace(inbox=()),
            saved=(),
            interface=Interface(dead=True),
            left=Faults(),
        )
        yield Move("interface: killed, and reaped", dead, fault=True)
