"""The grammar of channel and group names. No I/O happens here.

From whoever names a channel (consumers, the interface, the layers); on to
``djchan.layers``, which may rely on every name that passed.

::

    normal channel          thumbnails, http.request
    single-reader channel   http.request.body?k3J
    reply channel           websocket.send.PROCESS!LOCAL     PROCESS: after the last dot
    process-local channel   myserver!LOCAL      one queue, myserver!, read by a process of yours
    group                   room-7

ASCII letters, digits, ``-``, ``_`` and ``.`` only, fewer than 100 characters, so that a
name can neither leave its Redis key nor look like another one.
"""

import re
import secrets
import string

from djchan.exceptions import InvalidChannelName, InvalidGroupName

MAX_LENGTH = 99

# \Z, not $: $ would let a trailing newline pass.
_CHANNEL = re.compile(r"[a-zA-Z0-9\-_.]+(?:\?[a-zA-Z0-9\-_.]+|![a-zA-Z0-9\-_.]*)?\Z")
_RECEIVE = re.compile(r"[a-zA-Z0-9\-_.]+(?:\?[a-zA-Z0-9\-_.]+|!)?\Z")
_GROUP = re.compile(r"[a-zA-Z0-9\-_.]+\Z")
_ALPHABET = string.ascii_letters + string.digits
# What djchan's interface makes, and (by the process) what Channels 4's face does. Any other
# process-local name is of a server of the project's own, as in Channels 1.x.
_REPLIES = frozenset({"websocket.send", "http.response"})
_PROCESS = re.compile(r"[a-zA-Z0-9]{22}\Z")
_RULE = (
    "a name has 1 to 99 ASCII letters, digits, hyphens, underscores or periods"
    " (and, for a channel, one '?' or '!' before its local part)"
)


def check_channel(name: object, *, receive: bool = False) -> str:
    """Return ``name`` if it is a valid channel name, else raise InvalidChannelName.

    With ``receive``, a process-local name ends at its ``!``.
    """
    pattern = _RECEIVE if receive else _CHANNEL
    if isinstance(name, str) and len(name) <= MAX_LENGTH and pattern.match(name):
        return name
    raise InvalidChannelName(f"{name!r} is not a valid channel name: {_RULE}.")


def check_group(name: object) -> str:
    """Return ``name`` if it is a valid group name, else raise InvalidGroupName."""
    if isinstance(name, str) and len(name) <= MAX_LENGTH and _GROUP.match(name):
        return name
    raise InvalidGroupName(f"{name!r} is not a valid group name: {_RULE}.")


def new_process_id() -> str:
    """A new id for one run of one process: 22 letters and digits, 131 random bits.

    Call it after fork. Ids are never used again, so what is left of a dead process
    cannot be mistaken for a living one.
    """
    return "".join(secrets.choice(_ALPHABET) for _ in range(22))


def new_local_part(number: int) -> str:
    """The local part of a reply channel: unique by ``number``, not to be guessed (72 bits)."""
    return f"{number:x}-{secrets.token_urlsafe(9)}"


def reply_channel(kind: str, process: str, local: str) -> str:
    """The name of the channel that reaches one connection (``kind``: ``websocket.send`` …)."""
    return f"{kind}.{process}!{local}"


def split_local(name: str) -> tuple[str, str] | None:
    """``(process, local)`` of a reply channel; None for any other channel."""
    head, mark, local = name.partition("!")
    if not mark:
        return None
    kind, _, process = head.rpartition(".")
    if kind in _REPLIES or _PROCESS.match(process):
        return process, local
    return None


def reply_kind(name: object) -> str:
    """What a reply channel of djchan's interface reaches: ``websocket.send``, ``http.response``.

    "" for any other channel.
    """
    if not isinstance(name, str) or "!" not in name:
        return ""
    kind = name.partition("!")[0].rpartition(".")[0]
    return kind if kind in _REPLIES else ""


def counter(what: str, channel: str) -> str:
    """The name of a counter: single-reader channels have random names, and share one."""
    head, mark, _ = channel.partition("?")
    return f"{what}:{head}{mark}"


def non_local(name: str) -> str:
    """The part of a name up to and with ``!``: its queue, and what patterns are matched with."""
    head, mark, _ = name.partition("!")
    return head + mark
