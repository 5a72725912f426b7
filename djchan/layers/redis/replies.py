"""How to read what Redis answered. No I/O happens here.

From ``links``, with the reply to a command that ``commands`` rendered.
"""

from collections.abc import Callable
from typing import Any

from djchan.layers.operations import (
    Beat,
    Beats,
    Claim,
    Claimed,
    Closing,
    Commit,
    Connected,
    Counters,
    DeadChannels,
    DeadLetter,
    DeadLetters,
    Discard,
    Drop,
    GiveUp,
    History,
    IsLeased,
    Kept,
    Leased,
    Leave,
    Length,
    Members,
    Oldest,
    Operation,
    Part,
    Reap,
    Recall,
    Redrive,
    Room,
    Send,
    Sent,
    Usage,
    Used,
    Wait,
    Waiting,
)

HEADER = 22  # Bytes of an entry before its channel.
UNIT = 36  # Bits of a channel's count that are its bytes; those above are its messages.
VERSION = 16  # Bytes of what is kept before its value.


def parse_entry(entry: bytes) -> tuple[int, int, str, str, bytes]:
    """``(crashes, done, source, channel, payload)`` of a queue's entry."""
    end = entry.index(b"\0", HEADER)
    start = entry.index(b"\0", end + 1) + 1
    channel, _, source = entry[HEADER:end].decode().partition("\1")
    return int(entry[:2]), int(entry[5:8]), source, channel, entry[start:]


def _parse_claim(raw: Any) -> Claimed:
    token = raw[3]
    deliveries = []
    for index, entry in enumerate(raw[4:]):
        if not entry:
            continue  # Asked again: this one is not leased any more.
        crashes, done, source, channel, payload = parse_entry(entry)
        deliveries.append(Leased(token + index, crashes + 1, done, channel, payload, source))
    return Claimed(raw[0], raw[1], bool(raw[2]), tuple(deliveries))


def _words(raw: Any) -> tuple[str, ...]:
    return tuple(word.decode() for word in raw)


def _parse_beat(raw: Any) -> Beats | None:
    if raw is None:
        return None
    processes = {
        raw[i].decode(): (
            int(raw[i + 1]),
            "interface" if raw[i + 2] == b"i" else "worker",
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


def _parse_letters(raw: Any) -> list[DeadLetter]:
    letters = []
    for name, (_, reason, _, entry) in raw:
        letter = name.decode()
        crashes, done, _, _, payload = parse_entry(entry)
        at = int(letter.partition("-")[0])
        letters.append(DeadLetter(letter, reason.decode(), at, crashes + 1, done, payload))
    return letters


def _parse_members(raw: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    fields = sorted(field.decode() for field in raw)
    return (
        tuple(field[1:] for field in fields if field[0] == "i"),
        tuple(field[1:] for field in fields if field[0] == "c"),
    )


def _parse_waiting(raw: Any) -> dict[str, int]:
    return {raw[i].decode(): int(raw[i + 1]) >> UNIT for i in range(0, len(raw), 2)}


def _parse_usage(raw: Any) -> Used:
    counted, beside = raw
    waiting = {
        counted[i].decode(): int(counted[i + 1]) % 2**UNIT for i in range(0, len(counted), 2)
    }
    parts: dict[str, dict[str, int]] = {"p": {}, "d": {}, "x": {}}
    for field, size in _parse_counters(beside).items():
        kind, _, channel = field.partition(":")
        if kind in parts:
            parts[kind][channel] = size
    return Used(waiting, parts["p"], parts["d"], parts["x"])


def _parse_counters(raw: Any) -> dict[str, int]:
    return {raw[i].decode(): int(raw[i + 1]) for i in range(0, len(raw), 2)}


def _parse_kept(raw: bytes | None) -> Kept | None:
    return None if raw is None else Kept(raw[VERSION:], int(raw[:VERSION]))


_PARSE: dict[type[Any], Callable[[Any], Any]] = {
    Claim: _parse_claim,
    Commit: _words,
    Send: lambda raw: None if raw is None else Sent(_words(raw)),  # type: ignore[arg-type]
    Beat: _parse_beat,
    GiveUp: lambda raw: raw.decode(),
    Part: lambda raw: None if raw is None else raw.decode(),
    Room: lambda raw: tuple([None if total < 0 else total for total in raw]),
    Reap: bool,
    History: bool,
    IsLeased: bool,
    Redrive: bool,
    Discard: bool,
    Drop: bool,
    Recall: _parse_kept,
    DeadChannels: _parse_counters,
    Wait: lambda raw: None,
    Leave: lambda raw: None,
    Closing: lambda raw: None,
    Connected: _parse_connected,
    Length: lambda raw: int(raw or 0) >> UNIT,
    Waiting: _parse_waiting,
    Usage: _parse_usage,
    Oldest: lambda raw: None if raw is None else parse_entry(raw)[-1],
    DeadLetters: _parse_letters,
    Members: _parse_members,
    Counters: _parse_counters,
}


def parse(operation: Operation, raw: object) -> object:
    """The answer to ``operation`` that the reply ``raw`` (RESP2) means."""
    reader = _PARSE.get(type(operation))
    return raw if reader is None else reader(raw)
