"""What faults do to the operations of a layer, and to their answers. No I/O happens here.

From ``test.chaos``, whose links ask at each call; on to the links of the wrapped engine, with
operations that were changed, and back with answers that fit the ones that were asked::

    operations ──begin──► Call: operations for the engine ──► its answers ──answers──► answers

What is sent is for ``test.sends``, what a worker claims and commits for ``test.hands``.
"""

from collections.abc import Callable, Sequence
from typing import Any

from djchan.layers.operations import (
    Claim,
    Closing,
    Commit,
    Flush,
    GiveUp,
    Held,
    Operation,
    Part,
    Reap,
    Release,
    Ring,
    Send,
)
from djchan.layers.policy import Policy
from djchan.test.call import Call
from djchan.test.faults import Faults
from djchan.test.hands import Hands
from djchan.test.sends import Sends


class Tamper:
    """Not for two threads at a time. ``lossy``, ``max_delay`` (s), ``max_repeats``: see
    ``test.chaos.ChaosLayer``."""

    def __init__(
        self, faults: Faults, policy: Policy, *, lossy: bool, max_delay: float, max_repeats: int
    ) -> None:
        self._sends = sends = Sends(faults, policy, lossy=lossy)
        self._hands = hands = Hands(
            faults, left=sends.left, max_delay=max_delay, max_repeats=max_repeats
        )
        self._moves: dict[type, Callable[[Call, Any], None]] = {
            Claim: hands.claim,
            Closing: hands.closing,
            Commit: hands.commit,
            Flush: hands.flush,
            GiveUp: hands.give_up,
            Held: hands.held,
            Part: hands.part,
            Reap: hands.reap,
            Release: hands.release,
            Send: self._send,
        }

    def begin(self, operations: Sequence[Operation]) -> Call:
        call = Call()
        if len(operations) == 1:
            call.lost = self._sends.loses(operations[0])
            if call.lost == "before":
                return call
        for operation in operations:
            move = self._moves.get(type(operation))
            if move is None:
                call.say(operation)
            else:
                move(call, operation)
        claiming = {each.worker for each in operations if isinstance(each, Claim)}
        bells = self._hands.bells(without=claiming)
        if bells:
            # Said last: its answer is nobody's.
            call.operations.append(Ring(bells))
        return call

    def _send(self, call: Call, operation: Send) -> None:
        if operation.fence is not None:
            operation = operation._replace(fence=self._hands.fence(operation.fence))
        self._sends.send(call, operation)
