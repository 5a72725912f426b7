"""What to ask Redis, and how to read its answer. No I/O happens here.

From ``links``, which sends what ``render`` gives and hands the replies to ``parse``; the
scripts behind it are in ``scripts/``. This module and the scripts' prelude are the only
places that know a key's name.
"""

from collections.abc import Callable
from typing import Any

from djchan.layers.operations import (
    Beat,
    Beats,
    Body,
    Claim,
    Claimed,
    Closing,
    Commit,
    Connected,
    Counters,
    DeadLetters,
    Delay,
    Effect,
    GiveUp,
    GroupAdd,
    GroupAddChannel,
    GroupDiscard,
    GroupDiscardChannel,
    GroupSend,
    Leased,
    Leave,
    Length,
    Members,
    Operation,
    Part,
    Push,
    Reap,
    Register,
    Release,
    Resume,
    Ring,
    Send,
    Sent,
    Tell,
    Wait,
)
from djchan.layers.redis.scripts import SHA

Command = tuple[Any, ...]

TOMBSTONES = 10000  # Ids of buried processes that are remembered.
LONGEST_WAIT = 8.0  # Seconds that one command blocks at most.
HEADER = 22  # Bytes of an entry before its channel.
LAYOUT = "1"  # Of the keys and scripts: a version that changes them gets another.


def base_of(prefix: str) -> str:
    """What every key of a layer begins with: its hash tag, then the layout's version."""
    return "{" + prefix + "}" + LAYOUT + ":"


def inbox_key(base: str, process: str) -> str:
    return f"{base}in:{process}"


def _script(base: str, name: str, *arguments: Any) -> Command:
    return ("EVALSHA", SHA[name], 1, base, *arguments)


# ------------------------------------------------------------------- effects


def _header(frames: int, effect: Push | Delay) -> str:
    """What a new entry begins with (see the scripts' prelude)."""
    return f"00{frames:03}000{'k' if effect.keep else 'd'}{effect.expires:013}"


def _flatten(effects: tuple[Effect, ...]) -> list[Any]:
    flat: list[Any] = [len(effects)]
    for effect in effects:
        kind = type(effect)
        if kind is Push:
            assert isinstance(effect, Push)
            flat += (
                "s" if effect.if_served else "p",
                effect.channel,
                effect.payload,
                effect.capacity,
                _header(effect.frames, effect),
            )
        elif isinstance(effect, Tell):
            flat += ("t", effect.process, effect.entry, "", "")
        elif isinstance(effect, GroupSend):
            flat += ("g", effect.group, effect.entry, effect.payload, effect.capacity)
        elif isinstance(effect, GroupAdd):
            flat += ("a", effect.group, effect.process, effect.entry, "")
        elif isinstance(effect, GroupDiscard):
            flat += ("x", effect.group, effect.process, effect.entry, "")
        elif isinstance(effect, GroupAddChannel):
            flat += ("A", effect.group, effect.channel, "", "")
        elif isinstance(effect, GroupDiscardChannel):
            flat += ("X", effect.group, effect.channel, "", "")
        elif isinstance(effect, Delay):
            flat += ("d", effect.channel, effect.payload, effect.delay, _header(1, effect))
        elif isinstance(effect, Body):
            flat += ("b", effect.channel, effect.payload, effect.capacity, effect.ttl)
    return flat


# -------------------------------------------------------------------- render


def _register(base: str, op: Register) -> Command:
    kind = "w" if op.kind == "worker" else "i"
    return _script(base, "register", op.process, kind, op.info, *op.channels)


def _resume(base: str, op: Resume) -> Command:
    floors = [item for floor in op.floors for item in floor]
    return _script(
        base, "resume", op.process, op.info, op.cursor,
        len(op.floors), *floors, len(op.groups), *op.groups,
    )  # fmt: skip


def _beat(base: str, op: Beat) -> Command:
    return _script(base, "beat", op.process, op.clients)


def _send(base: str, op: Send) -> Command:
    worker, token = op.fence or ("", 0)
    return _script(
        base, "send", op.process, op.link, op.number, worker, token,
        len(op.forget), *op.forget, len(op.cut), *op.cut, *_flatten(op.effects),
    )  # fmt: skip


def _claim(base: str, op: Claim) -> Command:
    return _script(base, "claim", op.worker, op.bell, op.count, *op.channels)


def _commit(base: str, op: Commit) -> Command:
    flat: list[Any] = []
    for token, effects, address, answer, later in op.outcomes:
        flat += (token, *(address or ("", "", 0)), answer)
        flat += ("", "", "") if later is None else (later.delay, f"{later.done:03}", later.payload)
        if effects:
            flat += _flatten(effects)
        else:
            flat.append(0)
    return _script(base, "commit", op.worker, op.link, op.number, len(op.outcomes), *flat)


def _giveup(base: str, op: GiveUp) -> Command:
    return _script(
        base, "giveup", op.worker, op.token, op.reason, int(op.bury),
        *(op.address or ("", "", 0)), op.answer,
    )  # fmt: skip


def _release(base: str, op: Release) -> Command:
    return _script(base, "release", op.worker, *op.tokens)


def _part(base: str, op: Part) -> Command:
    return _script(base, "part", op.worker, op.token, op.process, op.connection, op.entry)


def _leave(base: str, op: Leave) -> Command:
    return _script(base, "leave", op.process, op.cursor, *op.groups)


def _closing(base: str, op: Closing) -> Command:
    return _script(base, "closing", op.worker, *op.bells)


def _reap(base: str, op: Reap) -> Command:
    beat = "" if op.beat is None else op.beat
    return _script(base, "reap", op.process, beat, TOMBSTONES)


