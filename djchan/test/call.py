"""One call of a link, between what was asked and what is said. No I/O happens here.

From ``test.tamper``, whose parts fill it; on to ``test.chaos``, which performs its
``operations`` and gives their answers back to it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from djchan.layers.operations import Operation

Mend = Callable[[Any], Any]


def as_it_is(answer: Any) -> Any:
    return answer


Lost = Literal["", "before", "after"]


class Call:
    """One call of a link: what to say instead, and how its answers are to be mended.

    ``lost``: the answer does not arrive: "before" it was applied, "after" it, or "" (it does).
    """

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.lost: Lost = ""
        self._mends: list[tuple[bool, Mend]] = []

    @property
    def asks(self) -> bool:
        """Whether there is anything to say to the engine."""
        return bool(self.operations)

    def say(self, operation: Operation, mend: Mend = as_it_is) -> None:
        self.operations.append(operation)
        self._mends.append((True, mend))

    def answer_alone(self, mend: Mend) -> None:
        """The engine is not asked; ``mend(None)`` is the answer."""
        self._mends.append((False, mend))

    def answers(self, raw: Sequence[Any]) -> list[Any]:
        """What the caller gets; ``raw``: what the engine answered."""
        rest = iter(raw)
        return [mend(next(rest) if said else None) for said, mend in self._mends]
