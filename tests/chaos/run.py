"""One campaign: a fleet, its clients, its faults, and the verdict.

    python -m tests.chaos.run --seed 7                    the short one, as in `make test`
    python -m tests.chaos.run --seed 7 --break fencing    with one guarantee broken on purpose
    python -m tests.chaos.run --seed 7 --fair             with clients that take turns

::

    schedule ──► faults ──► fleet ◄── clients          (the load)
                    │         │          │
                    └────── evidence ────┘──► checker ──► verdict

Prints the verdict as one JSON object; ends with 0 if it is clean, 1 if a promise was broken.
"""

import argparse
import asyncio
import gzip
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Coroutine
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import redis

from djchan.lanes.thread import WAIT
from djchan.layers import codec
from djchan.layers.redis import RedisChannelLayer, RedisSentinelChannelLayer
from djchan.letters import Letters
from tests.chaos import broken
from tests.chaos.checker import check
from tests.chaos.clients import Browser, Load, Producer, Socket
from tests.chaos.faults import Faults
from tests.chaos.fleet import Fleet, interrupted
from tests.chaos.schedule import SHORT, Profile, schedule
from tests.chaos.store import BASE, PREFIX
from tests.chaos.timeline import Bounds

# Of the short campaign: its interface dies long before the store loses anything, so that
# nothing excuses a disconnect that does not come.
SEED = 13

TICK = 0.05  # Seconds between two looks at how late this machine is.
LATE = 0.1  # Seconds that are worth a note.
LOOK = 5.0  # Seconds between two looks at memory and files.
PARTING = 10.0  # Seconds for clients to close, and for what that does.
SETTLE = 1.5  # Seconds without any effect, after the last answer.
# Seconds for the last deliveries to be taken: of a worker that died they are handed over by then,
# and one that nobody was woken for is still there, since an idle lane checks less often.
TAKEN = 4.0
assert TAKEN < WAIT

Evidence = dict[str, Any]


async def campaign(
    profile: Profile, seed: int, folder: Path, *, broken: str = "", say: Any = None
) -> Evidence:
    """Play the schedule of ``seed``; all that was seen, with times from its beginning."""
    say = say or (lambda text: None)
    fleet = Fleet(profile, folder, seed=seed, broken=broken)
    try:
        await asyncio.to_thread(fleet.start)
        say("the fleet is up")
        return await _play(fleet, profile, seed, say)
    finally:
        await asyncio.to_thread(fleet.clean_up)


async def _play(fleet: Fleet, profile: Profile, seed: int, say: Any) -> Evidence:
    layer = _layer(fleet)
    load = Load([slot.port for slot in fleet.interfaces], profile.pause, seed)
    faults = Faults(fleet)
    await faults.join()
    lags: list[list[float]] = []
    vitals: list[tuple[float, Any]] = []
    errors: list[str] = []
    began = time.monotonic()
    watching = [asyncio.ensure_future(_lags(lags)), asyncio.ensure_future(_vitals(fleet, vitals))]
    talking = [asyncio.ensure_future(run) for run in _clients(load, profile, layer)]
    plan = schedule(seed, profile)
    try:
        errors += await faults.play(plan, began)
        await asyncio.sleep(began + profile.seconds - time.monotonic())
        load.on = False
        say("the load is over; waiting for answers")
        await _until_quiet(fleet, load, profile.patience)
        load.over.set()
        done, late = await asyncio.wait(talking, timeout=PARTING)
        errors += [f"a client failed: {task.exception()!r}" for task in done if task.exception()]
        errors += [f"a client does not end: {task!r:.100}" for task in late]
        quiet = time.monotonic()
        await _until_quiet(fleet, load, PARTING)
        # Copies of what was answered may be there, for which no client waits.
        await _until_taken(fleet)
        vitals.append((time.monotonic(), await asyncio.to_thread(fleet.vitals)))
        say("all is answered; saying goodbye")
        ends = await asyncio.to_thread(fleet.stop)
        # The disconnects of what died at the end, and what the goodbyes gave back.
        await faults.join(leave=True)
    finally:
        for task in (*watching, *talking):
            task.cancel()
        await asyncio.gather(*watching, *talking, return_exceptions=True)
        await layer.aclose()
    faults.note_unplanned()
    with fleet.collector.paused():
        left = _left(fleet.store.port)
        dead = _dead(fleet.store.port)
    with fleet.other_collector.paused():
        left += [f"{name} (second layer)" for name in _left(fleet.other.port)]
    evidence = {
        "seed": seed,
        "long": profile.long,
        "silence": profile.silence,
        "plan": [fault._asdict() for fault in plan],
        "faults": faults.records,
        "connections": load.connections,
        "refused": load.refused,
        "requests": load.requests,
        "jobs": load.jobs,
        "effects": [
            {**effect, "order": order} for order, effect in enumerate(fleet.collector.effects)
        ],
        "others": list(fleet.other_collector.effects),
        "dead": dead,
        "runs": _runs(fleet.runs),
        "lags": lags,
        "vitals": vitals,
        "quiet": quiet,
        "ends": ends,
        "left": left,
        "errors": errors + fleet.collector.errors + fleet.other_collector.errors,
    }
    return _since(evidence, began)


