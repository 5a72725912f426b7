"""The checker finds every planted violation, and names what a loss of state may do."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.chaos.checker import check

Evidence = dict[str, Any]

KILLED, OTHER = 101, 102


def effect(of: str, n: int, e: str, at: float, run: str = "r", via: str = "ledger") -> Evidence:
    return {"of": of, "n": n, "e": e, "at": at, "run": f"{run}{n}", "via": via,
            "entry": f"{of}/{n}/{e}/{run}"}  # fmt: skip


def chat_effects(of: str, n: int, at: float, run: str = "r") -> list[Evidence]:
    return [
        effect(of, n, "first", at, run),
        effect(of, n, "second", at, run),
        effect(of, n, "group", at, run, via="tally"),
    ]


def socket(of: str, path: str = "chat", **other: Any) -> Evidence:
    return {
        "of": of, "path": path, "interface": 0, "opened": 0.0, "closed": 50.0, "ours": True,
        "code": 1000, "joined": 0.1, "sent": [], "answers": [], "counts": [],
        "heard": [], "wrong": [], **other,
    }  # fmt: skip


def life(of: str, closed: float = 50.0) -> list[Evidence]:
    return [effect(of, 0, "connect", 0.0), effect(of, -1, "disconnect", closed + 0.1)]


def run(of: str, n: int, at: float, *, attempt: int = 1, pid: int = OTHER) -> Evidence:
    return {"id": f"{of}.{n}", "on": "websocket.receive", "of": of, "n": n, "attempt": attempt,
            "pid": pid, "run": "r", "at": at}  # fmt: skip


@pytest.fixture
def evidence() -> Evidence:
    """A clean campaign: a chat, a room of two, a request, two jobs; one kill, one flush."""
    said: list[Any] = [[1, 10.0], [2, 11.0], [3, 12.0]]
    rooms = ("m0.1", "m1.1")
    seen: Evidence = {
        "faults": [
            {"kind": "worker.kill", "at": 10.9, "until": 10.9, "target": 0, "pid": KILLED},
            {"kind": "store.flush", "at": 30.0, "until": 30.1, "since": 29.9},
        ],
        "connections": [
            socket("c0.1", sent=said, answers=[[n, at + 0.5] for n, at in said],
                   counts=[[n, n, at + 0.5] for n, at in said]),
            *(
                socket(of, "room", sent=[[1, 20.0]], answers=[[1, 20.1]],
                       heard=[[speaker, 1, 20.1] for speaker in rooms])
                for of in rooms
            ),
        ],
        "refused": [],
        "requests": [
            {"of": "h0", "n": 1, "method": "GET", "interface": 0, "at": 15.0, "until": 15.1,
             "status": 200, "right": True},
        ],
        "jobs": [
            {"of": "j0", "n": 4, "at": 16.0, "until": 16.0, "result": "ok"},
            {"of": "j0", "n": 5, "at": 16.0, "until": 16.0, "result": "unknown"},
        ],
        "effects": [
            *life("c0.1"), *life("m0.1"), *life("m1.1"),
            *(each for n, at in said for each in chat_effects("c0.1", n, at + 0.4)),
            *(effect(of, 1, "said", 20.1) for of in rooms),
            effect("h0", 1, "page", 15.1), effect("h0", 1, "page", 15.1, via="tally"),
            effect("j0", 4, "job", 16.1), effect("j0", 4, "job", 16.1, via="tally"),
            effect("j0+", 4, "chained", 16.2),
        ],
        "others": [
            effect("h0", 1, "page", 15.05), effect("j0", 4, "job", 16.05),
            effect("j0+", 4, "chained", 16.15),
        ],
        "dead": [],
        "runs": [
            run("c0.1", 1, 10.1),
            run("c0.1", 2, 10.8, pid=KILLED),
            run("c0.1", 2, 11.4, attempt=2),
            run("c0.1", 3, 12.1),
        ],
        "vitals": [(0.0, {"9": [100, 20]}), (65.0, {"9": [110, 22]}), (130.0, {"9": [120, 21]})],
        "quiet": 120.0, "long": True, "left": ["stats", "tomb", "dead:x"],
        "ends": {"worker 0": 0}, "errors": [],
    }  # fmt: skip
    number(seen)
    return seen


def number(seen: Evidence) -> None:
    for order, each in enumerate(seen["effects"]):
        each["order"] = order


def test_a_clean_campaign_is_clean(evidence: Evidence) -> None:
    verdict = check(evidence)
    assert verdict["ok"], verdict["violations"]
    assert verdict["recovery"]["worker.kill"] == {"times": 1, "max": 0.5}
    assert verdict["counts"]["redelivered"] == 1


def chat(seen: Evidence) -> Evidence:
    found: Evidence = seen["connections"][0]
    return found


def drop(seen: Evidence, of: str, n: int, *kinds: str) -> None:
    seen["effects"] = [
        each
        for each in seen["effects"]
        if not (each["of"] == of and each["n"] == n and (not kinds or each["e"] in kinds))
    ]


def add(seen: Evidence, *more: Evidence) -> None:
    seen["effects"] += more
    number(seen)


def swap_effects(seen: Evidence) -> None:
    drop(seen, "c0.1", 1)
    add(seen, *chat_effects("c0.1", 1, 12.6))


PLANTED: dict[str, Callable[[Evidence], Any]] = {
    "unanswered": lambda seen: chat(seen)["answers"].pop(),
    "answered twice": lambda seen: chat(seen)["answers"].append([3, 12.9]),
    "reordered: c0.1: the answer": lambda seen: chat(seen)["answers"].reverse(),
    "reordered: c0.1: the effects": swap_effects,
    "session: c0.1 3 has the count 2 after 2": lambda seen: chat(seen)["counts"][2].__setitem__(
        1, 2
    ),
    "session: c0.1 2 has the count 3": lambda seen: chat(seen)["counts"][1].__setitem__(1, 3),
    "wrong connection": lambda seen: chat(seen)["wrong"].append([12.0, "connection", {}]),
    "wrong content: c0.1": lambda seen: chat(seen)["wrong"].append([12.0, "content", {}]),
    "wrong content: GET": lambda seen: seen["requests"][0].update(right=False),
    "not served": lambda seen: seen["requests"][0].update(status=503),
    "lost: c0.1 2": lambda seen: drop(seen, "c0.1", 2),
    "partial: c0.1 2": lambda seen: drop(seen, "c0.1", 2, "group"),
    "doubled: c0.1 2": lambda seen: add(seen, *chat_effects("c0.1", 2, 12.7, "again")),
    "doubled: c0.1 2: the entry": lambda seen: add(seen, *chat_effects("c0.1", 2, 12.7)),
    "doubled: GET": lambda seen: add(seen, effect("h0", 1, "page", 15.3, "again")),
    "mixed": lambda seen: seen["effects"][-4].update(run="another"),
    "lost: j0 4": lambda seen: drop(seen, "j0", 4),
    "lost: j0 4 (ok), passed on": lambda seen: drop(seen, "j0+", 4),
    "doubled: j0 4": lambda seen: add(seen, effect("j0", 4, "job", 17.0, "again")),
    "partial: j0 5": lambda seen: add(seen, effect("j0", 5, "job", 17.0)),
    "refused": lambda seen: seen["jobs"][0].update(result="refused"),
    "lost: c0.1 disconnect": lambda seen: drop(seen, "c0.1", -1),
    "doubled: c0.1 disconnect": lambda seen: add(
        seen, effect("c0.1", -1, "disconnect", 51.0, "again")
    ),
    "lost: c0.1 connect": lambda seen: drop(seen, "c0.1", 0),
    "lives": lambda seen: [
        seen["refused"].append(attempt(11.0)),
        seen["effects"].append(effect("c9.1", 0, "connect", 11.0)),
    ],
    "handshake": lambda seen: seen["refused"].append(attempt(11.0)),
    "dropped": lambda seen: chat(seen).update(ours=False, closed=40.0),
    "unheard": lambda seen: seen["connections"][1]["heard"].pop(),
    "heard twice": lambda seen: seen["connections"][1]["heard"].append(["m0.1", 1, 20.3]),
    "run again": lambda seen: seen["runs"].append(run("c0.1", 3, 12.2)),
    "run again: websocket.receive c0.1 3": lambda seen: seen["runs"][3].update(attempt=2, at=70.0),
    "hand-over": lambda seen: seen["runs"][2].update(at=14.5),
    "late": lambda seen: chat(seen)["answers"][2].__setitem__(1, 18.0),
    "left behind: q:jobs": lambda seen: seen["left"].append("q:jobs"),
    "end: worker 0": lambda seen: seen["ends"].update({"worker 0": 1}),
    "files": lambda seen: seen["vitals"][2][1]["9"].__setitem__(1, 60),
    "memory": lambda seen: seen["vitals"][2][1]["9"].__setitem__(0, 140),
    "lost on the second layer: j0 4": lambda seen: seen["others"].pop(1),
    "doubled on the second layer: j0 4: no fault": lambda seen: seen["others"].append(
        effect("j0", 4, "job", 23.0, "again")
    ),
    "doubled on the second layer: j0 4: twice": lambda seen: seen["others"].append(
        effect("j0", 4, "job", 16.06)
    ),
    "not kept": lambda seen: [
        seen["requests"].append(refused_by_the_second_layer()),
        seen["faults"].append({"kind": "other.away", "at": 62.0, "until": 66.0}),
        seen["runs"].append(run("h0", 3, 63.0)),
    ],
    "harness": lambda seen: seen["errors"].append("something did not work"),
}


def refused_by_the_second_layer() -> Evidence:
    return {"of": "h0", "n": 3, "method": "POST", "interface": 0, "at": 63.0, "until": 64.6,
            "status": 503, "right": False}  # fmt: skip


def attempt(at: float) -> Evidence:
    return {"of": "c9.1", "interface": 0, "at": at, "until": at + 0.1, "error": "403"}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_violation_is_found(planted: str, evidence: Evidence) -> None:
    PLANTED[planted](evidence)
    verdict = check(evidence)
    assert not verdict["ok"]
    assert any(found.startswith(planted) for found in verdict["violations"]), verdict["violations"]


def test_a_frame_whose_session_could_not_be_read_was_put_off(evidence: Evidence) -> None:
    """It runs for the second time, and has left no trace of a first one, which did not begin."""
    stopped = {"kind": "worker.stop", "at": 50.0, "until": 55.0, "target": 1, "pid": OTHER}
    evidence["faults"].append(stopped)
    evidence["runs"][3].update(attempt=2, at=70.0)
    assert any(found.startswith("hand-over") for found in check(evidence)["violations"])

    evidence["faults"].append({"kind": "proxy.lossy", "at": 68.9, "until": 69.2})
    verdict = check(evidence)
    assert verdict["ok"], verdict["violations"]
    assert verdict["counts"]["run again for its session"] == 1


def around_the_flush(seen: Evidence) -> Evidence:
    """The same campaign, with a flush in the middle of what the chat says."""
    seen = copy.deepcopy(seen)
    seen["faults"][1].update(at=11.2, until=11.3, since=11.1)
    return seen


def test_what_a_flush_takes_is_named(evidence: Evidence) -> None:
    seen = around_the_flush(evidence)
    drop(seen, "c0.1", 2)
    verdict = check(seen)
    assert verdict["ok"], verdict["violations"]
    assert any("missing: c0.1 2" in name and "store.flush" in name for name in verdict["named"])


def test_a_flush_excuses_nothing_that_was_over_before(evidence: Evidence) -> None:
    seen = around_the_flush(evidence)
    drop(seen, "c0.1", 1)
    chat(seen)["answers"][0][1] = 10.2
    assert any("lost: c0.1 1" in found for found in check(seen)["violations"])


def test_after_a_loss_only_what_nobody_had_heard_of_is_done_again(evidence: Evidence) -> None:
    seen = around_the_flush(evidence)
    add(seen, *chat_effects("c0.1", 2, 11.45, "again"))
    verdict = check(seen)  # Its answer came at 11.5, after the flush.
    assert verdict["ok"], verdict["violations"]
    assert any(name.startswith("done again: c0.1 2") for name in verdict["named"])
    chat(seen)["answers"][1][1] = 11.15
    assert any("doubled: c0.1 2" in found for found in check(seen)["violations"])


def test_an_entry_that_an_older_store_gives_back_is_named(evidence: Evidence) -> None:
    seen = around_the_flush(evidence)
    seen["faults"][1]["kind"] = "store.older"
    add(seen, *chat_effects("c0.1", 2, 11.45))
    verdict = check(seen)
    assert verdict["ok"], verdict["violations"]
    assert any(name.startswith("taken again") for name in verdict["named"])


def test_a_socket_of_a_killed_interface_may_lose_its_last_words_whole(evidence: Evidence) -> None:
    seen = evidence
    fault = {"kind": "interface.kill", "at": 40.0, "until": 41.0, "target": 0, "pid": 7}
    seen["faults"].append(fault)
    chat(seen).update(ours=False, closed=40.1)
    chat(seen)["sent"].append([4, 39.9])
    seen["effects"][1]["at"] = 42.0
    verdict = check(seen)
    assert verdict["ok"], verdict["violations"]
    add(seen, *chat_effects("c0.1", 4, 40.0)[:2])
    assert any("partial: c0.1 4" in found for found in check(seen)["violations"])
    chat(seen)["interface"] = 1
    assert any("dropped" in found for found in check(seen)["violations"])


def test_deaf_observers_have_more_time(evidence: Evidence) -> None:
    evidence["runs"][2]["at"] = 14.5
    cut = {"kind": "proxy.cut", "at": 10.0, "until": 10.0}
    evidence["faults"].append(cut)
    assert check(evidence)["ok"]


def test_a_late_machine_is_taken_into_account(evidence: Evidence) -> None:
    evidence["runs"][2]["at"] = 14.5
    evidence["lags"] = [[12.0, 0.8]]
    assert check(evidence)["ok"]


def test_a_new_run_of_redis_makes_interfaces_repeat_themselves(evidence: Evidence) -> None:
    evidence["runs"].append(run("c0.1", 3, 13.0))
    assert not check(evidence)["ok"]
    evidence["faults"].append({"kind": "store.kill", "at": 11.6, "until": 11.8})
    assert check(evidence)["ok"]
    job = run("j0", 4, 16.1)
    evidence["runs"] += [{**job, "on": "jobs"}, {**job, "on": "jobs", "at": 16.5}]
    assert any("jobs j0 4" in found for found in check(evidence)["violations"])


def test_a_zombie_ends_what_it_had_begun_and_begins_nothing(evidence: Evidence) -> None:
    zombie = {**run("c0.1", 3, 16.0, pid=103), "began": 11.8}
    evidence["runs"].append(zombie)
    assert not check(evidence)["ok"]
    evidence["faults"].append(
        {"kind": "worker.stop", "at": 11.9, "until": 15.9, "target": 1, "pid": 103}
    )
    assert check(evidence)["ok"]
    zombie["began"] = 15.95  # It has looked at nothing when it woke up.
    assert any("c0.1 3" in found for found in check(evidence)["violations"])


def test_a_zombie_that_begins_what_ran_elsewhere_is_found_whatever_else_happened(
    evidence: Evidence,
) -> None:
    stopped = {"kind": "worker.stop", "at": 11.9, "until": 15.9, "target": 1, "pid": 103}
    evidence["faults"] += [stopped, {"kind": "store.kill", "at": 15.0, "until": 15.2}]
    elsewhere = next(each for each in evidence["runs"] if each["id"] == run("c0.1", 3, 0.0)["id"])
    elsewhere.update(at=15.3, attempt=2)
    zombie = {**run("c0.1", 3, 15.95, pid=103), "began": 15.92}
    evidence["runs"].append(zombie)
    assert any(found.startswith("woken: ") for found in check(evidence)["violations"])
    zombie["began"] = 11.8
    assert not any(found.startswith("woken: ") for found in check(evidence)["violations"])


def test_a_job_that_three_workers_died_with_is_a_dead_letter(evidence: Evidence) -> None:
    drop(evidence, "j0", 4)
    drop(evidence, "j0+", 4)
    evidence["dead"].append({"of": "j0", "n": 4, "reason": "poison"})
    verdict = check(evidence)
    assert verdict["ok"], verdict["violations"]


def test_what_the_second_layer_does_not_take_is_kept_or_run_again(evidence: Evidence) -> None:
    seen = evidence
    seen["faults"].append({"kind": "other.away", "at": 62.0, "until": 66.0})
    seen["requests"].append(refused_by_the_second_layer())
    seen["dead"].append({"of": "h0", "n": 3, "reason": "unsent"})
    again = {**run("j0", 9, 62.5), "on": "jobs"}
    seen["runs"] += [run("h0", 3, 63.0), again, {**again, "at": 66.2, "attempt": 2}]
    seen["others"] += [effect("j0", 9, "job", 63.0), effect("j0", 9, "job", 66.3, "again")]
    verdict = check(seen)
    assert verdict["ok"], verdict["violations"]
    assert any(name.startswith("twice on the second layer: j0 9") for name in verdict["named"])
