"""What to ask Redis. No I/O happens here.

From ``links``, which sends what ``render`` gives and hands the reply to ``replies``; the
scripts behind it are in ``scripts/``. This module and the scripts are the only places that
know a key's name.
"""

import functools
import secrets
from collections.abc import Callable, Generator
from typing import Any

from djchan import names
from djchan.layers.operations import (
    COPIES,
    REMEMBERED,
    Beat,
    Body,
    Claim,
    Closing,
    Commit,
    Connected,
    Counters,
    DeadChannels,
    DeadLetters,
    Delay,
    Discard,
    Drop,
    Effect,
    EndBody,
    GiveUp,
    Grant,
    GroupAdd,
    GroupAddChannel,
    GroupDiscard,
    GroupDiscardChannel,
    GroupSend,
    Held,
    History,
    IsLeased,
    Keep,
    Leave,
    Length,
    Members,
    Oldest,
    Operation,
    Outcome,
    Part,
    Pop,
    Push,
    Reap,
    Recall,
    Record,
    Redrive,
    Register,
    Release,
    Resume,
    Ring,
    Room,
    Send,
    Tell,
    Usage,
    Wait,
    Waiting,
)
from djchan.layers.redis.scripts import CALLED, SHA

Command = tuple[Any, ...]
PopSteps = Generator[list[Command], Any, bytes | None]

TOMBSTONES = 10000  # Ids of buried processes that are remembered.
LONGEST_WAIT = 8.0  # Seconds that one command blocks at most.
NO_LIMIT = 2**52  # Bytes of room in an inbox without a limit.
LAYOUT = "1"  # Of the keys and scripts: a version that changes them gets another.


# What the user of a connection runs on keys of the layer, in scripts and outside of them. A word
# in lower case is an argument.
RIGHTS = tuple(
    sorted(
        {*CALLED, "BLPOP", "DEL", "GETEX", "HGET", "HGETALL", "HKEYS", "LINDEX", "SET", "SREM"}
        | {"XREAD streams", "XREVRANGE", "XTRIM"}
    )
)


def base_of(prefix: str) -> str:
    """What every key of a layer begins with: its hash tag, then the layout's version."""
    return "{" + prefix + "}" + LAYOUT + ":"


def inbox_key(base: str, process: str) -> str:
    return f"{base}in:{process}"


def _script(base: str, name: str, *arguments: object) -> Command:
    return ("EVALSHA", SHA[name], 1, base, *arguments)


# ------------------------------------------------------------------- effects


def _head(
    channel: str,
    *,
    frames: int = 1,
    keep: bool = True,
    expires: int = 0,
    owner: tuple[str, str] | None = None,
    done: int = 0,
    source: str = "",
    seq: int = 0,
) -> str:
    """A new entry up to its payload (see the scripts' prelude)."""
    kept = "k" if keep else "d"
    by = "" if owner is None else f"{owner[0]}!{owner[1]}"
    if seq:
        by = f"{by}\1{seq}"
    if source:
        channel = f"{channel}\1{source}"
    return f"00{frames:03}{done:03}{kept}{expires:013}{channel}\0{by}\0"


def _record(record: Record) -> bytes:
    """The entry that is queued when the connection's process has died."""
    head = _head(record.channel, owner=(record.process, record.connection))
    return head.encode() + record.payload


@functools.lru_cache(maxsize=1024)  # Most sends are to a few channels.
def _limits(messages: int, max_bytes: int, total: int, source: str = "") -> int | str:
    """The limits of a channel and of the layer, as the scripts read them."""
    if source:
        return f"{messages} {max_bytes} {total} f"
    return f"{messages} {max_bytes} {total}" if max_bytes or total else messages


