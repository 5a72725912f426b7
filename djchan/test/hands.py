"""Faults of what is run: late, overtaken, run again. No I/O happens here.

From ``test.tamper``, for each word between a worker and the engine; on to the Call. A delivery
that is hit, between the engine (which thinks it leased all the while) and its worker::

                      ┌─ delay ────► withheld ── its time has come ───────────┐
    Claim ──► leased ─┼─ reorder ──► withheld ── another one went before ─────┤
                      └───────────────────────────────────────────────────────┴──► the worker
                                          ┌── "fenced", nothing applied ◄─ repeat ─── Commit
                                          └─► again: attempt + 1, a token of ours ──► the worker

A token of ours is negative, and stands for the engine's. A worker's end forgets all of this:
what was withheld is leased to it, so the layer hands it on.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from djchan.layers.operations import (
    STARTED,
    Claim,
    Claimed,
    Closing,
    Commit,
    CommitResult,
    Effect,
    Flush,
    GiveUp,
    Held,
    Leased,
    Outcome,
    Part,
    Reap,
    Release,
    SendResult,
)
from djchan.test.call import Call
from djchan.test.faults import Faults

_RUNS = 10_000  # Deliveries whose discarded runs are remembered; the oldest are forgotten.


class Withheld(NamedTuple):
    leased: Leased
    until: int  # ms, the layer's clock.
    overtaken: bool  # It goes as soon as another one went, too.


class Hand:
    """What is known of one worker."""

    def __init__(self) -> None:
        self.bells: set[str] = set()
        self.closing = False
        self.leased: dict[int, Leased] = {}  # By the token that the worker knows.
        self.tokens: dict[int, int] = {}  # Ours -> the engine's.
        self.withheld: list[Withheld] = []
        self.again: list[Leased] = []
        # Link -> its last commit: number, the tokens whose runs were discarded, what was said.
        # A commit that is repeated must come to the same.
        self.commits: dict[str, tuple[int, frozenset[int], Commit]] = {}

    def real(self, token: int) -> int:
        return self.tokens.get(token, token)

    def over(self, token: int) -> None:
        """The worker has nothing more to do with this lease."""
        self.leased.pop(token, None)
        self.tokens.pop(token, None)


class Hands:
    """``left``: what is left of the effects of a commit, some of which may be dropped."""

    def __init__(
        self,
        faults: Faults,
        *,
        left: Callable[[Sequence[Effect]], tuple[Effect, ...]],
        max_delay: float,
        max_repeats: int,
    ) -> None:
        self._faults = faults
        self._left = left
        self._max_delay = int(max_delay * 1000)
        self._max_repeats = max_repeats
        self._hands: dict[str, Hand] = {}
        self._runs: OrderedDict[int, int] = OrderedDict()  # Delivery -> its discarded runs.
        self._token = 0

    def bells(self, *, without: Collection[str]) -> tuple[str, ...]:
        """The bells of workers that have something to run again, and may not know it."""
        return tuple(
            bell
            for worker, hand in self._hands.items()
            if hand.again and not hand.closing and worker not in without
            for bell in sorted(hand.bells)
        )

    def fence(self, fence: tuple[str, int]) -> tuple[str, int]:
        """As the engine knows it."""
        worker, token = fence
        return worker, self._hand(worker).real(token)

    def _hand(self, worker: str) -> Hand:
        return self._hands.setdefault(worker, Hand())

    def claim(self, call: Call, operation: Claim) -> None:
        hand = self._hand(operation.worker)
        hand.bells.add(operation.bell)
        call.say(
            operation._replace(above=max(0, operation.above)),
            lambda claimed: self._claimed(operation.worker, claimed),
        )

    def _claimed(self, worker: str, claimed: Claimed) -> Claimed:
        if not claimed.known:
            self._hands.pop(worker, None)
            return claimed
        hand = self._hand(worker)
        if hand.closing:
            return claimed
        handed, hand.again = hand.again, []
        overtaken: list[Leased] = []
        withheld, hand.withheld = hand.withheld, []
        for waiting in withheld:
            if waiting.until <= claimed.now:
                handed.append(waiting.leased)
            elif waiting.overtaken:
                overtaken.append(waiting.leased)
            else:
                hand.withheld.append(waiting)
        for leased in claimed.deliveries:
            leased = self._with_its_runs(leased)
            on = leased.channel
            if self._faults.strikes("delay", on):
                delay = int(self._faults.draw("delay", on) * self._max_delay) + 1
                self._faults.note("delay", on, f"{delay} ms")
                hand.withheld.append(Withheld(leased, claimed.now + delay, False))
            elif self._faults.strikes("reorder", on):
                self._faults.note("reorder", on)
                overtaken.append(leased)
            else:
                handed.append(leased)
                handed += overtaken
                overtaken.clear()
        until = claimed.now + self._max_delay
        hand.withheld += [Withheld(leased, until, True) for leased in overtaken]
        hand.leased |= {leased.token: leased for leased in handed}
        dues = [waiting.until for waiting in hand.withheld]
        if claimed.next_due:
            dues.append(claimed.next_due)
        return claimed._replace(deliveries=tuple(handed), next_due=min(dues, default=0))

    def _with_its_runs(self, leased: Leased) -> Leased:
        """The runs that were discarded count, also where the lease is a new one."""
        more = self._runs.get(_identity(leased), 0)
        return leased._replace(attempt=leased.attempt + more) if more else leased

    # ----------------------------------------------------------------- commits

    def commit(self, call: Call, operation: Commit) -> None:
        hand = self._hand(operation.worker)
        number, discarded, commit = hand.commits.get(operation.link, (0, frozenset(), operation))
        if number != operation.number:
            discarded = frozenset(
                outcome.token for outcome in operation.outcomes if self._discards(hand, outcome)
            )
            commit = operation._replace(
                outcomes=tuple(
                    outcome._replace(
                        token=hand.real(outcome.token), effects=self._left(outcome.effects)
                    )
                    for outcome in operation.outcomes
                    if outcome.token not in discarded
                )
            )
            hand.commits[operation.link] = (operation.number, discarded, commit)

        def mend(results: Sequence[CommitResult] | None) -> list[CommitResult]:
            rest = iter(results or ())
            told: list[CommitResult] = []
            for outcome in operation.outcomes:
                if outcome.token in discarded:
                    told.append("fenced")
                    continue
                result = next(rest)
                told.append(result)
                self._committed(hand, outcome, result)
            return told

        if commit.outcomes:
            call.say(commit, mend)
        else:
            call.answer_alone(mend)

    def _discards(self, hand: Hand, outcome: Outcome) -> bool:
        """Whether this run is to have had no effect, and the delivery to be run again."""
        leased = hand.leased.get(outcome.token)
        if (
            leased is None
            or outcome.progress
            or hand.closing
            or leased.attempt > self._max_repeats
            or not self._faults.strikes("repeat", leased.channel)
        ):
            return False
        again = leased._replace(token=self._own_token(), attempt=leased.attempt + 1)
        self._faults.note("repeat", leased.channel, f"attempt {again.attempt}")
        hand.tokens[again.token] = hand.real(leased.token)
        hand.over(leased.token)
        hand.again.append(again)
        identity = _identity(leased)
        self._runs[identity] = self._runs.get(identity, 0) + 1
        if len(self._runs) > _RUNS:
            self._runs.popitem(last=False)
        return True

    def _own_token(self) -> int:
        self._token -= 1
        return self._token

    def _committed(self, hand: Hand, outcome: Outcome, result: CommitResult) -> None:
        leased = hand.leased.get(outcome.token)
        if leased is None or result == "stale":
            return
        if outcome.progress and result != "fenced":
            hand.leased[outcome.token] = leased._replace(done=outcome.progress)
            return
        hand.over(outcome.token)
        self._runs.pop(_identity(leased), None)

    # ------------------------------------------------------- other words of a worker

    def part(self, call: Call, operation: Part) -> None:
        hand = self._hand(operation.worker)

        def mend(told: SendResult) -> SendResult:
            leased = hand.leased.get(operation.token)
            if leased is not None and told == "ok":
                hand.leased[operation.token] = leased._replace(done=STARTED)
            return told

        call.say(operation._replace(token=hand.real(operation.token)), mend)

    def give_up(self, call: Call, operation: GiveUp) -> None:
        hand = self._hand(operation.worker)

        def mend(result: str) -> str:
            if result != "stale":
                hand.over(operation.token)
            return result

        call.say(operation._replace(token=hand.real(operation.token)), mend)

    def release(self, call: Call, operation: Release) -> None:
        hand = self._hand(operation.worker)

        def mend(count: int) -> int:
            for token in operation.tokens:
                hand.over(token)
            return count

        tokens = tuple(hand.real(token) for token in operation.tokens)
        call.say(operation._replace(tokens=tokens), mend)

    # --------------------------------------------------------------- processes

    def held(self, call: Call, operation: Held) -> None:
        hand = self._hand(operation.worker)
        known = [hand.real(token) for token in operation.tokens]
        known += [waiting.leased.token for waiting in hand.withheld]
        known += [hand.real(leased.token) for leased in hand.again]
        call.say(operation._replace(tokens=tuple(dict.fromkeys(known))))

    def closing(self, call: Call, operation: Closing) -> None:
        self._hand(operation.worker).closing = True
        call.say(operation)

    def reap(self, call: Call, operation: Reap) -> None:
        def mend(done: bool) -> bool:
            if done:
                self._hands.pop(operation.process, None)
            return done

        call.say(operation, mend)

    def flush(self, call: Call, operation: Flush) -> None:
        def mend(answer: None) -> None:
            self._hands.clear()
            self._runs.clear()

        call.say(operation, mend)


def _identity(leased: Leased) -> int:
    # The payload holds an id that nothing else has.
    return hash((leased.channel, leased.payload))
