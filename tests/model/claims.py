"""Numbered claims as a model: one worker, the link of a lane, the link that says Held.

From ``tests.model.test_claims``; on to ``tests.model.explore``. The answer to a claim may be
lost, and then Redis leases to the worker what it does not know of. The lane asks again; and
the worker tells, on another connection, what it knows (Held). Held is made at one moment and
arrives at another: what the lane was leased in between is not to be taken from it.

::

    lane ── claim n ──────────────► Redis: leases, with n        n is answered ──► known
         ── claim n, again ───────► what is leased of n; if n never came, as claim n
    Held ── known, n answered ────► all other leases go back, but those of claims after n

A request of a broken connection that Redis had received is performed late, and its answer
goes nowhere. The promise: nothing is taken from the worker that it knows, or is being told;
and everything is run in the end. A worker says Held after an error, and now and then.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from tests.model.explore import Exploration, Move, Verdict


class Rules(NamedTuple):
    """The rules of the protocol; every default is the one in force."""

    #: A claim whose answer was lost is asked again, under its number.
    again: bool = True
    #: A claim that arrives late, after its number or a higher one, leases nothing.
    numbered: bool = True
    #: The worker tells after an error what it knows.
    held: bool = True
    #: And now and then without one.
    periodic: bool = True
    #: What Held leaves alone: all that later claims than the said ones have leased ("later");
    #: what the last claim has, where that is the next one, and everything where it is later
    #: still ("next": needs no memory of claims before the last); what the last claim has,
    #: where it is a later one ("last"); nothing.
    exempt: Literal["later", "next", "last", "none"] = "next"


class Lease(NamedTuple):
    token: int
    number: int  # Of the claim that made it.


class Redis(NamedTuple):
    queue: int = 0  # How many wait.
    leases: tuple[Lease, ...] = ()
    token: int = 0
    number: int = 0  # Of the last claim that leased something.
    run: int = 0


class Claim(NamedTuple):
    number: int
    again: bool = False
    heard: bool = True  # Its connection still stands, so that somebody hears the answer.


class Answer(NamedTuple):
    number: int
    tokens: tuple[int, ...]


class Held(NamedTuple):
    known: tuple[int, ...]
    number: int


class Worker(NamedTuple):
    asked: int = 0  # The number of the lane's last claim …
    answered: int = 0  # … and of the last one that was answered.
    known: tuple[int, ...] = ()
    trouble: bool = False  # An error that Held was not said after yet.


class State(NamedTuple):
    redis: Redis
    worker: Worker
    to_come: int  # Messages that are still to be sent …
    to_go: int  # … and how many of all another worker may take.
    faults: int
    claims: tuple[Claim, ...] = ()
    answer: Answer | None = None
    held: Held | None = None

    @property
    def asking(self) -> bool:
        return self.answer is not None or any(claim.heard for claim in self.claims)


def explore(rules: Rules, *, deliveries: int = 3, faults: int = 1, late: bool = True) -> Verdict:
    """Walk the protocol under ``rules``; with ``late``, a request outlives its connection."""

    def moves(state: State) -> Iterator[Move[State]]:
        yield from outside_moves(state)
        yield from lane_moves(state, rules, late)
        yield from redis_moves(state, rules)
        yield from held_moves(state, rules)

    def finished(state: State) -> bool:
        return state.redis.run == deliveries

    start = State(Redis(), Worker(), deliveries, 1, faults)
    return Exploration(start, moves, broken=lambda state: "", finished=finished).run()


def outside_moves(state: State) -> Iterator[Move[State]]:
    redis = state.redis
    if state.to_come:
        sent = state._replace(redis=redis._replace(queue=redis.queue + 1))
        yield Move("a message is sent", sent._replace(to_come=state.to_come - 1))
    if state.to_go and redis.queue:
        taken = redis._replace(queue=redis.queue - 1, run=redis.run + 1)
        yield Move("another worker runs one", state._replace(redis=taken, to_go=state.to_go - 1))


def lane_moves(state: State, rules: Rules, late: bool) -> Iterator[Move[State]]:
    redis, me = state.redis, state.worker
    if not state.asking and redis.queue:
        number = me.asked + 1
        asking = state._replace(
            worker=me._replace(asked=number), claims=(*state.claims, Claim(number))
        )
        yield Move(f"lane: claim {number}", asking)

    if state.answer is not None:
        number, tokens = state.answer
        told = me._replace(answered=number, known=(*me.known, *tokens))
        yield Move(f"lane: claim {number} is answered", state._replace(worker=told, answer=None))

    for token in me.known:
        known = tuple(other for other in me.known if other != token)
        done = state._replace(worker=me._replace(known=known))
        if any(lease.token == token for lease in redis.leases):
            leases = tuple(lease for lease in redis.leases if lease.token != token)
            done = done._replace(redis=redis._replace(leases=leases, run=redis.run + 1))
        yield Move(f"lane: {token} is done", done)

    if state.faults and state.asking:
        # The connection breaks: before Redis had the request, before it looked at it, or
        # before its answer arrived.
        trouble = state._replace(
            worker=me._replace(trouble=True), answer=None, faults=state.faults - 1
        )
        again = (Claim(me.asked, again=True),) if rules.again else ()
        unheard = tuple(claim._replace(heard=False) for claim in state.claims)
        gone = tuple(claim for claim in state.claims if not claim.heard)
        yield Move("lane: its link breaks", trouble._replace(claims=gone + again), fault=True)
        if late and unheard != gone:
            yield Move(
                "lane: its link breaks, the request is read later",
                trouble._replace(claims=unheard + again),
                fault=True,
            )


def redis_moves(state: State, rules: Rules) -> Iterator[Move[State]]:
    redis = state.redis
    for place, claim in enumerate(state.claims):
        rest = state.claims[:place] + state.claims[place + 1 :]
        after = redis
        new = claim.number > redis.number or not (rules.numbered or claim.again)
        if new and redis.queue:
            lease = Lease(redis.token + 1, claim.number)
            after = redis._replace(
                queue=redis.queue - 1,
                leases=(*redis.leases, lease),
                token=lease.token,
                number=claim.number,
            )
        tokens = tuple(lease.token for lease in after.leases if lease.number == claim.number)
        answer = Answer(claim.number, tokens) if claim.heard else state.answer
        again = ", again" if claim.again else ""
        yield Move(
            f"Redis: claim {claim.number}{again} leases {tokens}",
            state._replace(redis=after, claims=rest, answer=answer),
        )


def held_moves(state: State, rules: Rules) -> Iterator[Move[State]]:
    redis, me = state.redis, state.worker
    if rules.held and state.held is None and (me.trouble or rules.periodic):
        held = Held(me.known, me.answered)
        said = state._replace(worker=me._replace(trouble=False), held=held)
        yield Move(f"worker: says that it holds {held.known}, {held.number} answered", said)

    if state.held is not None:
        kept: list[Lease] = []
        back: list[Lease] = []
        for lease in redis.leases:
            stays = lease.token in state.held.known or exempt(redis, lease, state.held, rules)
            (kept if stays else back).append(lease)
        told = (*me.known, *(state.answer.tokens if state.answer else ()))
        taken = [lease.token for lease in back if lease.token in told]
        after = redis._replace(queue=redis.queue + len(back), leases=tuple(kept))
        yield Move(
            f"Redis: Held gives back {[lease.token for lease in back]}",
            state._replace(redis=after, held=None),
            broken=f"{taken} are taken from the worker that runs them." if taken else "",
        )


def exempt(redis: Redis, lease: Lease, held: Held, rules: Rules) -> bool:
    if rules.exempt == "next" and redis.number > held.number + 1:
        return True
    if rules.exempt == "none" or lease.number <= held.number:
        return False
    return rules.exempt == "later" or lease.number == redis.number