def _flatten(effects: tuple[Effect, ...], *, admission: bool) -> list[object]:
    flat: list[Any] = [len(effects)]
    for effect in effects:
        kind = type(effect)
        if kind is Push:
            assert isinstance(effect, Push)
            (
                channel, payload, capacity, frames, served, expires,
                keep, owner, last, limit, done, max_bytes, total, source, seq,
            ) = effect  # fmt: skip
            flat += (
                ("S" if last else "s") if served else "l" if last else "p",
                names.non_local(channel),
                payload,
                _limits(capacity if admission else limit, max_bytes, total, source),
                _head(
                    channel,
                    frames=frames,
                    keep=keep,
                    expires=expires,
                    owner=owner,
                    done=done,
                    source=source,
                    seq=seq,
                ),
            )
        elif isinstance(effect, Tell):
            flat += ("t", effect.process, effect.entry, "", "")
        elif isinstance(effect, GroupSend):
            flat += ("g", effect.group, effect.entry, effect.payload, "")
        elif isinstance(effect, GroupAdd):
            flat += ("a", effect.group, effect.process, effect.entry, "")
        elif isinstance(effect, GroupDiscard):
            flat += ("x", effect.group, effect.process, effect.entry, "")
        elif isinstance(effect, GroupAddChannel):
            limits = _limits(effect.capacity, effect.max_bytes, effect.total)
            flat += ("A", effect.group, effect.channel, limits, effect.ttl or "")
        elif isinstance(effect, GroupDiscardChannel):
            flat += ("X", effect.group, effect.channel, "", "")
        elif isinstance(effect, Delay):
            head = _head(effect.channel, keep=effect.keep, expires=effect.expires)
            limits = _limits(effect.delay, effect.max_bytes, effect.total)
            flat += ("d", names.non_local(effect.channel), effect.payload, limits, head)
        elif isinstance(effect, Body):
            flat += ("b", effect.channel, effect.payload, effect.capacity, effect.ttl)
        elif isinstance(effect, Keep):
            flat += ("keep", effect.key, effect.value, effect.ttl, _must(effect))
        elif isinstance(effect, Drop):
            flat += ("drop", effect.key, "", "", "")
        elif isinstance(effect, Grant):
            flat += ("w", effect.process, effect.connection, effect.total, "")
        elif isinstance(effect, EndBody):
            flat += ("e", effect.channel, "", "", "")
        elif isinstance(effect, Record):
            flat += ("r", effect.process, effect.connection, _record(effect), "")
    return flat


# -------------------------------------------------------------------- render


def _register(base: str, op: Register) -> Command:
    kind = "w" if op.kind == "worker" else "i"
    room = op.inbox or NO_LIMIT
    return _script(
        base, "register", op.process, kind, op.info, op.inbox, room, op.dead_bytes, *op.channels
    )


def _history(base: str, op: History) -> Command:
    return _script(base, "history", op.run)


def _resume(base: str, op: Resume) -> Command:
    floors = [item for name, seq, frames in op.floors for item in (name, _floor(seq, frames))]
    records = [item for record in op.records for item in (record.connection, _record(record))]
    return _script(
        base, "resume", op.process, op.info, op.cursor, op.link, op.number, op.read,
        op.inbox, op.inbox or NO_LIMIT,
        COPIES, len(op.floors), *floors, len(op.groups), *op.groups, len(op.records), *records,
    )  # fmt: skip


def _floor(seq: int, frames: int) -> str:
    """All up to ``seq``, and so many frames of the one behind it: a number that grows."""
    return f"{seq}.{frames:03}" if frames else str(seq)


def _beat(base: str, op: Beat) -> Command:
    return _script(base, "beat", *op)


def _send(base: str, op: Send) -> Command:
    worker, token = op.fence or ("", 0)
    return _script(
        base, "send", op.process, op.link, op.number, worker, token,
        REMEMBERED, len(op.forget), *op.forget, len(op.cut), *op.cut, len(op.begin), *op.begin,
        *_flatten(op.effects, admission=True),
    )  # fmt: skip


def _claim(base: str, op: Claim) -> Command:
    return _script(
        base, "claim", op.worker, op.bell, op.count, op.link, op.number, int(op.again), op.above,
        *op.channels,
    )  # fmt: skip


def _held(base: str, op: Held) -> Command:
    claims = [item for claim in op.claims for item in claim]
    return _script(base, "held", op.worker, len(op.tokens), *op.tokens, *claims)


def _what_becomes(outcome: Outcome) -> tuple[Any, Any, Any]:
    """Delay, messages done and payload: put back, goes on, or ends."""
    if outcome.later is not None:
        return outcome.later.delay, f"{outcome.later.done:03}", outcome.later.payload
    return "", f"{outcome.progress:03}" if outcome.progress else "", ""


def _is_leased(base: str, op: IsLeased) -> Command:
    return ("HEXISTS", f"{base}l:{op.worker}", op.token)


def _commit(base: str, op: Commit) -> Command:
    flat: list[Any] = []
    for outcome in op.outcomes:
        token, effects, address, answer, later, progress, since = outcome
        flat += (token, *(address or ("", "", 0)), answer, since)
        flat += _what_becomes(outcome) if later or progress else ("", "", "")
        if effects:
            flat += _flatten(effects, admission=False)
        else:
            flat.append(0)
    return _script(base, "commit", op.worker, op.link, op.number, len(op.outcomes), *flat)


def _giveup(base: str, op: GiveUp) -> Command:
    return _script(
        base, "giveup", op.worker, op.token, op.reason, int(op.bury),
        *(op.address or ("", "", 0)), op.answer, op.since,
    )  # fmt: skip


def _release(base: str, op: Release) -> Command:
    return _script(base, "release", op.worker, *op.tokens)


def _part(base: str, op: Part) -> Command:
    return _script(
        base, "part", op.worker, op.token, op.process, op.connection, op.entry, op.link, op.number,
        REMEMBERED,
    )  # fmt: skip


def _room(base: str, op: Room) -> Command:
    return _script(base, "room", op.wakeup, *(part for stream in op.streams for part in stream))


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


