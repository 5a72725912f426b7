"""What a user's send becomes: words to effects, effects to inbox entries. No I/O here.

From ``djchan.channel`` (through the outbox) and ``layers.sending``; on to an operation: the
``Send`` of a direct call, or the ``Commit`` of a consumer's run.

A *word* is an effect, or a Reply that is not yet an inbox entry: neighboring replies to one
connection travel together, and those at the end of a run to the connection it answers ride
with the answer, or with the word of how many of its frames are answered.
"""

import secrets
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from djchan import names
from djchan.layers import codec
from djchan.layers.operations import (
    Address,
    Delay,
    Effect,
    GroupAdd,
    GroupAddChannel,
    GroupDiscard,
    GroupDiscardChannel,
    GroupSend,
    Push,
    Tell,
)
from djchan.layers.policy import Policy


class Reply(NamedTuple):
    """A message to a process-local channel: to one connection of one process."""

    process: str
    connection: str
    message: bytes


Words = Effect | Reply


_EMPTY = msgspec.Raw(codec.encode({}))


MAX_DELAY = 100 * 365 * 24 * 3600  # Seconds; more is no date any more.


def expiry(policy: Policy, channel: str, delay: int = 0) -> int:
    """When a message sent now expires, ms since the epoch; 0: never.

    It counts from when the message is due, ``delay`` ms from now.
    """
    seconds = policy.expiry_of(channel)
    return 0 if seconds is None else policy.now() + delay + int(seconds * 1000)


def envelope(policy: Policy, channel: str, encoded: bytes, *, expires: int) -> bytes:
    """The envelope of one message of its own, not of a connection."""
    return codec.encode_envelope(
        codec.Envelope(
            codec.VERSION,
            secrets.token_hex(12),
            channel,
            policy.now(),
            expires,
            "",
            "",
            0,
            _EMPTY,
            [msgspec.Raw(encoded)],
        )
    )


def send(
    policy: Policy, channel: str, encoded: bytes, *, delay: int = 0, admission: bool = True
) -> Words:
    """One message for ``channel``, ``delay`` ms from now.

    With ``admission`` it meets the channel's capacity. A delay on a process-local channel
    is refused: the connection may be gone by then, so send to a custom channel that replies.
    """
    local = names.split_local(channel)
    if local is not None:
        if delay:
            raise ValueError(
                f"{channel!r} reaches one connection and cannot be sent to with a delay: "
                "send to a channel of your own with the delay, and reply from its consumer."
            )
        return Reply(*local, encoded)
    expires = expiry(policy, channel, delay)
    payload = envelope(policy, channel, encoded, expires=expires)
    keep = not policy.at_most_once(channel)
    if delay > 0:
        return Delay(
            *(channel, payload, delay, expires, keep),
            max_bytes=policy.max_bytes_of(channel),
            total=policy.total_bytes,
        )
    capacity = policy.capacity_of(channel) if admission else 0
    limit = policy.limit_of(channel)
    return Push(
        *(channel, payload, capacity),
        expires=expires,
        keep=keep,
        limit=limit,
        max_bytes=policy.max_bytes_of(channel),
        total=policy.total_bytes,
    )


def group_send(policy: Policy, group: str, encoded: bytes) -> GroupSend:
    """One message for every member of ``group``, serialized once."""
    return GroupSend(
        group,
        codec.encode_entry(codec.GROUP, group, msgspec.Raw(encoded)),
        envelope(policy, "", encoded, expires=expiry(policy, "")),
    )


def group_add(policy: Policy, group: str, channel: str) -> Effect:
    local = names.split_local(channel)
    if local is None:
        return GroupAddChannel(
            *(group, channel, policy.capacity_of(channel), policy.member_ttl),
            max_bytes=policy.max_bytes_of(channel),
            total=policy.total_bytes,
        )
    process, connection = local
    return GroupAdd(group, process, codec.encode_entry(codec.ADD, group, connection))


def group_discard(group: str, channel: str) -> Effect:
    local = names.split_local(channel)
    if local is None:
        return GroupDiscardChannel(group, channel)
    process, connection = local
    return GroupDiscard(group, process, codec.encode_entry(codec.DISCARD, group, connection))


def answer(
    address: Address, replies: Sequence[bytes], status: str = codec.DONE, *, consumer: str = ""
) -> bytes:
    """The inbox entry that ends delivery ``address``, with the replies that came last.

    ``consumer``: the name of the one that left a request unanswered.
    """
    last = [msgspec.Raw(reply) for reply in replies]
    fields = (codec.ANSWER, address.connection, address.seq, last, status)
    return codec.encode_entry(*fields, consumer) if consumer else codec.encode_entry(*fields)


def progress(address: Address, frames: int, replies: Sequence[bytes]) -> bytes:
    """The inbox entry that says that so many frames of ``address`` are answered."""
    return codec.encode_entry(
        codec.PROGRESS,
        address.connection,
        address.seq,
        frames,
        [msgspec.Raw(reply) for reply in replies],
    )


def part(address: Address, token: int, index: int, reply: bytes) -> bytes:
    """The inbox entry of one part of a response that is still running."""
    return codec.encode_entry(
        codec.PART, address.connection, address.seq, token, index, msgspec.Raw(reply)
    )


def pack(
    words: Sequence[Words], address: Address | None = None
) -> tuple[tuple[Effect, ...], list[bytes]]:
    """Words to effects, in their order.

    Neighboring replies to one connection become one entry; those at the very end, if they
    are to ``address``, are not in the effects but in the second value.
    """
    effects: list[Effect] = []
    run: list[bytes] = []
    run_to: tuple[str, str] | None = None
    for word in words:
        if isinstance(word, Reply):
            if run_to != word[:2]:
                _close(effects, run_to, run)
                run_to, run = word[:2], []
            run.append(word.message)
        else:
            _close(effects, run_to, run)
            run_to, run = None, []
            effects.append(word)
    if address is not None and run_to == address[:2]:
        return tuple(effects), run
    _close(effects, run_to, run)
    return tuple(effects), []


def _close(effects: list[Effect], to: tuple[str, str] | None, run: list[bytes]) -> None:
    if to is not None:
        replies = [msgspec.Raw(message) for message in run]
        effects.append(Tell(to[0], codec.encode_entry(codec.REPLY, to[1], replies)))