def _clients(load: Load, profile: Profile, layer: Any) -> list[Coroutine[Any, Any, None]]:
    paths = ("chat", "achat")
    return [
        *(Socket(load, f"c{i}", paths[i // 2 % 2], i).run() for i in range(profile.chats)),
        *(Socket(load, f"m{i}", "room", i).run() for i in range(profile.members)),
        *(
            Socket(load, f"v{i}", paths[i % 2], i, life=1 + i % 3).run()
            for i in range(profile.visitors)
        ),
        *(Browser(load, f"h{i}", i).run() for i in range(profile.browsers)),
        *(Producer(load, f"j{i}", layer.asend).run() for i in range(profile.producers)),
    ]


def _layer(fleet: Fleet) -> Any:
    kind = RedisSentinelChannelLayer if fleet.sentinels else RedisChannelLayer
    return kind(**fleet.config)


async def _until_quiet(fleet: Fleet, load: Load, patience: float) -> None:
    """Until everything is answered and no effect has come for a while, or patience ends."""
    deadline = time.monotonic() + patience
    effects, since = -1, time.monotonic()
    while time.monotonic() < deadline:
        now = len(fleet.collector.effects)
        if now != effects or load.waiting():
            effects, since = now, time.monotonic()
        elif time.monotonic() - since > SETTLE:
            return
        await asyncio.sleep(0.1)


async def _until_taken(fleet: Fleet) -> None:
    """Until no delivery waits or is leased; what is there after TAKEN is left behind."""
    deadline = time.monotonic() + TAKEN
    while time.monotonic() < deadline and await asyncio.to_thread(_is_there, fleet.store.port):
        await asyncio.sleep(0.1)


def _is_there(port: int) -> bool:
    with redis.Redis(port=port) as client:
        waiting = client.exists(f"{BASE}n", f"{BASE}odd", f"{BASE}due")
        return bool(waiting) or any(client.scan_iter(f"{BASE}l:*", count=1000))


async def _lags(lags: list[list[float]]) -> None:
    """Note how late a sleeper is woken: that much every process may be late, too."""
    while True:
        before = time.monotonic()
        await asyncio.sleep(TICK)
        late = time.monotonic() - before - TICK
        if late > LATE:
            lags.append([before, late])


async def _vitals(fleet: Fleet, vitals: list[tuple[float, Any]]) -> None:
    while True:
        vitals.append((time.monotonic(), await asyncio.to_thread(fleet.vitals)))
        await asyncio.sleep(LOOK)


def _left(port: int) -> list[str]:
    """What lies in Redis, without the layer's prefix; hashes with their first fields."""
    left = []
    with redis.Redis(port=port) as client:
        for key in client.scan_iter(count=1000):
            if client.pttl(key) >= 0:
                continue  # A bell that was rung for somebody who is gone: it goes by itself.
            name = key.decode().removeprefix(BASE)
            if client.type(key) == b"hash":
                fields = client.hgetall(key)
                if name == "bytes":
                    # The limit stays, and a count of nothing.
                    fields = {field: n for field, n in fields.items() if n != b"0"}
                    fields.pop(b"limit", None)
                    # Dead letters stay, and so do their bytes.
                    fields = {
                        field: n
                        for field, n in fields.items()
                        if field != b"dead" and not field.startswith(b"x:")
                    }
                    if not fields:
                        continue
                name += f" {dict(list(fields.items())[:3])}"
            left.append(name)
    return sorted(left)


def _dead(port: int) -> list[dict[str, Any]]:
    """Which pages and jobs are dead letters, and why."""
    layer = RedisChannelLayer(prefix=PREFIX, hosts=[f"redis://127.0.0.1:{port}/0"])
    letters = Letters(layer)
    found = []
    with closing(layer), closing(letters):
        kept = [letter for name in ("http.request", "jobs") for letter in letters.of(name)]
    for letter in kept:
        request = codec.decode(codec.decode_envelope(letter.payload).frames[0])
        if letter.channel == "jobs":
            found.append({"of": request["of"], "n": request["n"], "reason": letter.reason})
            continue
        kind, of, number = request["path"].strip("/").split("/")
        if kind == "page":
            found.append({"of": of, "n": int(number), "reason": letter.reason})
    return found


def _runs(folder: Path) -> list[dict[str, Any]]:
    runs = []
    for path in folder.iterdir():
        for line in path.read_text().splitlines():
            runs.append(json.loads(line))
    return runs


def _since(evidence: Evidence, began: float) -> Evidence:
    """The same with times that are seconds since the beginning."""
    keys = {"at", "began", "until", "since", "opened", "closed", "joined", "quiet"}

    def shift(item: Any) -> Any:
        if isinstance(item, dict):
            return {
                key: round(value - began, 4)
                if key in keys and isinstance(value, float)
                else shift(value)
                for key, value in item.items()
            }
        return item

    for name in (
        "faults",
        "connections",
        "refused",
        "requests",
        "jobs",
        "effects",
        "others",
        "runs",
    ):
        evidence[name] = [shift(record) for record in evidence[name]]
    for connection in evidence["connections"]:
        for name in ("sent", "answers", "counts", "heard"):
            connection[name] = [
                [*item[:-1], round(item[-1] - began, 4)] for item in connection[name]
            ]
        connection["wrong"] = [[item[0] - began, *item[1:]] for item in connection["wrong"]]
    evidence["lags"] = [[at - began, late] for at, late in evidence["lags"]]
    evidence["vitals"] = [(at - began, found) for at, found in evidence["vitals"]]
    evidence["quiet"] -= began
    return evidence


def play(
    profile: Profile,
    seed: int,
    *,
    broken: str = "",
    bounds: Bounds | None = None,
    raw: Path | None = None,
    say: Any = None,
) -> dict[str, Any]:
    """A campaign in a folder of its own; its verdict. ``raw``: a file for all evidence.

    The folder with the logs is kept when the verdict is not clean, and named in it; and when
    the harness itself has failed.
    """
    folder = Path(tempfile.mkdtemp(prefix="djchan-chaos-"))
    began = time.monotonic()
    keep = True
    try:
        evidence = asyncio.run(campaign(profile, seed, folder, broken=broken, say=say))
        if raw is not None:
            with gzip.open(raw, "wt") as file:
                json.dump(evidence, file)
        verdict = {"seed": seed, "broken": broken, **check(evidence, bounds)}
        verdict["seconds"] = round(time.monotonic() - began, 1)
        keep = not verdict["ok"]
        verdict["logs"] = str(folder) if keep else ""
        return verdict
    except (KeyboardInterrupt, SystemExit):
        keep = False
        raise
    finally:
        if not keep:
            shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.run")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--break", dest="broken", choices=broken.RULES, default="")
    parser.add_argument("--fair", action="store_true", help="clients take turns")
    parser.add_argument("--raw", type=Path, help="a file (.json.gz) for all that was seen")
    options = parser.parse_args()
    interrupted()
    verdict = play(
        replace(SHORT, fair=options.fair),
        options.seed,
        broken=options.broken,
        raw=options.raw,
        say=lambda text: print(text, file=sys.stderr, flush=True),
    )
    print(json.dumps(verdict, indent=1))
    sys.exit(0 if verdict["ok"] else 1)


if __name__ == "__main__":
    main()
