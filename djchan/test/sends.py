"""Faults of what is sent: refused, not answered, not there. No I/O happens here.

From ``test.tamper``, for each Send, and for the effects of each commit; on to the Call.

::

    direct send ──► full: ChannelFull ──► unanswered: OutcomeUnknown ──► drop ──► the engine
    a consumer's commit ──────────────────────────────────────────────► drop ──► the engine
    an interface's send ────────────────────────────────────────────────────────► the engine
"""

from collections.abc import Sequence

from djchan.layers import codec
from djchan.layers.operations import (
    Body,
    Delay,
    Effect,
    GroupSend,
    Operation,
    Part,
    Push,
    Send,
    SendResult,
    Sent,
    Tell,
)
from djchan.layers.policy import Policy
from djchan.test.call import Call, Lost
from djchan.test.faults import GROUP, REPLY, Faults


class Sends:
    """``lossy``: whether what djchan promises to keep may be dropped."""

    def __init__(self, faults: Faults, policy: Policy, *, lossy: bool) -> None:
        self._faults = faults
        self._policy = policy
        self._lossy = lossy

    def loses(self, operation: Operation) -> Lost:
        """Answers are lost of what is not said again: direct sends, parts of a response."""
        on = _first(operation)
        if not on or not self._faults.strikes("unanswered", on):
            return ""
        lost: Lost = "after" if self._faults.draw("unanswered", on) < 0.5 else "before"
        self._faults.note("unanswered", on, "applied" if lost == "after" else "not applied")
        return lost

    def send(self, call: Call, operation: Send) -> None:
        if operation.process:
            # An interface's: it says it until it is answered, in the same words.
            call.say(operation)
            return
        fixed: list[SendResult | None] = []
        kept: list[Effect] = []
        for effect in operation.effects:
            if (
                isinstance(effect, Push | Body)
                and effect.capacity
                and self._faults.strikes("full", effect.channel)
            ):
                self._faults.note("full", effect.channel)
                fixed.append("full")
                continue
            left = self._left_of(effect)
            fixed.append(None if left is not None else "ok")
            if left is not None:
                kept.append(left)

        def mend(sent: Sent | None) -> Sent:
            results = () if sent is None else sent.results
            if "fenced" in results:
                every: list[SendResult] = ["fenced"] * len(fixed)
                return Sent(tuple(every))
            rest = iter(results)
            return Sent(tuple(next(rest) if known is None else known for known in fixed))

        if kept:
            call.say(operation._replace(effects=tuple(kept)), mend)
        else:
            call.answer_alone(mend)

    def left(self, effects: Sequence[Effect]) -> tuple[Effect, ...]:
        """What is left of the effects of a commit."""
        left = (self._left_of(effect) for effect in effects)
        return tuple(effect for effect in left if effect is not None)

    def _left_of(self, effect: Effect) -> Effect | None:
        """What is left of an effect when it may be dropped; None: nothing."""
        if isinstance(effect, GroupSend):
            on = f"{GROUP}{effect.group}"
            if not self._faults.strikes("drop", on):
                return effect
            self._faults.note("drop", on)
            # As for an inbox over its limit: its sockets are told. Plain channels get it.
            return effect._replace(entry=codec.encode_entry(codec.GAP, effect.group))
        if isinstance(effect, Push | Delay):
            on, may = effect.channel, self._lossy or self._policy.at_most_once(effect.channel)
        elif isinstance(effect, Tell):
            on, may = REPLY, self._lossy
        else:
            return effect
        if not may or not self._faults.strikes("drop", on):
            return effect
        self._faults.note("drop", on)
        return None


def _first(operation: Operation) -> str:
    """What a direct send, or a part of a response, is on; "" for anything else."""
    if isinstance(operation, Part):
        return REPLY
    if not isinstance(operation, Send) or operation.process or not operation.effects:
        return ""
    effect = operation.effects[0]
    if isinstance(effect, Push | Delay | Body):
        return effect.channel
    return REPLY if isinstance(effect, Tell) else f"{GROUP}{getattr(effect, 'group', '')}"
