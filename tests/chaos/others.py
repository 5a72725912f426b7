"""What was promised for sends to a second layer. No I/O happens here.

From ``checker``, with the evidence. A delivery is committed only after the second layer has
answered, so each run whose effects lie on the first layer has left its effect on the second::

    run ──► second layer: its effect, at least once ──answer──► commit: effects on the first

Another run may have left one, too: where a fault explains that it did. What is neither
committed nor run again is a dead letter.
"""

from collections import defaultdict
from itertools import pairwise

from tests.chaos.timeline import Record, Timeline, names
from tests.chaos.verdict import Effects, Evidence, Verdict

SENT = ("job", "chained", "page")  # Effects that go to both layers.
BEFORE = 3.0  # Seconds that a fault may have begun before what it explains.


def sends(evidence: Evidence, effects: Effects, timeline: Timeline, verdict: Verdict) -> None:
    """What a committed run sent to the second layer is there; doubles have their fault."""
    there: dict[tuple[str, int], list[Record]] = defaultdict(list)
    for effect in evidence["others"]:
        there[effect["of"], effect["n"]].append(effect)
    verdict.counts["effects on the second layer"] = len(evidence["others"])
    for (of, number), seen in effects.items():
        sent = {effect["run"] for effect in there[of, number]}
        for effect in seen:
            if effect["e"] in SENT and effect["run"] not in sent:
                verdict.broken(
                    "lost on the second layer",
                    f"{of} {number} {effect['e']} of run {effect['run']} at {effect['at']:.2f}",
                )
    for (of, number), seen in there.items():
        _doubles(f"{of} {number}", seen, timeline, verdict)


def _doubles(what: str, seen: list[Record], timeline: Timeline, verdict: Verdict) -> None:
    for first, second in pairwise(seen):
        faults = timeline.over(
            first["at"] - BEFORE, second["at"], "other.", "worker.", "store.", "proxy."
        )
        if second["run"] in {effect["run"] for effect in seen if effect is not second}:
            verdict.broken("doubled on the second layer", f"{what}: twice by {second['run']}")
        elif faults:
            verdict.name("twice on the second layer", what, faults)
        else:
            verdict.broken("doubled on the second layer", f"{what}: {names(faults)}")


def dead(evidence: Evidence, effects: Effects, timeline: Timeline, verdict: Verdict) -> None:
    """A request that the second layer alone has failed, and that may not run again, is kept."""
    kept = {(letter["of"], letter["n"]): letter["reason"] for letter in evidence["dead"]}
    ran = {(run["of"], run["n"]) for run in evidence["runs"]}
    for request in evidence["requests"]:
        key = request["of"], request["n"]
        if request["status"] != 503 or request["method"] != "POST" or key not in ran:
            continue
        begin, end = request["at"], request["until"]
        if timeline.over(begin - BEFORE, end, "store.", "proxy.", "worker.", "interface."):
            continue
        if kept.get(key) != "unsent" and not timeline.losses(begin, float("inf")):
            verdict.broken("not kept", f"POST {key} at {begin:.2f}: {kept.get(key)}")
    verdict.counts["dead letters, unsent"] = sum(
        letter["reason"] == "unsent" for letter in evidence["dead"]
    )
