"""Turns as a model: the sources of one channel, two workers, releases and deaths.

From ``tests.model.test_fairness``; on to ``tests.model.explore``. A channel keeps a queue for
each source and a ring of the sources that have something there. A claim takes from the source
at the head of the ring, which goes to the end of it if it has more left.

::

    send ──► queue of its source ──claim, in turn──► leased ──► run
               ▲        ▲                              │ │
               │ head   └────── release ───────────────┘ │ death
               └─ (a suspect that is released) ◄── suspects

BUSY has all its messages there from the start, QUIET and PLAIN (what has no source) send one
now and then. The promise: everything is run; of one source nothing is claimed before what was
sent earlier and waits; and whoever waits is passed by each other source at most once, and once
more for each release. (Two workers that release one after the other put what the second one had
in front, as on a channel without sources: so the order is promised for one fault.)
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.explore import Exploration, Move, Verdict

BUSY, QUIET, PLAIN = range(3)
SOURCES = (BUSY, QUIET, PLAIN)
SENDS = (4, 2, 1)  # How many each source sends.
WORKERS = (0, 1)

Item = tuple[int, int]  # Source and number.


class Rules(NamedTuple):
    """The rules of the protocol; every default is the one in force."""

    #: A source that was claimed from goes to the end of the ring; else it stays at the head.
    rotates: bool = True
    #: One that has more left stays in the ring.
    stays: bool = True
    #: One that has nothing left leaves the ring.
    leaves: bool = True
    #: A first message brings its source into the ring.
    joins: bool = True
    #: So does one that is given back.
    rejoins: bool = True
    #: What is given back goes to the head of its source's queue.
    head: bool = True
    #: What has no source takes turns as well; else it waits until no source has anything.
    plain: bool = True


class State(NamedTuple):
    queues: tuple[tuple[int, ...], ...] = (tuple(range(SENDS[BUSY])), (), ())
    ring: tuple[int, ...] = (BUSY,)
    sent: tuple[int, ...] = (SENDS[BUSY], 0, 0)
    workers: tuple[Item | None, ...] = (None,) * len(WORKERS)
    suspects: tuple[Item, ...] = ()
    passed: tuple[int, ...] = (0, 0, 0)  # Claims from others while the source waited.
    run: frozenset[Item] = frozenset()
    releases: int = 0
    faults: int = 1


def explore(rules: Rules, *, faults: int = 1) -> Verdict:
    def moves(state: State) -> Iterator[Move[State]]:
        for source in (QUIET, PLAIN):
            if state.sent[source] < SENDS[source]:
                yield send(state, rules, source)
        for worker in WORKERS:
            if state.workers[worker] is None:
                yield from claim(state, rules, worker)
            else:
                yield from end(state, rules, worker)

    def broken(state: State) -> str:
        if len(set(state.ring)) < len(state.ring):
            return f"A source has two turns in a round: {state.ring}."
        most = len(SOURCES) - 1 + state.releases
        starved = [source for source in SOURCES if state.passed[source] > most]
        return f"Source {starved[0]} was passed more than {most} times." if starved else ""

    def finished(state: State) -> bool:
        return len(state.run) == sum(SENDS)

    return Exploration(State(faults=faults), moves, broken=broken, finished=finished).run()


def send(state: State, rules: Rules, source: int) -> Move[State]:
    number = state.sent[source]
    after = queued(state, rules, (source, number), joins=rules.joins)
    after = after._replace(sent=put(state.sent, source, number + 1))
    return Move(f"source {source} sends {number}", after)


def claim(state: State, rules: Rules, worker: int) -> Iterator[Move[State]]:
    if state.suspects:
        item, *rest = state.suspects
        leased = put(state.workers, worker, item)
        taken = state._replace(workers=leased, suspects=tuple(rest))
        yield Move(f"worker {worker}: claim the suspect {item}", taken)
        return
    ring = state.ring
    while ring and not state.queues[ring[0]]:
        ring = ring[1:]  # What has nothing left there is skipped.
    if not rules.plain and len(ring) > 1 and ring[0] == PLAIN:
        ring = (*ring[1:], PLAIN)
    if not ring:
        return
    source, *others = ring
    number, *left = state.queues[source]
    stays = (bool(left) and rules.stays) or not rules.leaves
    if not stays:
        ring = tuple(others)
    elif rules.rotates:
        ring = (*others, source)
    overtaken = [other for other in left if other < number]
    passed = tuple(
        count + 1 if other != source and state.queues[other] else 0
        for other, count in enumerate(state.passed)
    )
    yield Move(
        f"worker {worker}: claim {number} of source {source}",
        state._replace(
            queues=put(state.queues, source, tuple(left)),
            ring=ring,
            workers=put(state.workers, worker, (source, number)),
            passed=passed,
        ),
        broken=f"{number} of source {source} before {overtaken}." if overtaken else "",
    )


def end(state: State, rules: Rules, worker: int) -> Iterator[Move[State]]:
    item = state.workers[worker]
    assert item is not None
    idle = state._replace(workers=put(state.workers, worker, None))
    yield Move(f"worker {worker}: run {item}", idle._replace(run=state.run | {item}))
    if state.faults:
        less = idle._replace(faults=state.faults - 1)
        back = queued(less, rules, item, joins=rules.rejoins, head=rules.head, again=True)
        released = back._replace(releases=state.releases + 1)
        yield Move(f"worker {worker}: release {item}", released, fault=True)
        suspects = (*state.suspects, item)
        yield Move(f"worker {worker} dies with {item}", less._replace(suspects=suspects), True)


def queued(
    state: State, rules: Rules, item: Item, *, joins: bool, head: bool = False, again: bool = False
) -> State:
    source, number = item
    queue = state.queues[source]
    ring = state.ring
    # Where a source that has nothing left stays in the ring, its next one brings it in twice.
    if not queue and joins:
        ring = (source, *ring) if again else (*ring, source)
    queue = (number, *queue) if head else (*queue, number)
    return state._replace(queues=put(state.queues, source, queue), ring=ring)


def put(values: tuple, place: int, value: object) -> tuple:  # type: ignore[type-arg]
    return (*values[:place], value, *values[place + 1 :])
