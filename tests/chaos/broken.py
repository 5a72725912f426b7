"""Guarantees, broken on purpose, so that the checker can be seen to notice.

From the chaos site's settings, in each of its processes, by CHAOS_BREAK; djchan knows
nothing of it. Most of it is done between djchan and its links to Redis, with the operations of
``djchan.layers.operations``::

    perform(operations) ──► changed ──► Redis ──► answers ──► changed ──► djchan
"""

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from djchan.exceptions import BrokerError, BrokerRefused, BrokerUnavailable
from djchan.lanes.registration import Registration
from djchan.layers.operations import (
    Claim,
    Commit,
    Effect,
    Keep,
    Outcome,
    Part,
    Pop,
    Reap,
    Send,
    Tell,
)
from djchan.layers.redis.async_links import RedisAsyncLink, RedisInboxReader
from djchan.layers.redis.links import RedisLink
from djchan.layers.sending import Sending

LOST_CLAIM = 100  # One in so many claims that got something.
LOST_CALL = 5  # One in so many operations of callers that were applied.
WINDOW = 0.02  # Seconds between two halves of what should be one step.
HESITATION = 0.1  # Seconds between the claim of a message and its start.

_POP = """#!lua flags=allow-oom
local entries = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', 256)
for _, entry in ipairs(entries) do redis.call('XDEL', KEYS[1], entry[1]) end
return entries
"""


class Rule:
    """What is done to the operations of one exchange, and to its answers."""

    def ahead(self, operations: list[Any]) -> list[Any]:
        """Operations of an exchange of their own, before this one."""
        return []

    def change(self, operation: Any) -> Any:
        """What goes out instead; None: nothing, and ``skipped`` is its answer."""
        return operation

    skipped: Any = None

    def after(self, operation: Any, answer: Any) -> tuple[Any, list[Any]]:
        """The answer that djchan gets, and operations to be done then."""
        return answer, []


class NonAtomic(Rule):
    """commit: the effects first, by a Send; then the end of the delivery."""

    def ahead(self, operations: list[Any]) -> list[Any]:
        return _sent_alone(operations)

    def change(self, operation: Any) -> Any:
        if isinstance(operation, Commit):
            bare = tuple(outcome._replace(effects=()) for outcome in operation.outcomes)
            return operation._replace(outcomes=bare)
        return operation


class Applied(Rule):
    """fencing, floor: what was refused with ``word`` is applied all the same."""

    def __init__(self, word: str) -> None:
        self.word = word

    def after(self, operation: Any, answer: Any) -> tuple[Any, list[Any]]:
        if not isinstance(operation, Commit):
            return answer, []
        effects: list[Effect] = []
        for outcome, result in zip(operation.outcomes, answer, strict=True):
            if result == self.word:
                effects += _effects(outcome)
        results = tuple("done" if result == self.word else result for result in answer)
        return results, [Send("", 0, tuple(effects))] if effects else []


class SavedOutside(Rule):
    """session: what consumers keep is saved before their commit, and without a lease."""

    def ahead(self, operations: list[Any]) -> list[Any]:
        return _sent_alone(operations, kind=Keep)

    def change(self, operation: Any) -> Any:
        if not isinstance(operation, Commit):
            return operation
        outcomes = [
            outcome._replace(effects=tuple(e for e in outcome.effects if not isinstance(e, Keep)))
            for outcome in operation.outcomes
        ]
        return operation._replace(outcomes=tuple(outcomes))


class NoReaper(Rule):
    """reaper: nobody is declared dead."""

    skipped = False

    def change(self, operation: Any) -> Any:
        return None if isinstance(operation, Reap) and operation.beat is not None else operation


class NoReconcile(Rule):
    """reconcile: nobody asks again for a claim whose answer was lost, or says what it holds.

    Such answers are lost all the time: those that the campaign's proxy loses may be forgotten,
    with their workers, before its end.
    """

    skipped = 0

    def __init__(self) -> None:
        self.claims = 0

    def change(self, operation: Any) -> Any:
        if type(operation).__name__ == "Held":
            return None
        if isinstance(operation, Claim) and getattr(operation, "again", False):
            return operation._replace(again=False)
        return operation

    def after(self, operation: Any, answer: Any) -> tuple[Any, list[Any]]:
        if isinstance(operation, Claim) and answer.deliveries:
            self.claims += 1
            if self.claims % LOST_CLAIM == 0:
                raise BrokerUnavailable("The answer to a claim was lost, on purpose.")
        return answer, []


class NoNumbers(Rule):
    """numbers: a repeated Pop, Part or anonymous Send is not known to be one, and applied again.

    Their answers are lost all the time: the few that the campaign's proxy loses may be of an
    upload or a download that another fault excuses.
    """

    def __init__(self) -> None:
        self.calls = 0

    def change(self, operation: Any) -> Any:
        if _is_call(operation):
            return operation._replace(link="", number=0)
        return operation

    def after(self, operation: Any, answer: Any) -> tuple[Any, list[Any]]:
        if _is_call(operation) and answer not in (None, "gone", "fenced"):
            self.calls += 1
            if self.calls % LOST_CALL == 0:
                raise BrokerUnavailable("The answer to a caller was lost, on purpose.")
        return answer, []


