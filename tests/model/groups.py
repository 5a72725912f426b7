"""The group protocol as a model: one process, one group, two connections.

From ``tests.model.test_groups``; on to ``tests.model.explore``. Redis knows only *that* the
process has members (its generation in the group); which ones they are the process is told
through its inbox. When its last member is gone it leaves the group, and that word may cross
an add on its way. The question is when Redis may believe it.

::

    worker ── add(c): generation, and an entry ──► Redis ──inbox──► process: local members
    worker ── send ──► an entry iff the process is in the group         │ last one gone
                                              Redis ◄── leave(generation)┘

The promise: a member is never missed, and a group without members does not keep the process.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from tests.model.explore import Exploration, Move, Verdict

CONNECTIONS = (0, 1)


class Rules(NamedTuple):
    """The rules of the protocol; every default is the one in force."""

    #: When Redis believes a leave. "up-to-cursor": the generation is the inbox entry's id and
    #: must not be above what the process had applied; "count": the generation is a count of
    #: adds and must be equal; "blind": always.
    leave: Literal["up-to-cursor", "count", "blind"] = "up-to-cursor"
    #: An add for a connection that is gone makes a process without members leave.
    undo: bool = True


class Entry(NamedTuple):
    """What lies in the inbox: an add of one connection, or a message to some."""

    kind: Literal["add", "message"]
    connections: frozenset[int]
    generation: int = 0


class Redis(NamedTuple):
    generation: int | None = None  # None: the process is not in the group.
    entries: int = 0  # How many there ever were: the id of the last.
    inbox: tuple[Entry, ...] = ()


class Process(NamedTuple):
    open: frozenset[int] = frozenset(CONNECTIONS)
    local: frozenset[int] = frozenset()  # The members it knows.
    seen: int = 0  # The generation of the last add it applied.
    leaving: int | None = None  # The generation it has to leave with.


class State(NamedTuple):
    redis: Redis
    process: Process
    members: frozenset[int]  # Who should get a message: added, and still open.
    adds: int
    sends: int
    faults: int


def explore(rules: Rules, *, adds: int = 3, sends: int = 2, faults: int = 1) -> Verdict:
    """Walk the protocol under ``rules``."""

    def moves(state: State) -> Iterator[Move[State]]:
        yield from worker_moves(state, rules)
        yield from process_moves(state, rules)

    def finished(state: State) -> bool:
        return state.redis.generation is None and not state.redis.inbox

    start = State(Redis(), Process(), frozenset(), adds, sends, faults)
    return Exploration(start, moves, broken=lambda state: "", finished=finished).run()


def worker_moves(state: State, rules: Rules) -> Iterator[Move[State]]:
    redis = state.redis
    entries = redis.entries + 1
    if state.adds:
        for connection in CONNECTIONS:  # It may be closed already: a worker cannot know.
            one = frozenset((connection,))
            generation = (redis.generation or 0) + 1 if rules.leave == "count" else entries
            entry = Entry("add", one, generation)
            yield Move(
                f"worker: add connection {connection}, generation {generation}",
                state._replace(
                    redis=Redis(generation, entries, (*redis.inbox, entry)),
                    members=state.members | (one & state.process.open),
                    adds=state.adds - 1,
                ),
            )
    if state.sends:
        fewer = state._replace(sends=state.sends - 1)
        if redis.generation is None:
            missed = f"Redis has no member, {set(state.members)} are." if state.members else ""
            yield Move("worker: send to the group, process not in it", fewer, broken=missed)
        else:
            entry = Entry("message", state.members)
            sent = redis._replace(entries=entries, inbox=(*redis.inbox, entry))
            yield Move("worker: send to the group", fewer._replace(redis=sent))


def process_moves(state: State, rules: Rules) -> Iterator[Move[State]]:
    redis, me = state.redis, state.process
    if redis.inbox:
        entry = redis.inbox[0]
        after, missed = me, frozenset[int]()
        if entry.kind == "add":
            local = me.local | (entry.connections & me.open)
            after = me._replace(local=local, seen=entry.generation)
            if rules.undo and not local:
                after = after._replace(leaving=entry.generation)
        else:
            missed = (entry.connections & me.open) - me.local
        yield Move(
            f"process: apply {entry.kind} {set(entry.connections)}",
            state._replace(redis=redis._replace(inbox=redis.inbox[1:]), process=after),
            broken=f"Members {set(missed)} do not get the message." if missed else "",
        )

    for connection in me.open:
        one = frozenset((connection,))
        after = me._replace(open=me.open - one, local=me.local - one)
        if me.local and not after.local:
            after = after._replace(leaving=me.seen)
        yield Move(
            f"process: connection {connection} closes",
            state._replace(process=after, members=state.members - one),
        )

    if me.leaving is not None and me.local:
        yield Move("process: has members again", state._replace(process=done_leaving(me)))
    elif me.leaving is not None:
        left = state._replace(redis=leave(redis, me.leaving, rules))
        label = f"process: leave with generation {me.leaving}"
        yield Move(label, left._replace(process=done_leaving(me)))
        if state.faults:
            yield Move(
                f"{label}, the answer is lost", left._replace(faults=state.faults - 1), fault=True
            )


def done_leaving(process: Process) -> Process:
    return process._replace(leaving=None)


def leave(redis: Redis, generation: int, rules: Rules) -> Redis:
    """Redis after the process said that it has no member up to ``generation``."""
    if redis.generation is None:
        return redis
    believed = {
        "up-to-cursor": redis.generation <= generation,
        "count": redis.generation == generation,
        "blind": True,
    }[rules.leave]
    return redis._replace(generation=None) if believed else redis
