"""What runs, times and leftovers must look like. No I/O happens here.

From ``checker``, with the evidence: every run after the first has its fault and comes in
time, and when all have said goodbye nothing is left.
"""

from collections import defaultdict

from tests.chaos.timeline import LOSSES, Record, Timeline, names
from tests.chaos.verdict import Effects, Evidence, Verdict

# What may lie in Redis when all processes have said goodbye, behind the layer's prefix.
LASTING = ("dead:", "deads", "stats", "tomb", "token", "hist", "routed", "serial")

# Whose consumers send to the second layer.
SENDERS = ("jobs", "chained", "http.request")

# Faults during which a worker has no answer of its layer, and so no session for a frame. Such a
# frame is put off, for a second each time.
AWAY = ("proxy.", "store.")
PUT_OFF = 2.0
UNANSWERED = 10.0  # Seconds that a delivery may have waited before its first run.
WAKING = 0.5  # Seconds in which a worker that wakes up goes on with what it had claimed.
GROWTH = 1.2  # Resident memory at the end, to that after the first minute.
FILES = 12  # Open files at the end, beyond those at the beginning.


def runs(evidence: Evidence, effects: Effects, timeline: Timeline, verdict: Verdict) -> None:
    """Every run after the first one has its fault, and comes within its bound."""
    runs: dict[str, list[Record]] = defaultdict(list)
    for run in evidence["runs"]:
        runs[run["id"]].append(run)
    for message, all_runs in runs.items():
        all_runs.sort(key=lambda run: run["at"])
        _woken(all_runs, timeline, verdict)
        for index, run in enumerate(all_runs):
            if index == 0 and run["attempt"] == 1:
                continue
            verdict.counts["redelivered"] += 1
            before = all_runs[index - 1] if index else None
            first = all_runs[0]["at"]
            _explain(message, before, run, first=first, timeline=timeline, verdict=verdict)


def _woken(all_runs: list[Record], timeline: Timeline, verdict: Verdict) -> None:
    """A worker that was stopped begins nothing, when it wakes up, that ran elsewhere meanwhile."""
    for run in all_runs:
        began = run.get("began", run["at"])
        for fault in timeline.faults:
            woke = fault["until"]
            if fault["kind"] != "worker.stop" or fault["pid"] != run["pid"]:
                continue
            if woke < began < woke + WAKING and any(
                fault["at"] < other["at"] < woke and other["attempt"] > run["attempt"]
                for other in all_runs
            ):
                verdict.broken(
                    "woken",
                    f"{run['on']} {run['of']} {run['n']} began at {began:.2f}, though another "
                    f"worker had run it during {names([fault])}",
                )


def _explain(
    message: str,
    before: Record | None,
    run: Record,
    *,
    first: float,
    timeline: Timeline,
    verdict: Verdict,
) -> None:
    at = run["at"]
    begin = before["at"] if before else at - 30.0
    faults = [
        fault
        for fault in timeline.over(begin, at, "worker.kill", "worker.stop")
        if before is None or fault["pid"] == before["pid"]
    ]
    if faults:
        fault = faults[-1]
        verdict.recovery[fault["kind"]].append(at - fault["at"])
        due = timeline.handed_over(fault)
        if at > due and before is None and timeline.over(at - PUT_OFF, at, *AWAY):
            # No consumer had begun: the session could not be read, and the frame was put off.
            verdict.counts["run again for its session"] += 1
        elif at > due and not timeline.losses(begin, at):
            verdict.broken(
                "hand-over",
                f"{run['on']} {run['of']} {run['n']} ran again {at - fault['at']:.1f} s after "
                f"{names([fault])}; {due - fault['at']:.1f} s are its bound",
            )
        return
    if any(
        fault["pid"] == run["pid"] and run.get("began", at) <= fault["until"]
        for fault in timeline.over(first - UNANSWERED, at, "worker.stop")
    ):
        return  # A zombie, with what it had begun when it was stopped. It begins nothing more.
    losses = timeline.losses(begin, at)
    if run["on"].startswith(("websocket.", "http.")):
        # Interfaces say again what was not answered when they find another run of Redis; the
        # second copy may run at any time, and have no effects.
        losses += timeline.over(first - UNANSWERED, at, "store.kill", *LOSSES)
    if losses:
        verdict.name("run again", f"{run['on']} {run['of']} {run['n']}", losses)
        return
    if run["on"] in SENDERS and timeline.over(begin - 1.0, at, "other."):
        verdict.counts["run again for another layer"] += 1
        return
    if timeline.lag(begin, at) < 1.0:
        verdict.broken(
            "run again",
            f"{run['on']} {run['of']} {run['n']} ({message}) at {at:.2f}, attempt "
            f"{run['attempt']}, without a fault; the run before: {before and before['at']}",
        )


def times(evidence: Evidence, effects: Effects, timeline: Timeline, verdict: Verdict) -> None:
    """Every answer comes in time: usual, or that of the faults that it has met."""
    waits = [
        (f"{c['of']} {number}", said, heard)
        for c in evidence["connections"]
        for (number, said), (_, heard) in zip(c["sent"], c["answers"], strict=False)
    ]
    waits += [
        (f"{r['method']} {r['of']} {r['n']}", r["at"], r["until"])
        for r in evidence["requests"]
        if r["until"] and r["status"] == 200
    ]
    for what, said, heard in waits:
        if heard - said > timeline.bounds.usual:
            due, met = timeline.due(said)
            if heard > due:
                verdict.broken(
                    "late", f"{what} waited {heard - said:.1f} s from {said:.2f}: {names(met)}"
                )
        for fault in timeline.over(said, heard, slack=0.0):
            if fault["kind"].startswith(("store.", "proxy.")) and heard > fault["until"] > said:
                verdict.recovery[fault["kind"]].append(heard - fault["until"])


def left(evidence: Evidence, effects: Effects, timeline: Timeline, verdict: Verdict) -> None:
    """Nothing stays in Redis but what is to last."""
    for key in evidence["left"]:
        if not key.startswith(LASTING):
            verdict.broken("left behind", key)


def ends(evidence: Evidence, effects: Effects, timeline: Timeline, verdict: Verdict) -> None:
    """Who is told to end does so, with 0."""
    ends = dict(evidence.get("ends", {}))
    for fault in timeline.faults:
        if "status" in fault:
            ends[names([fault])] = fault["status"]
    for who, status in ends.items():
        if status != 0:
            verdict.broken("end", f"{who} ended with {status}")


def vitals(evidence: Evidence, effects: Effects, timeline: Timeline, verdict: Verdict) -> None:
    """Neither memory nor open files grow. Samples: (when, {pid: [bytes, files]})."""
    lives: dict[str, list[tuple[float, list[int]]]] = defaultdict(list)
    for at, sample in evidence.get("vitals", ()):
        for pid, found in sample.items():
            lives[pid].append((at, found))
    for pid, life in lives.items():
        (born, (_, files)), (died, (size, open_files)) = life[0], life[-1]
        if open_files > files + FILES and evidence["quiet"] <= died:
            verdict.broken("files", f"process {pid}: {files} open files, then {open_files}")
        settled = next((found for at, found in life if at - born >= 60.0), None)
        if evidence.get("long") and settled is not None and size > GROWTH * settled[0]:
            verdict.broken(
                "memory", f"process {pid}: {settled[0]} bytes after a minute, then {size}"
            )
