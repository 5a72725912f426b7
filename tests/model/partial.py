"""Partial commits as a model: one delivery of three frames, two workers, two links each.

From ``tests.model.test_partial``; on to ``tests.model.explore``. While a delivery runs, the
monitor of its worker commits the frames that are done; its lane commits the rest. Words to
Redis travel on two connections, so that either may arrive first; a word that was said again
after its connection broke may arrive twice, and that of a killed worker still arrives.

::

    worker: lane     frame 1, frame 2, frame 3 ──── final (frames said .. 3) ───►  Redis
            monitor          └── partial (frames said .. k) ────────────────────►  lease: done = k
                                                                                    │ Reap
                                            a redelivery starts at done  ◄── queue ◄┘

With ``poison``, that frame ends the process of whoever runs it. The promise: the effects of
each frame once and in order; and before a delivery is buried, those of the frames that are
good.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from tests.model.explore import Exploration, Move, Verdict

FRAMES = 3
ATTEMPTS = 3
WORKERS = (0, 1)


class Rules(NamedTuple):
    """The rules of the protocol; every default is the one in force."""

    #: A partial commit stores how many frames are done with the lease.
    stored: bool = True
    #: A redelivery starts behind the frames that are done.
    resumed: bool = True
    #: The final commit is said when the partial one before it was answered.
    waits: bool = True
    #: A commit that arrives twice is applied once.
    numbered: bool = True
    #: A commit must name the token of the delivery's present claim ("process": it is enough
    #: that its worker holds it).
    fence: Literal["claim", "process", "none"] = "claim"
    #: A delivery that has killed a worker goes on with a frame when those before it are
    #: committed.
    each: bool = True


class Word(NamedTuple):
    """A commit on its way: frames ``first`` to ``last`` of the run with this token."""

    worker: int
    token: int
    first: int
    last: int

    @property
    def final(self) -> bool:
        return self.last == FRAMES


class Redis(NamedTuple):
    queued: bool = True
    holder: int = -1  # The worker that it is leased to.
    token: int = 0
    done: int = 0
    crashes: int = 0
    applied: frozenset[Word] = frozenset()
    effects: tuple[int, ...] = ()
    ended: bool = False
    buried: bool = False


class Worker(NamedTuple):
    alive: bool = True
    token: int = 0  # Of what it runs; 0: nothing.
    attempt: int = 0
    at: int = 0  # Frames that have run.
    said: int = 0  # Frames that a commit was said for.
    unanswered: tuple[Word, ...] = ()


class State(NamedTuple):
    redis: Redis
    workers: tuple[Worker, Worker]
    network: tuple[Word, ...]
    faults: int


def explore(rules: Rules, *, faults: int = 2, poison: int = 0) -> Verdict:
    def moves(state: State) -> Iterator[Move[State]]:
        for index in WORKERS:
            yield from worker_moves(state, rules, index, poison)
        yield from network_moves(state, rules)

    def broken(state: State) -> str:
        effects = state.redis.effects
        if effects != tuple(range(1, len(effects) + 1)):
            return f"Effects of the frames: {effects}."
        if state.redis.buried and len(effects) < poison - 1:
            return f"Buried with the effects {effects} only."
        return ""

    def finished(state: State) -> bool:
        return state.redis.buried if poison else state.redis.ended

    start = State(Redis(), (Worker(), Worker()), (), faults)
    return Exploration(start, moves, broken=broken, finished=finished).run()


def worker_moves(state: State, rules: Rules, index: int, poison: int) -> Iterator[Move[State]]:
    redis, me, name = state.redis, state.workers[index], f"worker {index}"

    def with_me(worker: Worker, redis: Redis = redis) -> State:
        workers = (worker, state.workers[1]) if index == 0 else (state.workers[0], worker)
        return state._replace(redis=redis, workers=workers)

    if not me.alive:
        if redis.holder == index:
            given = redis._replace(queued=True, holder=-1, crashes=redis.crashes + 1)
            yield Move(f"reaper: {name} is dead", state._replace(redis=given))
        else:
            yield Move(f"{name}: started again", with_me(Worker()))
        return

    if redis.queued and not me.token:
        if redis.crashes == ATTEMPTS:
            buried = redis._replace(queued=False, ended=True, buried=True)
            yield Move(f"{name}: give up", state._replace(redis=buried))
            return
        token, at = redis.token + 1, redis.done if rules.resumed else 0
        claimed = redis._replace(queued=False, holder=index, token=token)
        run = me._replace(token=token, attempt=redis.crashes + 1, at=at, said=at)
        yield Move(f"{name}: claim, {at} frames done", with_me(run, claimed))

    if me.token and me.at < FRAMES:
        settled = me.said == me.at and not me.unanswered
        if settled or not (rules.each and me.attempt > 1):
            if me.at + 1 == poison:
                yield Move(f"{name}: frame {poison} kills it", with_me(Worker(alive=False)))
            else:
                yield Move(f"{name}: frame {me.at + 1}", with_me(me._replace(at=me.at + 1)))
        if me.said < me.at and not me.unanswered:
            word = Word(index, me.token, me.said + 1, me.at)
            said = with_me(say(me, word))._replace(network=(*state.network, word))
            yield Move(f"{name}, monitor: partial {word.first} to {word.last}", said)
    elif me.token and me.said < FRAMES and not (rules.waits and me.unanswered):
        word = Word(index, me.token, me.said + 1, FRAMES)
        said = with_me(say(me, word))._replace(network=(*state.network, word))
        yield Move(f"{name}, lane: final {word.first} to {word.last}", said)

    if state.faults and me.token:
        fewer = state.faults - 1
        killed = with_me(Worker(alive=False))._replace(faults=fewer)
        yield Move(f"{name}: kill -9", killed, fault=True)
        if redis.holder == index:
            given = redis._replace(queued=True, holder=-1, crashes=redis.crashes + 1)
            silent = state._replace(redis=given, faults=fewer)
            yield Move(f"reaper: {name} is silent (but runs on)", silent, fault=True)


def say(me: Worker, word: Word) -> Worker:
    return me._replace(said=word.last, unanswered=(*me.unanswered, word))


def network_moves(state: State, rules: Rules) -> Iterator[Move[State]]:
    for place, word in enumerate(state.network):
        rest = state.network[:place] + state.network[place + 1 :]
        redis, answer = commit(state.redis, word, rules)
        heard = state._replace(redis=redis, network=rest)
        me = state.workers[word.worker]
        if word in me.unanswered:
            unanswered = tuple(other for other in me.unanswered if other != word)
            me = me._replace(unanswered=unanswered)
            if answer == "fenced" or word.final:
                me = Worker()
            workers = (me, state.workers[1]) if word.worker == 0 else (state.workers[0], me)
            heard = heard._replace(workers=workers)
            if state.faults:
                again = state._replace(network=(*state.network, word), faults=state.faults - 1)
                yield Move(f"connection of worker {word.worker} breaks, {word} again", again, True)
        yield Move(f"Redis: frames {word.first} to {word.last}: {answer}", heard)


def commit(redis: Redis, word: Word, rules: Rules) -> tuple[Redis, str]:
    if rules.numbered and word in redis.applied:
        return redis, "already"
    held = {
        "claim": redis.holder == word.worker and redis.token == word.token,
        "process": redis.holder == word.worker,
        "none": not redis.ended,
    }[rules.fence]
    if not held:
        return redis, "fenced"
    redis = redis._replace(
        applied=redis.applied | {word},
        effects=(*redis.effects, *range(word.first, word.last + 1)),
    )
    if word.final:
        return redis._replace(queued=False, holder=-1, ended=True), "done"
    return (redis._replace(done=word.last) if rules.stored else redis), "done so far"
