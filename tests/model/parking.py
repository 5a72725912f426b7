"""Parking as a model: consumers of a channel that send to it themselves.

From ``tests.model.test_parking``; on to ``tests.model.explore``. A commit is not refused
because a channel is full: who would make room, if all workers wait for it? What does not fit
is parked behind the channel, and moves up as it is claimed from.

::

    commit ── room, and nothing parked ──► channel ──claim──► consumer, which sends two more
           └─ else ──► parked ──moves up at a claim──► │└─ one may expire

The promise: everything else is run, once, in the order in which it was sent.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.explore import Exploration, Move, Verdict

WORKERS = (0, 1)
LIMIT = 2
FIRST = 3  # Messages that wait at the start …
FANOUT = 2  # … and how many each of these sends when it is run. Those send nothing.
EXPIRES = 3  # This one may, while it waits.


class Rules(NamedTuple):
    """The rules of the protocol; every default is the one in force."""

    #: A commit parks what does not fit; else it is refused, and its delivery given back.
    parks: bool = True
    #: Nothing passes what is parked already, though there may be room again.
    behind: bool = True
    #: A claim moves up what is parked.
    moves_up: bool = True


class State(NamedTuple):
    channel: tuple[int, ...] = tuple(range(1, FIRST + 1))
    parked: tuple[int, ...] = ()
    workers: tuple[int, ...] = (0,) * len(WORKERS)  # The message that each one runs; 0: none.
    sent: int = FIRST  # The number of the last message that was sent.
    run: frozenset[int] = frozenset()
    again: bool = False  # A message was run twice.
    expired: bool = False


def explore(rules: Rules, *, expires: bool = True) -> Verdict:
    total = FIRST + FIRST * FANOUT

    def moves(state: State) -> Iterator[Move[State]]:
        for index in WORKERS:
            if state.workers[index]:
                yield commit(state, rules, index)
            else:
                yield from claim(state, rules, index)
        if expires and EXPIRES in state.channel:
            rest = tuple(message for message in state.channel if message != EXPIRES)
            gone = state._replace(channel=rest, expired=True)
            yield Move(f"message {EXPIRES} expires", gone)

    def finished(state: State) -> bool:
        # What was not run was not there to send its two.
        missing = 1 + FANOUT if state.expired else 0
        return len(state.run) == total - missing and not any(state.workers)

    def broken(state: State) -> str:
        return "A message was run again." if state.again and rules.parks else ""

    return Exploration(State(), moves, broken=broken, finished=finished).run()


def claim(state: State, rules: Rules, index: int) -> Iterator[Move[State]]:
    channel, parked = state.channel, state.parked
    if rules.moves_up:
        channel, parked = (*channel, *parked[:1]), parked[1:]
    if not channel:
        return
    message = channel[0]
    passed = [other for other in (*channel[1:], *parked) if other < message]
    yield Move(
        f"worker {index}: claim {message}",
        state._replace(
            channel=channel[1:],
            parked=parked,
            workers=with_work(state, index, message),
            again=state.again or message in state.run,
            run=state.run | {message},
        ),
        broken=f"{message} is claimed before {passed}, which were sent before it."
        if passed and rules.parks
        else "",
    )


def commit(state: State, rules: Rules, index: int) -> Move[State]:
    message = state.workers[index]
    channel, parked, sent = state.channel, state.parked, state.sent
    for _ in range(FANOUT if message <= FIRST else 0):
        sent += 1
        if len(channel) < LIMIT and not (parked and rules.behind):
            channel = (*channel, sent)
        elif rules.parks:
            parked = (*parked, sent)
        else:
            back = state._replace(
                channel=(message, *state.channel), workers=with_work(state, index, 0)
            )
            return Move(f"worker {index}: the commit of {message} is refused", back)
    return Move(
        f"worker {index}: commit {message}",
        state._replace(
            channel=channel, parked=parked, sent=sent, workers=with_work(state, index, 0)
        ),
    )


def with_work(state: State, index: int, message: int) -> tuple[int, ...]:
    return (*state.workers[:index], message, *state.workers[index + 1 :])
