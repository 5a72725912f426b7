"""Messages to bytes and back: the envelope of a delivery, the entries of an inbox.

From ``interface`` and ``djchan.channel``, which encode; on to ``worker`` and
``layers.local``, which decode. msgpack keeps bytes and text apart and can run no code.

An envelope starts with its version, and fields are only ever added at its end: a reader
ignores those it does not know and fills in those that are missing, so that versions N and
N + 1 understand each other.
"""

from collections.abc import Callable, Iterable
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import Any
from uuid import UUID

import msgspec

from djchan.exceptions import InvalidMessage, MessageTooLarge, UndecodableEnvelope

VERSION = 1
# No msgpack begins with this byte. Before what is sealed (layers.seal); and before what was
# sealed, and could not be opened.
SEAL = b"\xc1\x02"
SEALED = b"\xc1sealed "
MAX_MESSAGE_SIZE = 2 * 1024 * 1024


class Envelope(msgspec.Struct, array_like=True, omit_defaults=False):
    """One delivery as it lies on a channel: one or more messages (frames) of one channel."""

    version: int
    id: str  # Of the message; of a socket's frame i: "<id>.<order>".
    channel: str
    created: int  # ms since the epoch, the layer's clock.
    expires: int  # ms since the epoch; 0: never.
    process: str  # Where the answer goes; "" for a message without one.
    connection: str
    seq: int
    common: msgspec.Raw  # A map: the keys every frame has.
    frames: list[msgspec.Raw]  # Maps: what each frame has besides.
    # Runs that may have begun of earlier copies; what crashed is counted by the layer.
    runs: int = 0


# The kinds of entries of an inbox.
# The end of delivery (connection, seq); consumer: of a request that it left unanswered, or "".
ANSWER = 0  # [0, connection, seq, [reply, ...], status, consumer]
REPLY = 1  # [1, connection, [reply, ...]]                 from some other consumer
GROUP = 2  # [2, group, message]                           to all local members of the group
ADD = 3  # [3, group, connection]
DISCARD = 4  # [4, group, connection]
PART = 5  # [5, connection, seq, token, i, reply]          of a response that is still running
GAP = 6  # [6, group]                                      messages of the group were dropped here
PROGRESS = 7  # [7, connection, seq, frames, [reply, ...]]  so many frames of it are answered
# The reader of a request's body has all chunks before this one, and wants those that follow.
ASKED = 9  # [9, connection, order]

# The statuses of an ANSWER; anything but DONE says why no consumer's work is behind it.
DONE = ""
UNROUTED = "unrouted"
EXPIRED = "expired"
POISON = "poison"
LOST = "lost"
FAILED = "failed"
STUCK = "stuck"  # It ran for longer than the worker's run limit.

_PLAIN = frozenset({str, bytes, int, float, bool, type(None)})

# Types whose values stand for others, and what gives these; a framework enters its own.
lazy: dict[type, Callable[[Any], Any]] = {}


def _plain(value: Any) -> Any:
    """``value`` with nothing in it but what a message may hold; raises TypeError."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is msgspec.Raw:
        return value
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r:.80} is not text (write str() around it)")
        return {str.__str__(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    for base, resolve in lazy.items():
        # By its type: a proxy claims to be an instance of what it stands for.
        if issubclass(kind, base):
            return _plain(resolve(value))
    # Subclasses (SafeString, IntEnum …) travel as what they are at heart. Not str(value): a
    # SafeString returns itself there, and an Enum that is a str its own name.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return bytes.join(b"", (value,))
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    raise TypeError(f"{value!r:.80} is of type {kind.__name__}{_remedy(value)}")


def _remedy(value: object) -> str:
    """What to send in place of a value of a common type."""
    if isinstance(value, date | time):
        return " (send its isoformat())"
    if isinstance(value, timedelta):
        return " (send its total_seconds())"
    if isinstance(value, UUID | Decimal | PurePath):
        return " (send it as text, with str())"
    if hasattr(type(value), "_meta"):
        return " (send its primary key)"
    if isinstance(value, Iterable):
        return " (send a list)"
    return ""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode
_decode_envelope = msgspec.msgpack.Decoder(Envelope).decode


def encode(message: Any, limit: int = MAX_MESSAGE_SIZE) -> bytes:
    """``message`` as msgpack: also the copy and the check that a send makes of it.

    Raises InvalidMessage for what cannot travel, MessageTooLarge over ``limit`` bytes.
    """
    try:
        data = _encode(_plain(message))
    except (TypeError, OverflowError, ValueError, RecursionError) as error:
        raise InvalidMessage(
            f"This message cannot be sent: {error}. A message holds dicts with text keys, "
            "lists, text, bytes, integers of 64 bits, floats, booleans and None."
        ) from error
    if len(data) > limit:
        raise MessageTooLarge(
            f"This message has {len(data)} bytes; the limit is {limit} "
            "(max_message_size in the layer's CONFIG)."
        )
    return data


def decode(data: bytes | msgspec.Raw) -> Any:
    """What ``encode`` was given; UndecodableEnvelope for anything else."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        why = _why(bytes(data), f"is not msgpack of ours: {error}")
        raise UndecodableEnvelope(f"This entry {why}.") from error


def encode_envelope(envelope: Envelope) -> bytes:
    return _encode(envelope)


def decode_envelope(data: bytes) -> Envelope:
    """Raises UndecodableEnvelope when a newer, incompatible version wrote it, or nobody of us."""
    try:
        envelope = _decode_envelope(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        why = _why(data, f"cannot be read: {error}")
        raise UndecodableEnvelope(f"This delivery {why}.") from error
    if envelope.version > VERSION + 1:
        raise UndecodableEnvelope(
            f"This delivery has envelope version {envelope.version}; this worker reads up to "
            f"{VERSION + 1}. Update this worker."
        )
    return envelope


def _why(data: bytes, otherwise: str) -> str:
    """What is wrong with bytes that could not be decoded."""
    if data.startswith(SEALED):
        return (
            "is not sealed with any of symmetric_encryption_keys in the layer's CONFIG for where "
            "it was found: another key was used, or none, or it was moved here"
        )
    if data.startswith((SEAL, b"gAAAA")):  # As every Fernet token does.
        return "is encrypted, and the layer's CONFIG has no symmetric_encryption_keys"
    return otherwise


def encode_entry(*fields: Any) -> bytes:
    """An inbox entry; fields may be msgspec.Raw of what ``encode`` made."""
    return _encode(fields)


def send_again(payload: bytes) -> bytes:
    """The envelope of a delivery that is sent again, since its run may have begun and be lost."""
    envelope = _decode_envelope(payload)
    return _encode(msgspec.structs.replace(envelope, runs=envelope.runs + 1))


def message_id(envelope: Envelope, content: dict[str, Any]) -> str:
    """The id of one message of a delivery: the same at every run of it, also as a letter."""
    if envelope.process:
        return f"{envelope.process}.{envelope.connection}.{content.get('order', 0)}"
    return envelope.id
