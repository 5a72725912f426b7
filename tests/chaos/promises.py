"""What was promised to those who speak: sockets, requests, jobs, groups. No I/O happens here.

From ``checker``, with the evidence; on to ``counting`` for each message. A socket's message
has an answer and all its effects, or (its socket or its process having died) none.
"""

from collections import Counter

from tests.chaos.counting import count
from tests.chaos.timeline import SLACK, Record, Timeline
from tests.chaos.verdict import Effects, Evidence, Verdict

CHAT = Counter({"first": 1, "second": 1, "group": 1})
SAID = Counter({"said": 1})
PAGE = Counter({"page": 2})  # On the channel and through the group.
JOB = Counter({"job": 2})
CHAINED = Counter({"chained": 1})

HANDSHAKE = 4.0  # Seconds that one may take.
PARTING = 12.0  # Seconds until the disconnect of a socket was run, whoever died.
ARRIVAL = 2.0  # Seconds that one member may hear something later than another.


def sockets(evidence: Evidence, effects: Effects, timeline: Timeline, verdict: Verdict) -> None:
    """Every message of a socket: one answer, in order, and its effects."""
    for connection in evidence["connections"]:
        of = connection["of"]
        heard: dict[int, float] = {}
        before = 0
        for number, at in connection["answers"]:
            if number in heard:
                verdict.broken("answered twice", f"{of} {number} at {at:.2f}")
            elif number < before:
                verdict.broken("reordered", f"{of}: the answer {number} after {before}")
            before = max(before, number)
            heard.setdefault(number, at)
        for at, why, said in connection["wrong"]:
            verdict.broken(f"wrong {why}", f"{of} at {at:.2f} got {said!r:.120}")
        mortal = not connection["ours"] or connection.get("abrupt") or connection.get("early")
        wanted = SAID if connection["path"] == "room" else CHAT
        verdict.counts["messages"] += len(connection["sent"])
        for number, at in connection["sent"]:
            if number not in heard and not mortal:
                verdict.broken("unanswered", f"{of} {number}, said at {at:.2f}")
            count(
                f"{of} {number}",
                effects.get((of, number), []),
                wanted,
                span=(at, heard.get(number) or timeline.due(at)[0]),
                heard=heard.get(number),
                optional=number not in heard,
                interface=connection["interface"],
                timeline=timeline,
                verdict=verdict,
            )
        _in_order(of, effects, connection, timeline, verdict)
        if not connection["ours"]:
            _dropped(connection, timeline, verdict)


def _in_order(
    of: str, effects: Effects, connection: Record, timeline: Timeline, verdict: Verdict
) -> None:
    """What a connection's messages did to the channel, in the order of the messages."""
    kind = "said" if connection["path"] == "room" else "first"
    done = sorted(
        (effect["order"], number, said, effect["at"])
        for number, said in connection["sent"]
        for effect in effects.get((of, number), [])
        if effect["e"] == kind
    )
    before = 0
    for _, number, said, at in done:
        if number < before and not timeline.losses(said, at):
            verdict.broken("reordered", f"{of}: the effects of {number} after those of {before}")
        before = max(before, number)


def sessions(evidence: Evidence, effects: Effects, timeline: Timeline, verdict: Verdict) -> None:
    """A consumer that counts in its channel session counts every answered message, once."""
    for connection in evidence["connections"]:
        before, since = 0, connection["opened"]
        for number, count_, at in connection["counts"]:
            if count_ != before + 1:
                what = f"{connection['of']} {number} has the count {count_} after {before}"
                _or_named(verdict, "session", what, timeline.losses(since, at))
            before, since = count_, at
        verdict.counts["counted in sessions"] += len(connection["counts"])


def _dropped(connection: Record, timeline: Timeline, verdict: Verdict) -> None:
    closed = connection["closed"] or 0.0
    faults = [
        fault
        for fault in timeline.over(closed - SLACK, closed, "interface.")
        if fault["target"] == connection["interface"]
    ]
    if not faults:
        verdict.broken(
            "dropped", f"the socket {connection['of']} at {closed:.2f} with {connection['code']}"
        )


def lives(evidence: Evidence, effects: Effects, timeline: Timeline, verdict: Verdict) -> None:
    """Each committed connect is followed by exactly one disconnect."""
    for connection in evidence["connections"]:
        of = connection["of"]
        opened, closed = connection["opened"], connection["closed"] or 0.0
        for number, word, span in (
            (0, "connect", (opened - HANDSHAKE, opened)),
            (-1, "disconnect", (closed, closed + PARTING)),
        ):
            count(
                f"{of} {word}",
                effects.get((of, number), []),
                Counter({word: 1}),
                span=span,
                heard=None,
                optional=False,
                timeline=timeline,
                verdict=verdict,
            )
        verdict.counts["connections"] += 1
    for attempt in evidence["refused"]:
        # Nobody was let in, but a consumer may have heard of it: then of the end, too.
        connects = effects.get((attempt["of"], 0), [])
        ends = effects.get((attempt["of"], -1), [])
        losses = timeline.losses(attempt["at"], attempt["until"] + PARTING)
        if len(connects) != len(ends) and not losses:
            verdict.broken(
                "lives", f"{attempt['of']}: {len(connects)} connects, {len(ends)} disconnects"
            )


