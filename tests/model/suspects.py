"""Suspects as a model: a poison, two innocent deliveries, two workers, a kill besides.

From ``tests.model.test_suspects``; on to ``tests.model.explore``. A worker is a process: what
it holds dies with it. Whoever held the poison looks as guilty as the poison, until each of
them has had a process in which nobody else could have done it.

::

                 claim (any number)            ┌── commit ──► done
    queued ────────────────────────► leased ───┤
    (crashes 0)                       ▲        └── its worker dies: crashes + 1
                 claim (one at a time)│                  │
    suspect ──────────────────────────┘ ◄────────────────┘
    (crashes > 0)  └── crashes 3: buried by who claims it

A worker that finds nothing to claim is idle until a bell is rung for it; one ring wakes one.
The promise: the poison is run three times at most, and then buried; no innocent ever is.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from tests.model.explore import Exploration, Move, Verdict

ATTEMPTS = 3
WORKERS = (0, 1)


class Rules(NamedTuple):
    """The rules of the protocol; every default is the one in force."""

    #: A worker holds one suspect at a time.
    alone: bool = True
    #: A death counts for what the worker held.
    counted: bool = True
    #: The bell is rung when a suspect's lease has ended and others wait.
    ring: bool = True
    #: What a worker gives back before it leaves does not count as its victim's doing.
    goodbye: bool = True


class Delivery(NamedTuple):
    where: Literal["queued", "leased", "done", "buried"] = "queued"
    worker: int = -1
    crashes: int = 0

    @property
    def suspect(self) -> bool:
        return self.crashes > 0


class Worker(NamedTuple):
    alive: bool = True
    idle: bool = False


class State(NamedTuple):
    deliveries: tuple[Delivery, ...]  # The first ones are poison.
    workers: tuple[Worker, ...]
    runs: tuple[int, ...]  # How often each poison was run.
    kills: int  # How many may still happen.
    goodbyes: int  # Likewise.


def explore(
    rules: Rules, *, poisons: int = 1, innocents: int = 2, kills: int = 1, goodbyes: int = 0
) -> Verdict:
    def moves(state: State) -> Iterator[Move[State]]:
        for index in WORKERS:
            yield from worker_moves(state, rules, index, poisons)

    def broken(state: State) -> str:
        for delivery in state.deliveries[poisons:]:
            if delivery.where == "buried":
                return "An innocent delivery is buried."
        for delivery, runs in zip(state.deliveries, state.runs, strict=False):
            if runs > ATTEMPTS:
                return f"A poison was run {runs} times."
            others = kills - state.kills + (poisons - 1) * ATTEMPTS  # Deaths it died of others.
            if delivery.where == "buried" and runs < ATTEMPTS - others:
                return f"A delivery is buried after {runs} runs."
        return ""

    def finished(state: State) -> bool:
        return all(delivery.where in ("done", "buried") for delivery in state.deliveries)

    start = State(
        (Delivery(),) * (poisons + innocents),
        (Worker(),) * len(WORKERS),
        (0,) * poisons,
        kills,
        goodbyes,
    )
    return Exploration(start, moves, broken=broken, finished=finished).run()


def worker_moves(state: State, rules: Rules, index: int, poisons: int) -> Iterator[Move[State]]:
    me, name = state.workers[index], f"worker {index}"
    mine = [place for place, one in enumerate(state.deliveries) if one.worker == index]
    if not me.alive:
        if mine:
            crashes = 1 if rules.counted else 0
            for after in rung(given_back(state, mine, crashes)):
                yield Move(f"reaper: {name} is dead", after)
        else:
            yield Move(f"{name}: started again", with_worker(state, index, Worker()))
        return

    if not me.idle:
        yield from claim_moves(state, rules, index, bool(mine))

    for place in mine:
        if place < poisons:
            runs = (*state.runs[:place], state.runs[place] + 1, *state.runs[place + 1 :])
            dead = with_worker(state, index, Worker(alive=False))
            yield Move(f"{name}: poison {place} kills it", dead._replace(runs=runs))
        else:
            for after in ended(state, rules, place, "done"):
                yield Move(f"{name}: delivery {place} is done", after)

    if mine and state.kills:
        dead = with_worker(state, index, Worker(alive=False))
        yield Move(f"{name}: kill -9", dead._replace(kills=state.kills - 1), fault=True)
    if mine and state.goodbyes:
        left = given_back(with_worker(state, index, Worker()), mine, 0 if rules.goodbye else 1)
        for after in rung(left._replace(goodbyes=state.goodbyes - 1)):
            yield Move(f"{name}: goodbye, and started again", after, fault=True)


def claim_moves(state: State, rules: Rules, index: int, busy: bool) -> Iterator[Move[State]]:
    name = f"worker {index}"
    has_suspect = any(one.worker == index and one.suspect for one in state.deliveries)
    found = False
    for place, delivery in enumerate(state.deliveries):
        if delivery.where != "queued":
            continue
        if delivery.suspect and rules.alone and has_suspect:
            continue
        found = True
        if delivery.crashes == ATTEMPTS:
            for after in ended(state, rules, place, "buried"):
                yield Move(f"{name}: delivery {place} is given up", after)
            continue
        leased = with_delivery(state, place, delivery._replace(where="leased", worker=index))
        # Who takes a suspect rings for the others: a second worker may take the next.
        for after in rung(leased) if delivery.suspect and suspects_wait(leased) else (leased,):
            yield Move(f"{name}: claim {place}", after)
    if not found:
        idle = with_worker(state, index, Worker(idle=True))
        yield Move(f"{name}: nothing to claim, idle{' besides' if busy else ''}", idle)


def ended(
    state: State, rules: Rules, place: int, where: Literal["done", "buried"]
) -> Iterator[State]:
    delivery = state.deliveries[place]
    after = with_delivery(state, place, Delivery(where, crashes=delivery.crashes))
    if rules.ring and delivery.suspect and suspects_wait(after):
        yield from rung(after)
    else:
        yield after


def given_back(state: State, places: list[int], crashes: int) -> State:
    for place in places:
        now = state.deliveries[place].crashes
        state = with_delivery(state, place, Delivery("queued", crashes=now + crashes))
    return state


def suspects_wait(state: State) -> bool:
    return any(one.where == "queued" and one.suspect for one in state.deliveries)


def rung(state: State) -> Iterator[State]:
    """The states after one ring: it wakes one idle worker, and nobody can say which."""
    idle = [index for index in WORKERS if state.workers[index].idle]
    for index in idle:
        yield with_worker(state, index, Worker())
    if not idle:
        yield state


def with_worker(state: State, index: int, worker: Worker) -> State:
    workers = (*state.workers[:index], worker, *state.workers[index + 1 :])
    return state._replace(workers=workers)


def with_delivery(state: State, place: int, delivery: Delivery) -> State:
    deliveries = (*state.deliveries[:place], delivery, *state.deliveries[place + 1 :])
    return state._replace(deliveries=deliveries)
