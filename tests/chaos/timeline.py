"""What the faults of a campaign explain, and for how long. No I/O happens here.

From the records of ``faults`` (or a test), for the rules of ``checker``: which fault lies
over a time, what a loss of state may have taken, and until when an answer may be late::

    ──────●━━━━━━━━━━━━━━○┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄|──────► seconds
          at            until   its bound   what waited has its answer
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

Record = dict[str, Any]

LOSSES = ("store.flush", "store.older", "store.failover")
# Who loses its connection to Redis must look anew at who lives, and does so patiently.
DEAFENING = ("store.kill", "store.older", "store.failover", "store.flush", "proxy.")
DEAF = 8.0  # Seconds for that.
SLACK = 0.5  # Seconds that two observers may see one thing apart.


class Bounds(NamedTuple):
    """Seconds from a fault until things go on; ``usual``: for an answer without a fault."""

    usual: float = 2.0
    kill: float = 3.0  # Hand-over after SIGKILL.
    silence: float = 5.0  # After the silence limit, for a process that was stopped.
    term: float = 1.0  # Hand-over after SIGTERM.
    interface: float = 5.0  # After it listens again.
    store: float = 5.0  # After it answers again.


class Timeline:
    """The faults of one campaign. ``silence``: worker_silence. ``lags``: (when, seconds) that
    this machine was late by, which no process can help."""

    def __init__(
        self,
        faults: Sequence[Record],
        *,
        silence: float = 3.0,
        lags: Sequence[Sequence[float]] = (),
        bounds: Bounds | None = None,
    ) -> None:
        self.faults = sorted(faults, key=lambda fault: fault["at"])
        self.bounds = bounds or Bounds()
        self._silence = silence
        self._lags = lags

    # -------------------------------------------------------------------- what

    def over(self, begin: float, end: float, *kinds: str, slack: float = SLACK) -> list[Record]:
        """Faults whose time touches that from ``begin`` to ``end``; ``kinds`` are beginnings."""
        return [
            fault
            for fault in self.faults
            if fault["at"] <= end + slack
            and fault["until"] >= begin - slack
            and (not kinds or fault["kind"].startswith(kinds))
        ]

    def losses(self, begin: float, end: float) -> list[Record]:
        """Losses of state whose lost interval touches that time."""
        return [
            fault
            for fault in self.faults
            if fault["kind"] in LOSSES
            and fault["since"] - SLACK <= end
            and fault["until"] + SLACK >= begin
        ]

    # -------------------------------------------------------------------- when

    def lag(self, begin: float, end: float) -> float:
        """Seconds that this machine was late by in all in that time."""
        return sum(late for at, late in self._lags if begin - 1 <= at <= end + 1)

    def handed_over(self, fault: Record) -> float:
        """When what a fault of a worker took from it is to run elsewhere, at the latest."""
        bound = {
            "worker.kill": self.bounds.kill,
            "worker.stop": self._silence + self.bounds.silence,
            "worker.term": self.bounds.term,
        }[fault["kind"]]
        latest: float = fault["at"] + bound
        if fault["kind"] != "worker.term":
            for other in self.over(fault["at"] - DEAF, latest, *DEAFENING):
                # Those who watch are deaf then: what they have seen counts anew.
                latest = max(latest, other["until"] + DEAF + bound)
            for other in self.over(fault["at"], latest, "other."):
                # The threads of the other workers wait for the second layer.
                latest = max(latest, other["until"] + bound)
        return latest + self.lag(fault["at"], latest)

    def over_at(self, fault: Record) -> float:
        """When nobody has to wait because of ``fault`` any more, at the latest."""
        kind = fault["kind"]
        if kind.startswith("worker."):
            return self.handed_over(fault)
        bound = self.bounds.interface if kind.startswith("interface.") else self.bounds.store
        return float(fault["until"]) + bound

    def due(self, asked: float) -> tuple[float, list[Record]]:
        """When an answer to what was asked then is due, and the faults that it may wait for."""
        due = asked + self.bounds.usual
        met: list[Record] = []
        for fault in self.faults:
            if fault["at"] > due:
                break
            over_at = self.over_at(fault)
            if over_at >= asked:
                met.append(fault)
                due = max(due, over_at)
        return due + self.lag(asked, due), met


def names(faults: Iterable[Record]) -> str:
    """Faults, for people."""
    return ", ".join(f"{fault['kind']} at {fault['at']:.1f}" for fault in faults) or "no fault"