def handshakes(evidence: Evidence, effects: Effects, timeline: Timeline, verdict: Verdict) -> None:
    """No handshake fails by a fault of a worker alone (unless it was stopped for long)."""
    for attempt in evidence["refused"]:
        begin, end = attempt["at"], attempt["until"]
        faults = [
            fault
            for fault in timeline.over(begin, end, "interface.")
            if fault["target"] == attempt["interface"]
        ]
        faults += timeline.over(begin - 10.0, end, "store.", "proxy.", "worker.stop")
        if faults:
            verdict.name("refused", f"the handshake of {attempt['of']} at {begin:.2f}", faults)
        elif timeline.lag(begin, end) < 1.0:
            verdict.broken(
                "handshake", f"{attempt['of']} from {begin:.2f} to {end:.2f}: {attempt['error']}"
            )


def requests(evidence: Evidence, effects: Effects, timeline: Timeline, verdict: Verdict) -> None:
    """Every request gets its own response, or a fault that names why it did not."""
    for request in evidence["requests"]:
        what = f"{request['method']} {request['of']} {request['n']}"
        begin, end = request["at"], request["until"] or float("inf")
        fine = request["status"] == 200
        if fine and not request["right"]:
            verdict.broken("wrong content", f"{what} at {begin:.2f}")
        if not fine:
            faults = [
                fault
                for fault in timeline.over(begin, end, "interface.")
                if fault["target"] == request["interface"]
            ]
            faults += timeline.over(begin - 1.0, end, "store.", "proxy.", "other.")
            # Never run again, or only before its response has begun.
            if request["method"] == "POST" or request.get("kind") == "stream":
                faults += timeline.over(begin - 10.0, end, "worker.kill", "worker.stop")
            if faults:
                verdict.name("not served", what, faults)
            else:
                verdict.broken(
                    "not served",
                    f"{what} at {begin:.2f}: {request['status']} {request.get('error', '')}",
                )
        verdict.counts["requests"] += 1
        if kind := request.get("kind"):
            verdict.counts[f"requests {kind} {'served' if fine else 'failed'}"] += 1
        if kind == "stream":
            continue
        count(
            what,
            effects.get((request["of"], request["n"]), []),
            PAGE,
            span=(begin, end if fine else timeline.due(begin)[0]),
            heard=end if fine else None,
            optional=not fine,
            interface=request["interface"],
            timeline=timeline,
            verdict=verdict,
        )


def jobs(evidence: Evidence, effects: Effects, timeline: Timeline, verdict: Verdict) -> None:
    """What was sent from outside is done once, if its sender was told that it was taken."""
    # A job that three workers died with: each of its runs has had its fault.
    poison = {(dead["of"], dead["n"]) for dead in evidence["dead"] if dead["reason"] == "poison"}
    for job in evidence["jobs"]:
        key = job["of"], job["n"]
        what = f"{job['of']} {job['n']} ({job['result']})"
        verdict.counts["jobs"] += 1
        verdict.counts[f"jobs {job['result']}"] += 1
        seen = effects.get(key, [])
        if seen and job["result"] in ("refused", "full"):
            verdict.broken("refused", f"{what} was done all the same")
        # It lay on its channel until it was done: what a loss took may be this.
        due = timeline.due(job["at"])[0]
        span = (job["at"], seen[0]["at"] if seen else due)
        optional = job["result"] != "ok" or key in poison
        count(
            what, seen, JOB, span=span, heard=None,
            optional=optional, timeline=timeline, verdict=verdict,
        )  # fmt: skip
        if job["n"] % 4 == 0:
            chain = effects.get((f"{job['of']}+", job["n"]), [])
            span = (job["at"], chain[0]["at"] if chain else timeline.due(span[1])[0])
            count(
                f"{what}, passed on", chain, CHAINED, span=span, heard=None,
                optional=not seen, timeline=timeline, verdict=verdict,
            )  # fmt: skip


def broadcasts(evidence: Evidence, effects: Effects, timeline: Timeline, verdict: Verdict) -> None:
    """Every member hears what was said while it was one: once, in each speaker's order."""
    members = [c for c in evidence["connections"] if c["path"] == "room"]
    answered = {c["of"]: dict(c["answers"]) for c in members}
    for member in members:
        heard: set[tuple[str, int]] = set()
        last: dict[str, int] = {}
        for speaker, number, at in member["heard"]:
            losses = timeline.losses(at - PARTING, at)
            if (speaker, number) in heard:
                _or_named(verdict, "heard twice", f"{member['of']}: {speaker} {number}", losses)
            elif number < last.get(speaker, 0):
                _or_named(verdict, "heard late", f"{member['of']}: {speaker} {number}", losses)
            heard.add((speaker, number))
            last[speaker] = max(number, last.get(speaker, 0))
        verdict.counts["broadcasts heard"] += len(heard)
        if not member["ours"] or member["joined"] is None:
            continue
        for speaker in members:
            for number, at in speaker["sent"]:
                if at < member["joined"] or number not in answered[speaker["of"]]:
                    continue
                if (speaker["of"], number) not in heard:
                    what = f"{member['of']} did not hear {speaker['of']} {number} of {at:.2f}"
                    until = answered[speaker["of"]][number] + ARRIVAL
                    _or_named(verdict, "unheard", what, timeline.losses(at, until))


def _or_named(verdict: Verdict, rule: str, what: str, faults: list[Record]) -> None:
    if faults:
        verdict.name(rule, what, faults)
    else:
        verdict.broken(rule, what)