def _wait(base: str, op: Wait) -> Command:
    # 0 would be for ever, and more than the socket's timeout a broken connection.
    timeout = min(max(op.timeout, 0.001), LONGEST_WAIT)
    return ("BLPOP", f"{base}bell:{op.bell}", f"{timeout:.3f}")


def _connected(base: str, op: Connected) -> Command:
    ids = [client for client in op.clients.split(",") if client]
    # Of who named none nobody can tell: Redis refuses this word, which links take for that.
    return ("CLIENT", "LIST", "ID", *(ids or ["none"]))


def _ring(base: str, op: Ring) -> Command:
    return _script(base, "ring", *op.bells)


def _length(base: str, op: Length) -> Command:
    return ("HGET", f"{base}n", op.channel)


def _dead_letters(base: str, op: DeadLetters) -> Command:
    return ("LRANGE", f"{base}dead:{op.channel}", 0, op.count - 1)


def _members(base: str, op: Members) -> Command:
    return ("HKEYS", f"{base}g:{op.group}")


def _counters(base: str, op: Counters) -> Command:
    return ("HGETALL", f"{base}stats")


def pop(base: str, channels: tuple[str, ...], bell: str) -> Command:
    """One step of a Pop; with ``bell``, the next push on one of ``channels`` rings it."""
    return _script(base, "pop", bell, *channels)


def read_inbox(base: str, process: str, cursor: str, block: int, count: int) -> Command:
    key = inbox_key(base, process)
    return ("XREAD", "COUNT", count, "BLOCK", block, "STREAMS", key, cursor)


def trim_inbox(base: str, process: str, cursor: str) -> Command:
    """Drop the entries up to and with ``cursor``."""
    milliseconds, _, sequence = cursor.partition("-")
    return ("XTRIM", inbox_key(base, process), "MINID", f"{milliseconds}-{int(sequence) + 1}")


_RENDER: dict[type[Any], Callable[[str, Any], Command]] = {
    Register: _register,
    Resume: _resume,
    Beat: _beat,
    Send: _send,
    Claim: _claim,
    Commit: _commit,
    GiveUp: _giveup,
    Release: _release,
    Part: _part,
    Leave: _leave,
    Closing: _closing,
    Reap: _reap,
    Wait: _wait,
    Connected: _connected,
    Ring: _ring,
    Length: _length,
    DeadLetters: _dead_letters,
    Members: _members,
    Counters: _counters,
}


def render(base: str, operation: Operation) -> Command:
    """The command that performs ``operation`` (Pop and Flush take the links several)."""
    return _RENDER[type(operation)](base, operation)


# --------------------------------------------------------------------- parse


def parse_entry(entry: bytes) -> tuple[int, int, str, bytes]:
    """``(crashes, done, channel, payload)`` of a queue's entry."""
    end = entry.index(b"\0", HEADER)
    return int(entry[:2]), int(entry[5:8]), entry[HEADER:end].decode(), entry[end + 1 :]


def _parse_claim(raw: Any) -> Claimed:
    token = raw[3]
    deliveries = []
    for index, entry in enumerate(raw[4:]):
        crashes, done, channel, payload = parse_entry(entry)
        deliveries.append(Leased(token + index, crashes + 1, done, channel, payload))
    return Claimed(raw[0], raw[1], bool(raw[2]), tuple(deliveries))


def _words(raw: Any) -> tuple[str, ...]:
    return tuple(word.decode() for word in raw)


def _parse_beat(raw: Any) -> Beats | None:
    if raw is None:
        return None
    processes = {
        raw[i].decode(): (
            int(raw[i + 1]),
            "worker" if raw[i + 2] == b"w" else "interface",
            raw[i + 3].decode(),
        )
        for i in range(1, len(raw), 4)
    }
    return Beats(raw[0], processes)


def _parse_connected(raw: Any) -> bool | None:
    """``raw`` is text from some clients' parsers; None where Redis refused to tell."""
    if raw is None:
        return None
    return "id=" in (raw if isinstance(raw, str) else raw.decode())


def _parse_letters(raw: Any) -> list[tuple[str, int, bytes]]:
    letters = []
    for letter in raw:
        reason, when, payload = letter.split(b"\0", 2)
        letters.append((reason.decode(), int(when), payload))
    return letters


def _parse_members(raw: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    fields = sorted(field.decode() for field in raw)
    return (
        tuple(field[1:] for field in fields if field[0] == "i"),
        tuple(field[1:] for field in fields if field[0] == "c"),
    )


def _parse_counters(raw: Any) -> dict[str, int]:
    return {raw[i].decode(): int(raw[i + 1]) for i in range(0, len(raw), 2)}


_PARSE: dict[type[Any], Callable[[Any], Any]] = {
    Claim: _parse_claim,
    Commit: _words,
    Send: lambda raw: None if raw is None else Sent(_words(raw)),  # type: ignore[arg-type]
    Beat: _parse_beat,
    GiveUp: lambda raw: raw.decode(),
    Part: lambda raw: raw.decode(),
    Reap: bool,
    Wait: lambda raw: None,
    Leave: lambda raw: None,
    Closing: lambda raw: None,
    Connected: _parse_connected,
    Length: lambda raw: int(raw or 0),
    DeadLetters: _parse_letters,
    Members: _parse_members,
    Counters: _parse_counters,
}


def parse(operation: Operation, raw: Any) -> Any:
    """The answer to ``operation`` that the reply ``raw`` (RESP2) means."""
    reader = _PARSE.get(type(operation))
    return raw if reader is None else reader(raw)
