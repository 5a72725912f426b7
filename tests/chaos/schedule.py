"""Which faults happen when: a seed and a profile to a list. No I/O happens here.

From ``run``, on to ``faults``, which makes them happen. The same seed and profile give the
same list, so a run that failed can be had again::

    Profile (how often each kind) ──shuffled by the seed──► [Fault(at, kind, …), …]

Faults of workers may overlap anything; those of the store and of its proxy keep out of each
other's way, so that what each of them broke can be told, and there are calm times without
them: who has just lost Redis is slower to tell that somebody else has died. Those of the second
layer are spread over the run, one after the other.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

# What each kind is: the worker, interface, store (Redis) or proxy in front of it.
KINDS = (
    "worker.kill",  # SIGKILL; another one is started.
    "worker.term",  # SIGTERM; another one is started at once.
    "worker.stop",  # SIGSTOP for longer than the silence limit, then SIGCONT: a zombie.
    "interface.kill",  # SIGKILL, and started again on the same port.
    "interface.term",  # SIGTERM, and started again.
    "store.kill",  # SIGKILL, and started again with its AOF.
    "store.flush",  # FLUSHALL.
    "store.oom",  # It refuses writes for a while.
    "store.older",  # SIGKILL, and started again from a copy of the AOF of some time ago.
    "store.failover",  # SIGKILL of the master; Sentinel promotes its replica.
    "proxy.cut",  # Every connection to the store ends.
    "proxy.hold",  # Nothing passes for a while.
    "proxy.slow",  # Everything passes later for a while.
    "proxy.lossy",  # Each request has a small chance that its answer is lost.
    "proxy.lose",  # The next requests of one kind are forwarded, and their answers lost.
    "other.kill",  # The Redis of the second layer: SIGKILL, and started again with its AOF.
    "other.cut",  # Every connection to it ends.
    "other.away",  # It cannot be reached for a while.
    "other.lose",  # Sends to it are applied, and their answers lost.
)

# Of requests whose answers are lost: djchan's scripts, and the read of an inbox.
LOSABLE = ("commit", "claim", "send", "inbox", "beat", "pop", "part")

# Seconds until the next fault of the store or proxy may begin.
_ROOM: Mapping[str, float] = {
    "store.kill": 3.0,
    "store.flush": 2.5,
    "store.oom": 2.5,
    "store.older": 4.5,
    "store.failover": 10.0,
    "proxy.cut": 1.5,
    "proxy.hold": 1.5,
    "proxy.slow": 2.0,
    "proxy.lossy": 2.5,
    "proxy.lose": 1.0,
}


class Fault(NamedTuple):
    """``at``: seconds after the load began. ``target``: which worker or interface, modulo
    how many there are. ``seconds``: how long it lasts. ``word``: what else it needs."""

    at: float
    kind: str
    target: int = 0
    seconds: float = 0.0
    word: str = ""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A campaign. ``counts``: how often each kind of fault happens in ``seconds``."""

    seconds: float
    counts: Mapping[str, int]
    workers: int = 3
    interfaces: int = 2
    sentinels: int = 0
    chats: int = 8  # Sockets that speak, …
    members: int = 4  # … that are in a group and broadcast, …
    visitors: int = 2  # … that come and go; …
    browsers: int = 2  # … HTTP clients, …
    producers: int = 1  # … and senders to a custom channel from outside.
    pause: float = 0.12  # Seconds between two messages of one client, on average.
    silence: float = 3.0  # worker_silence.
    patience: float = 10.0  # For the last answers, when the load has ended.
    long: bool = False  # Also look at memory, which takes minutes.
    fair: bool = False  # Clients take turns, each a source of its own.
    # Each cycle begins with a calm time, in seconds; 0: the whole run is one cycle.
    cycle: float = 0.0
    calm: float = 0.0


SHORT = Profile(
    seconds=34.0,
    calm=8.0,
    counts={
        "worker.kill": 6,
        "worker.term": 2,
        "worker.stop": 2,
        "interface.kill": 1,
        "store.kill": 1,
        "store.flush": 1,
        "store.oom": 1,
        "store.older": 1,
        "proxy.cut": 1,
        "proxy.hold": 1,
        "proxy.slow": 1,
        "proxy.lossy": 1,
        "proxy.lose": 14,
        "other.kill": 1,
        "other.cut": 1,
        "other.away": 1,
        "other.lose": 3,
    },
)


def soak(minutes: float) -> Profile:
    """The long campaign: every fault many times, in proportion to ``minutes``."""
    share = minutes / 20
    counts = {
        "worker.kill": 130,
        "worker.term": 20,
        "worker.stop": 26,
        "interface.kill": 10,
        "interface.term": 6,
        "store.kill": 13,
        "store.flush": 5,
        "store.oom": 8,
        "store.older": 8,
        "proxy.cut": 16,
        "proxy.hold": 12,
        "proxy.slow": 10,
        "proxy.lossy": 12,
        "proxy.lose": 60,
        "other.kill": 8,
        "other.cut": 10,
        "other.away": 8,
        "other.lose": 30,
    }
    return Profile(
        seconds=60 * minutes,
        counts={kind: max(1, round(count * share)) for kind, count in counts.items()},
        workers=4,
        chats=12,
        members=4,
        visitors=3,
        browsers=3,
        producers=2,
        pause=0.18,
        patience=60.0,
        long=True,
        cycle=60.0,
        calm=22.0,
    )


