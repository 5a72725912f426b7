"""A worker that is stopped and woken, and the session that its consumers save, as a model.

One connection, whose frames add one to a count in its session. Worker 0 claims a frame and is
stopped at any moment; it is declared dead then, and its frame goes to worker 1. When it is woken
it goes on where it stood.

::

    claim ──► leased ──start (reads the count)──► runs ──commit (saves the count)──► done
                 ▲ stopped: declared dead ◄───────────┤
                 └──────── another worker claims it ◄─┘

The interface may send a frame again that is here already, as after a restart of Redis, and
forgets the connection after the last one. The promises: no update of the session that was
committed is lost; a worker starts nothing that it has lost, and nothing that was answered when
it was claimed.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.explore import Exploration, Move, Verdict

WORKERS = (0, 1)


class Rules(NamedTuple):
    """The rules of the protocol; every default is the one in force."""

    #: A session is saved with the commit, and by nobody whose lease is gone.
    fenced: bool = True
    #: A worker that was stopped starts nothing before a beat told it what it holds.
    start: bool = True
    #: A claim drops a copy of what was answered or is over.
    dropped: bool = True


class Worker(NamedTuple):
    frame: int = 0  # What it has claimed; 0: nothing.
    count: int = -1  # What it has read of the session; -1: it has not started.
    late: bool = False  # It was answered when it was claimed.
    stopped: bool = False
    doubts: bool = False  # It was stopped, and no beat was answered since.


class State(NamedTuple):
    queue: tuple[int, ...]
    workers: tuple[Worker, Worker] = (Worker(), Worker())
    leased: tuple[int, int] = (0, 0)  # Frame of each worker, as Redis knows it.
    floor: int = 0
    over: bool = False  # The connection is forgotten.
    count: int = 0  # As it is saved.
    stops: int = 1
    copies: int = 1


def explore(rules: Rules, *, frames: int = 2) -> Verdict:
    """Walk the protocol under ``rules``."""

    def moves(state: State) -> Iterator[Move[State]]:
        yield from outside_moves(state, frames)
        for index in WORKERS:
            yield from worker_moves(state, rules, index, frames)

    def broken(state: State) -> str:
        if state.count != state.floor:
            return f"{state.floor} updates were committed, and the session has {state.count}."
        return ""

    def finished(state: State) -> bool:
        return state.over and not state.queue and not any(state.leased)

    return Exploration(State((1,)), moves, broken=broken, finished=finished).run()


def outside_moves(state: State, frames: int) -> Iterator[Move[State]]:
    if state.floor == frames and not state.over:
        yield Move("interface: it is over", state._replace(over=True))
    if state.copies and not state.over and state.floor < frames:
        copy = state._replace(queue=(*state.queue, state.floor + 1), copies=state.copies - 1)
        yield Move(f"interface: {state.floor + 1} is sent again", copy, fault=True)


def worker_moves(state: State, rules: Rules, index: int, frames: int) -> Iterator[Move[State]]:
    me, name = state.workers[index], f"worker {index}"

    def become(worker: Worker, leased: int, state: State = state) -> State:
        workers = (worker, state.workers[1]) if index == 0 else (state.workers[0], worker)
        leases = (leased, state.leased[1]) if index == 0 else (state.leased[0], leased)
        return state._replace(workers=workers, leased=leases)

    lease = state.leased[index]
    if me.stopped:
        if lease:
            given = state._replace(queue=(lease, *state.queue))
            yield Move(f"reaper: {name} is dead", become(me, 0, given))
        woken = me._replace(stopped=False, doubts=True)
        yield Move(f"{name}: SIGCONT", become(woken, lease))
        return
    if index == 0 and state.stops:
        stopped = state._replace(stops=state.stops - 1)
        halted = me._replace(stopped=True)
        yield Move(f"{name}: SIGSTOP", become(halted, lease, stopped), fault=True)
    if me.doubts:
        # What it has lost and not started goes; what runs goes on.
        kept = me if lease or me.count >= 0 else Worker()
        yield Move(f"{name}: a beat is answered", become(kept._replace(doubts=False), lease))

    if not me.frame and not me.doubts and state.queue:
        frame, rest = state.queue[0], state._replace(queue=state.queue[1:])
        if rules.dropped and frame <= state.floor:
            yield Move(f"{name}: claim drops {frame}", rest)
        else:
            claimed = me._replace(frame=frame, late=frame <= state.floor)
            yield Move(f"{name}: claim {frame}", become(claimed, frame, rest))
    if me.frame and me.count < 0 and not (rules.start and me.doubts):
        harm = ""
        if not lease:
            harm = f"{me.frame} is started by a worker that has lost it."
        elif me.late:
            harm = f"{me.frame} is started, which was answered when it was claimed."
        started = me._replace(count=state.count)
        yield Move(f"{name}: start {me.frame}", become(started, lease), broken=harm)
    if me.count >= 0:
        done, word = commit(state, me, rules, holds=bool(lease), frames=frames)
        yield Move(f"{name}: commit {me.frame}{word}", become(me._replace(**NOTHING), 0, done))


NOTHING = {"frame": 0, "count": -1, "late": False}


def commit(
    state: State, me: Worker, rules: Rules, *, holds: bool, frames: int
) -> tuple[State, str]:
    """The state after the commit, and what it answered if not "done"."""
    saved = state if rules.fenced else state._replace(count=me.count + 1)
    if not holds:
        return saved, " (fenced)"
    if me.frame <= state.floor:
        return saved, " (superseded)"
    following = (me.frame + 1,) if me.frame < frames else ()
    return state._replace(floor=me.frame, count=me.count + 1, queue=(*state.queue, *following)), ""
