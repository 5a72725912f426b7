"""What lies in an engine, looked at from behind: the same picture of memory and of Redis.

For the state machine test, which compares pictures, and takes an engine back in time.
"""

import copy
from typing import Any, NamedTuple, Protocol

import redis

from djchan.layers.memory.inbox import parse_id
from djchan.layers.memory.links import MemoryEngine
from djchan.layers.memory.queue import Delivery

Owner = tuple[str, str] | None
READ_ALL = "0-0"


class Item(NamedTuple):
    """One delivery."""

    payload: bytes
    attempt: int
    done: int
    owner: Owner


class View(NamedTuple):
    """Empty ones are not in the dictionaries."""

    waiting: dict[str, list[Item]]
    suspects: dict[str, list[Item]]
    parked: dict[str, list[Item]]
    due: list[Item]
    leased: dict[str, dict[int, Item]]  # Worker -> token -> delivery.
    # Process, of the dead too -> connection -> seq, frames of the next.
    floors: dict[str, dict[str, tuple[int, int]]]
    records: dict[str, dict[str, bytes]]
    orphans: dict[str, dict[str, bytes]]
    inboxes: dict[str, list[tuple[str, bytes]]]
    members: list[str]

    def payloads(self) -> list[bytes]:
        """Of all deliveries, wherever they are."""
        found = [
            item.payload
            for part in (self.waiting, self.suspects, self.parked, self.leased)
            for items in part.values()
            for item in (items.values() if isinstance(items, dict) else items)
        ]
        return found + [item.payload for item in self.due]


class Store(Protocol):
    def look(self, channels: tuple[str, ...], processes: list[str]) -> View: ...
    def traces(self, processes: set[str]) -> list[str]: ...
    def snapshot(self) -> Any: ...
    def restore(self, snapshot: Any) -> None: ...


def parse_floor(raw: bytes) -> tuple[int, int]:
    seq, _, frames = raw.decode().partition(".")
    return int(seq), int(frames or 0)


def _filled(pairs: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in pairs.items() if value}


def _item(delivery: Delivery) -> Item:
    return Item(delivery.payload, delivery.attempt, delivery.begun, delivery.owner)


class MemoryStore:
    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine

    def look(self, channels: tuple[str, ...], processes: list[str]) -> View:
        state = self._engine._state
        queues = state.queues._queues
        assert set(queues) <= set(channels)
        known = {p: state.registry.processes[p] for p in processes if p in state.registry.processes}
        orphans = state.records._orphans
        floors = {p: k.floors for p, k in known.items()} | state.registry._left

        def side(name: str) -> dict[str, list[Item]]:
            return _filled({c: [_item(d) for d in getattr(q, name)] for c, q in queues.items()})

        return View(
            side("deliveries"),
            side("suspects"),
            side("parked"),
            [_item(delivery) for _, _, delivery in sorted(state.queues._due)],
            _filled({p: {t: _item(d) for t, d in k.leases.items()} for p, k in known.items()}),
            _filled({p: dict(by) for p, by in floors.items()}),
            _filled({p: {c: d.payload for c, d in k.records.items()} for p, k in known.items()}),
            _filled({p: {c: d.payload for c, d in o.items()} for p, o in orphans.items()}),
            _filled({p: k.inbox.read(parse_id(READ_ALL), trim=False) for p, k in known.items()}),
            sorted(state.groups.processes("g")),
        )

    def traces(self, processes: set[str]) -> list[str]:
        """Where something of these is left, besides what they owe."""
        state = self._engine._state
        places: dict[str, Any] = {
            "processes": state.registry.processes,
            "stale": state.registry._stale,
            "serving": {name for names in state.registry._serving.values() for name in names},
            "groups": {name for names in state.groups._processes.values() for name in names},
        }
        return [place for place, names in places.items() if processes.intersection(names)]

    def snapshot(self) -> Any:
        return copy.deepcopy(self._engine._state)

    def restore(self, snapshot: Any) -> None:
        self._engine._state = copy.deepcopy(snapshot)


