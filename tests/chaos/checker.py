"""What was seen, against what was promised: evidence to a verdict. No I/O happens here.

From ``run``, with all that clients, workers and the collector saw, and the faults that there
were; on to whoever reads the verdict::

    evidence ──► promises, traces ──► violations   a promise was broken: the campaign failed
                        │        └──► named        what a loss of state may do, with its fault
                        └── timeline: what a fault explains, and for how long

The promises are those of docs/explanation/delivery.md.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from tests.chaos import others, promises, traces
from tests.chaos.timeline import Bounds, Record, Timeline
from tests.chaos.verdict import Effects, Evidence, Verdict

RULES: tuple[Callable[[Evidence, Effects, Timeline, Verdict], None], ...] = (
    promises.sockets,
    promises.sessions,
    promises.lives,
    promises.handshakes,
    promises.requests,
    promises.jobs,
    promises.broadcasts,
    others.sends,
    others.dead,
    traces.runs,
    traces.times,
    traces.left,
    traces.ends,
    traces.vitals,
)


def check(evidence: Evidence, bounds: Bounds | None = None) -> dict[str, Any]:
    """The verdict on a campaign: see the module's text."""
    timeline = Timeline(
        evidence["faults"],
        silence=evidence.get("silence", 3.0),
        lags=evidence.get("lags", ()),
        bounds=bounds,
    )
    verdict = Verdict()
    effects = _by_message(evidence["effects"])
    for rule in RULES:
        rule(evidence, effects, timeline, verdict)
    verdict.counts.update(fault["kind"] for fault in evidence["faults"])
    verdict.counts["effects"] = len(evidence["effects"])
    verdict.counts["runs"] = len(evidence["runs"])
    for error in evidence.get("errors", ()):
        verdict.broken("harness", error)
    return verdict.result()


def _by_message(effects: list[Record]) -> Effects:
    found: Effects = defaultdict(list)
    for effect in effects:
        found[effect["of"], effect["n"]].append(effect)
    return found
