"""Visit every state that a protocol can reach, and say what is wrong with one of them.

From the tests here; on to a verdict. A *model* is a start state and a function that lists
all moves from a state. Breadth first, so that a trace that is found is a shortest one.

Two things can be wrong. UNSAFE: a move or a state breaks a promise. STUCK: a state from
which no sequence of moves without a further fault reaches a state that counts as finished.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, NamedTuple, TypeVar

State = TypeVar("State", bound=Hashable)

OK = "OK"
UNSAFE = "UNSAFE"
STUCK = "STUCK"


class Move(NamedTuple, Generic[State]):
    """One step of one process, or one fault that befalls it."""

    label: str
    state: State
    fault: bool = False
    broken: str = ""  # The promise that this very move breaks.


class Verdict(NamedTuple):
    outcome: str
    reason: str
    trace: list[str]
    states: int

    def __str__(self) -> str:
        lines = [f"{self.outcome} after {self.states} states. {self.reason}", *self.trace]
        return "\n    ".join(lines)


class Exploration(Generic[State]):
    """One walk over all states of one model.

    ``moves`` lists the moves from a state; ``broken`` names the promise that a state breaks
    ("" for none); ``finished`` tells whether a state is one where work may rest. More than
    ``limit`` states raise RuntimeError: a model that is not walked to its end proves nothing.
    """

    def __init__(
        self,
        start: State,
        moves: Callable[[State], Iterable[Move[State]]],
        *,
        broken: Callable[[State], str],
        finished: Callable[[State], bool],
        limit: int = 500_000,
    ) -> None:
        self.start = start
        self.moves = moves
        self.broken = broken
        self.finished = finished
        self.limit = limit
        self.came_from: dict[State, tuple[State, str] | None] = {start: None}
        self.faultless: dict[State, list[State]] = {}  # State -> states one move before it.

    def run(self) -> Verdict:
        waiting = deque([self.start])
        while waiting:
            state = waiting.popleft()
            for move in self.moves(state):
                if not move.fault:
                    self.faultless.setdefault(move.state, []).append(state)
                if move.broken:
                    return self._verdict(UNSAFE, move.broken, state, last=move.label)
                if move.state in self.came_from:
                    continue
                self.came_from[move.state] = (state, move.label)
                if reason := self.broken(move.state):
                    return self._verdict(UNSAFE, reason, move.state)
                waiting.append(move.state)
            if len(self.came_from) > self.limit:
                raise RuntimeError(f"more than {self.limit} states: make the model smaller")
        for state in self.came_from.keys() - self._can_finish():
            return self._verdict(STUCK, "no way from here to the end", state)
        return Verdict(OK, "", [], len(self.came_from))

    def _can_finish(self) -> set[State]:
        """The states that reach a finished one without a further fault."""
        good = {state for state in self.came_from if self.finished(state)}
        waiting = list(good)
        while waiting:
            for before in self.faultless.get(waiting.pop(), ()):
                if before not in good:
                    good.add(before)
                    waiting.append(before)
        return good

    def _verdict(self, outcome: str, reason: str, state: State, *, last: str = "") -> Verdict:
        trace = [last] if last else []
        step = self.came_from[state]
        while step is not None:
            state, label = step
            trace.append(label)
            step = self.came_from[state]
        return Verdict(outcome, reason, trace[::-1], len(self.came_from))