class RedisStore:
    def __init__(self, url: str, base: str) -> None:
        self._redis = redis.Redis.from_url(url)
        self._base = base

    def close(self) -> None:
        self._redis.close()

    def look(self, channels: tuple[str, ...], processes: list[str]) -> View:
        base, pipe = self._base, self._redis.pipeline(transaction=False)
        for kind in ("q", "sus", "park"):
            for channel in channels:
                pipe.lrange(f"{base}{kind}:{channel}", 0, -1)
        for kind in ("l", "fl", "rec", "orph"):
            for process in processes:
                pipe.hgetall(f"{base}{kind}:{process}")
        for process in processes:
            pipe.xrange(f"{base}in:{process}")
        pipe.zrange(f"{base}due", 0, -1)
        pipe.hkeys(f"{base}g:g")
        replies = iter(pipe.execute())

        def lists() -> dict[str, list[Item]]:
            return _filled({c: [_parse(entry) for entry in next(replies)] for c in channels})

        def hashes(read: Any) -> dict[str, Any]:
            return _filled({p: read(next(replies)) for p in processes})

        return View(
            lists(),
            lists(),
            lists(),
            leased=hashes(lambda h: {int(t): _parse(entry) for t, entry in h.items()}),
            floors=hashes(lambda h: {c.decode(): parse_floor(n) for c, n in h.items()}),
            records=hashes(lambda h: {c.decode(): _parse_payload(v) for c, v in h.items()}),
            orphans=hashes(lambda h: {c.decode(): _parse_payload(v) for c, v in h.items()}),
            inboxes=hashes(lambda s: [(key.decode(), fields[b"m"]) for key, fields in s]),
            # Those of one time are in the order of their serials; all due ones are of now.
            due=[_parse(entry[16:]) for entry in sorted(next(replies))],
            members=sorted(key[1:].decode() for key in next(replies)),
        )

    def traces(self, processes: set[str]) -> list[str]:
        keys = [key.decode() for key in self._keys()]
        # Bells that were rung go by themselves, after some seconds; what they owe is in look().
        owed = (":orph:", ":fl:", ":bell:")
        places = [key for key in keys if not any(kind in key for kind in owed)]
        sets = [key for key in keys if key.endswith("stale") or "serves:" in key or "idle:" in key]
        hashes = [
            f"{self._base}{name}"
            for name in ("beats", "kinds", "clients", "info", "io", "idle", "g:g")
        ]
        pipe = self._redis.pipeline(transaction=False)
        for key in hashes:
            pipe.hkeys(key)
        for key in sets:
            pipe.smembers(key)
        for key, members in zip([*hashes, *sets], pipe.execute(), strict=True):
            places += [f"{key} {member.decode()}" for member in members]
        return [place for place in places if any(process in place for process in processes)]

    def snapshot(self) -> Any:
        keys = self._keys()
        pipe = self._redis.pipeline(transaction=False)
        for key in keys:
            pipe.dump(key)
        # A bell may have expired between.
        return {key: dump for key, dump in zip(keys, pipe.execute(), strict=True) if dump}

    def restore(self, snapshot: Any) -> None:
        pipe = self._redis.pipeline(transaction=True)
        if keys := self._keys():
            pipe.delete(*keys)
        for key, dump in snapshot.items():
            pipe.restore(key, 0, dump)
        pipe.execute()

    def _keys(self) -> list[bytes]:
        return list(self._redis.scan_iter(f"{self._base}*", count=1000))


def _parse_payload(entry: bytes) -> bytes:
    return entry.rsplit(b"\0", 1)[1]


def _parse(entry: bytes) -> Item:
    """See the scripts' prelude. The test's payloads have no zero in them."""
    head, owner, payload = entry.rsplit(b"\0", 2)
    process, _, connection = owner.decode().partition("\1")[0].partition("!")
    crashes, done = int(head[:2]), int(head[5:8])
    return Item(payload, crashes + 1, done, (process, connection) if owner else None)
