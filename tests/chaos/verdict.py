"""What the rules of the checker have found. No I/O happens here.

From ``promises`` and ``traces``, rule by rule; on to ``checker``, which hands it out.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from tests.chaos.timeline import Record, names

SHOWN = 100  # Violations that a verdict spells out.

Evidence = dict[str, Any]
Effects = dict[tuple[str, int], list[Record]]  # By (who said it, number).


class Verdict:
    """What the rules have found so far."""

    def __init__(self) -> None:
        self.violations: list[str] = []
        self.named: list[str] = []
        self.counts: Counter[str] = Counter()
        self.recovery: dict[str, list[float]] = defaultdict(list)

    def broken(self, rule: str, what: str) -> None:
        self.violations.append(f"{rule}: {what}")
        self.counts[f"broken: {rule}"] += 1

    def name(self, rule: str, what: str, faults: Iterable[Record]) -> None:
        """Something that these faults may do."""
        self.named.append(f"{rule}: {what}: {names(faults)}")
        self.counts[f"named: {rule}"] += 1

    def result(self) -> dict[str, Any]:
        recovery = {
            kind: {"times": len(took), "max": round(max(took), 3)}
            for kind, took in sorted(self.recovery.items())
        }
        return {
            "ok": not self.violations,
            "violations": self.violations[:SHOWN],
            "violated": len(self.violations),
            "named": self.named[:SHOWN],
            "counts": dict(sorted(self.counts.items())),
            "recovery": recovery,
        }