def sentinel(minutes: float) -> Profile:
    """Master, replica and three sentinels; the master dies again and again. Clients take turns."""
    shares = {
        "worker.kill": 4,
        "worker.stop": 1,
        "store.failover": 2,
        "other.kill": 1,
        "other.cut": 1,
        "other.away": 0.5,
        "other.lose": 2,
    }
    return Profile(
        seconds=60 * minutes,
        counts={kind: max(1, round(share * minutes)) for kind, share in shares.items()},
        sentinels=3,
        patience=60.0,
        fair=True,
    )


def schedule(seed: int, profile: Profile) -> list[Fault]:
    """The faults of a campaign, by time."""
    rng = random.Random(seed)
    faults = [
        *_store_faults(rng, profile),
        *_process_faults(rng, profile),
        *_other_faults(rng, profile),
    ]
    return sorted(faults)


def _of(profile: Profile, *families: str) -> list[str]:
    for kind in profile.counts:
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is no fault; there are: {', '.join(KINDS)}.")
    return [
        kind
        for kind in KINDS
        if kind.partition(".")[0] in families
        for _ in range(profile.counts.get(kind, 0))
    ]


def _store_faults(rng: random.Random, profile: Profile) -> list[Fault]:
    kinds = _of(profile, "store", "proxy")
    if not kinds:
        return []
    rng.shuffle(kinds)
    # The same requests as often as each other, in another order each time.
    losable = [LOSABLE[i % len(LOSABLE)] for i in range(kinds.count("proxy.lose"))]
    rng.shuffle(losable)
    cycle = profile.cycle or profile.seconds
    storm = cycle - profile.calm  # In each cycle.
    # Where there is less room than they want, they come as close as that.
    scale = (profile.seconds / cycle * storm - 1.0) / sum(_ROOM[kind] for kind in kinds)
    faults, at = [], 0.0
    for kind in kinds:
        share = _ROOM[kind] * scale
        begin = at + rng.uniform(0.0, max(0.0, min(share - _ROOM[kind], share * 0.5)))
        begin += profile.calm * (begin // storm + 1)
        word = losable.pop() if kind == "proxy.lose" else ""
        faults.append(Fault(round(begin, 3), kind, 0, _lasting(rng, kind, profile), word))
        at += share
    return faults


def _process_faults(rng: random.Random, profile: Profile) -> list[Fault]:
    faults = []
    last = profile.seconds - 1.0
    for family, targets in (("worker", profile.workers), ("interface", profile.interfaces)):
        kinds = _of(profile, family)
        rng.shuffle(kinds)
        for index, kind in enumerate(kinds):
            # Spread over the whole run, one in each of its parts.
            part = (last - 2.0) / len(kinds)
            at = 2.0 + part * (index + rng.uniform(0.0, 0.9))
            if kind == "worker.stop":
                at = min(at, max(1.0, last - profile.silence - 5.0))
            lasting = _lasting(rng, kind, profile)
            faults.append(Fault(round(at, 3), kind, rng.randrange(targets), lasting))
    return faults


def _other_faults(rng: random.Random, profile: Profile) -> list[Fault]:
    """One after the other, spread over the run; all are over some seconds before its end."""
    kinds = _of(profile, "other")
    rng.shuffle(kinds)
    part = (profile.seconds - 9.0) / max(1, len(kinds))
    return [
        Fault(
            round(2.0 + part * (index + rng.uniform(0.0, 0.3)), 3),
            kind,
            seconds=_lasting(rng, kind, profile),
        )
        for index, kind in enumerate(kinds)
    ]


def _lasting(rng: random.Random, kind: str, profile: Profile) -> float:
    seconds = {
        "worker.stop": profile.silence + rng.uniform(1.5, 2.5),
        "worker.kill": rng.uniform(0.0, 1.0),  # Until another one is started.
        "interface.kill": rng.uniform(0.0, 0.5),
        "store.kill": rng.uniform(0.1, 0.8),
        "store.failover": 0.0,
        "store.oom": rng.uniform(0.5, 1.2),
        "store.older": rng.uniform(1.0, 2.0),  # How old the copy is.
        "proxy.hold": rng.uniform(0.3, 0.9),
        "proxy.slow": rng.uniform(0.6, 1.2),
        "proxy.lossy": rng.uniform(0.8, 1.5),
        "other.kill": rng.uniform(0.1, 0.8),
        "other.away": 4.0,
    }.get(kind, 0.0)
    return round(seconds, 3)