def _waiting(base: str, op: Waiting) -> Command:
    return ("HGETALL", f"{base}n")


def _usage(base: str, op: Usage) -> Command:
    return _script(base, "usage")


def _oldest(base: str, op: Oldest) -> Command:
    return _script(base, "oldest", op.channel)


def _dead_channels(base: str, op: DeadChannels) -> Command:
    return _script(base, "deadchannels")


def _dead_letters(base: str, op: DeadLetters) -> Command:
    newest = f"({op.before}" if op.before else "+"
    return ("XREVRANGE", f"{base}dead:{op.channel}", newest, "-", "COUNT", op.count)


def _redrive(base: str, op: Redrive) -> Command:
    return _script(base, "redrive", op.channel, op.id, op.payload)


def _discard(base: str, op: Discard) -> Command:
    return _script(base, "discard", op.channel, op.id)


def _keep(base: str, op: Keep) -> Command:
    return _script(base, "keep", op.key, op.value, op.ttl, _must(op))


def _must(op: Keep) -> str:
    """The state that it requires to be kept (see ``scripts/_kept.lua``)."""
    return f"{op.version:016}" if op.version else op.must


def _recall(base: str, op: Recall) -> Command:
    return ("GETEX", f"{base}kept:{op.key}", *(("PX", op.ttl) if op.ttl else ()))


def _drop(base: str, op: Drop) -> Command:
    return ("DEL", f"{base}kept:{op.key}")


def _members(base: str, op: Members) -> Command:
    return ("HKEYS", f"{base}g:{op.group}")


def _counters(base: str, op: Counters) -> Command:
    return ("HGETALL", f"{base}stats")


def rights(base: str) -> Command:
    """Which of the commands that djchan needs may not be run here."""
    return _script(base, "rights", *RIGHTS)


def _pop(base: str, op: Pop, wakeup: str) -> Command:
    """One look of a Pop; with ``wakeup``, the next push on one of its channels wakes that up."""
    noted = int(op.timeout * 1000) + REMEMBERED
    return _script(base, "pop", wakeup, op.link, op.number, REMEMBERED, noted, *op.channels)


def pop(base: str, op: Pop, clock: Callable[[], float]) -> PopSteps:
    """Yield the batches of a Pop, for the reply to the last command of each; return the entry.

    It looks, and then waits for a push, or until a delayed entry is due. ``clock``: seconds.
    """
    if not op.timeout:
        entry = yield [_pop(base, op, "")]
        return entry if isinstance(entry, bytes) else None
    # A caller that repeats its Pop waits at the same key: one at which nobody waits any more
    # would take the wake-up of somebody else.
    wakeup = f"pop-{op.link or secrets.token_hex(8)}"
    # Whether or not it was woken up, it does not wait any more.
    cleanup = [("SREM", f"{base}idle:{channel}", wakeup) for channel in op.channels]
    end = clock() + op.timeout
    while True:
        found = yield [_pop(base, op, wakeup)]
        if isinstance(found, bytes):
            return found
        pause = max(0.001, end - clock())
        if found is not None:
            pause = min(pause, found / 1000)
        wait = ("BLPOP", f"{base}bell:{wakeup}", f"{pause:.3f}")
        found = yield [wait, *cleanup, _pop(base, op, "")]
        if isinstance(found, bytes):
            return found
        if found is None or clock() >= end:
            return None


def read_inbox(base: str, process: str, cursor: str, block: int, count: int) -> Command:
    key = inbox_key(base, process)
    return ("XREAD", "COUNT", count, "BLOCK", block, "STREAMS", key, cursor)


def trim_inbox(base: str, process: str, cursor: str) -> Command:
    """Drop the entries up to and with ``cursor``."""
    milliseconds, _, sequence = cursor.partition("-")
    return ("XTRIM", inbox_key(base, process), "MINID", f"{milliseconds}-{int(sequence) + 1}")


_RENDER: dict[type[Any], Callable[[str, Any], Command]] = {
    Register: _register,
    History: _history,
    Resume: _resume,
    Beat: _beat,
    Send: _send,
    Claim: _claim,
    Held: _held,
    IsLeased: _is_leased,
    Commit: _commit,
    GiveUp: _giveup,
    Release: _release,
    Part: _part,
    Room: _room,
    Leave: _leave,
    Closing: _closing,
    Reap: _reap,
    Wait: _wait,
    Connected: _connected,
    Ring: _ring,
    Length: _length,
    Waiting: _waiting,
    Usage: _usage,
    Oldest: _oldest,
    DeadChannels: _dead_channels,
    DeadLetters: _dead_letters,
    Redrive: _redrive,
    Discard: _discard,
    Keep: _keep,
    Recall: _recall,
    Drop: _drop,
    Members: _members,
    Counters: _counters,
}


def render(base: str, operation: Operation) -> Command:
    """The command that performs ``operation`` (Pop and Flush take the links several)."""
    return _RENDER[type(operation)](base, operation)