def _is_call(operation: Any) -> bool:
    anonymous = not isinstance(operation, Send) or not operation.process
    return isinstance(operation, Pop | Part | Send) and anonymous and bool(operation.link)


def _sent_alone(operations: list[Any], *, kind: type = object) -> list[Any]:
    """A Send of the effects of this kind that the commits among ``operations`` would apply."""
    effects = tuple(
        effect
        for operation in operations
        if isinstance(operation, Commit)
        for outcome in operation.outcomes
        for effect in outcome.effects
        if isinstance(effect, kind)
    )
    return [Send("", 0, effects)] if effects else []


def _effects(outcome: Outcome) -> list[Effect]:
    effects = list(outcome.effects)
    if outcome.address is not None and outcome.answer:
        effects.append(Tell(outcome.address.process, outcome.answer))
    return effects


def _patch(rule: Rule) -> None:
    perform, aperform = RedisLink.perform, RedisAsyncLink.perform

    def settle(operations: Any, sent: list[Any], answers: list[Any]) -> tuple[list[Any], list[Any]]:
        """The answers for djchan, and what is still to be done."""
        arrived = iter(answers)
        told, then = [], []
        for operation, went in zip(operations, sent, strict=True):
            answer, more = (
                (rule.skipped, []) if went is None else rule.after(operation, next(arrived))
            )
            told.append(answer)
            then += more
        return told, then

    def broken(self: RedisLink, *operations: Any) -> list[Any]:
        if first := rule.ahead(list(operations)):
            perform(self, *first)
            time.sleep(WINDOW)
        sent = [rule.change(operation) for operation in operations]
        going = [operation for operation in sent if operation is not None]
        answers = perform(self, *going) if going else []
        told, then = settle(operations, sent, answers)
        if then:
            perform(self, *then)
        return told

    async def abroken(self: RedisAsyncLink, *operations: Any) -> list[Any]:
        if first := rule.ahead(list(operations)):
            await aperform(self, *first)
            await asyncio.sleep(WINDOW)
        sent = [rule.change(operation) for operation in operations]
        going = [operation for operation in sent if operation is not None]
        answers = await aperform(self, *going) if going else []
        told, then = settle(operations, sent, answers)
        if then:
            await aperform(self, *then)
        return told

    RedisLink.perform = broken  # type: ignore[method-assign]
    RedisAsyncLink.perform = abroken  # type: ignore[method-assign]


def _pop_inbox() -> None:
    """inbox: what is read is gone from Redis, whether or not it has arrived."""

    async def popping(self: Any, cursor: str, *, trim: bool) -> list[tuple[str, bytes]]:
        key = f"{self._base}in:{self._process}"
        deadline = time.monotonic() + 5.0
        while True:
            (entries,) = await self._link.exchange([("EVAL", _POP, 1, key, cursor)])
            if isinstance(entries, Exception):
                raise BrokerRefused(str(entries))
            if entries or time.monotonic() > deadline:
                return [(entry_id.decode(), fields[1]) for entry_id, fields in entries]
            await asyncio.sleep(0.01)

    RedisInboxReader.read = popping  # type: ignore[method-assign]


def _forget_others() -> None:
    """other: a delivery ends before the layer that it sends to has answered."""
    apply = Sending.apply_from_delivery

    def forgetting(self: Sending, words: Sequence[Any]) -> tuple[str, ...]:
        def send() -> None:
            with suppress(BrokerError):
                apply(self, words)

        threading.Thread(target=send, daemon=True).start()
        return ("sent",) * len(words)

    async def aforgetting(self: Sending, words: Sequence[Any]) -> tuple[str, ...]:
        return forgetting(self, words)

    Sending.apply_from_delivery = forgetting  # type: ignore[method-assign,assignment]
    Sending.aapply_from_delivery = aforgetting  # type: ignore[method-assign,assignment]


def _start_at_once() -> None:
    """start: a worker that was stopped begins what it has claimed before a heartbeat is answered.

    It takes its time before each message, so that SIGSTOP comes between the claim and the start.
    """

    def careless(self: Registration, now: float) -> bool:
        time.sleep(HESITATION)
        return not self.gone

    Registration.may_start = careless  # type: ignore[method-assign]


RULES: dict[str, Callable[[], None]] = {
    "commit": lambda: _patch(NonAtomic()),
    "fencing": lambda: _patch(Applied("fenced")),
    "reaper": lambda: _patch(NoReaper()),
    "inbox": _pop_inbox,
    "floor": lambda: _patch(Applied("superseded")),
    "reconcile": lambda: _patch(NoReconcile()),
    "session": lambda: _patch(SavedOutside()),
    "other": _forget_others,
    "numbers": lambda: _patch(NoNumbers()),
    "start": _start_at_once,
}


def apply(name: str) -> None:
    """Break the guarantee ``name`` in this process."""
    RULES[name]()
    print(f"chaos: the guarantee {name!r} is broken on purpose", file=sys.stderr, flush=True)
