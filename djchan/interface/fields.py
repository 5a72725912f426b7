"""The header fields of a response: which of them are sent, and what they announce. No I/O here.

For ``interface.http``. A view may pass an upstream's headers on. Those that describe the
connection to the upstream are not the client's (RFC 9110, section 7.6.1): a server that sent
them would announce a framing or a connection that is not there.
"""

import functools
import re
from collections.abc import Mapping
from typing import Any

Pairs = list[tuple[bytes, bytes]]

# Statuses whose responses end with their headers (RFC 9112, section 6.3), or have no content
# (RFC 9110, section 15.3.6). Those below 200 are no final responses.
WITHOUT_CONTENT = frozenset({204, 205, 304})

# RFC 9110, sections 5.6.2 and 5.5.
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

_CONNECTION = b"connection"
_UPGRADE = b"upgrade"
_CONTENT_LENGTH = b"content-length"
_HOP_BY_HOP = frozenset(
    {
        _CONNECTION,
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        _UPGRADE,
    }
)
# Fields that Connection cannot name: without them the content cannot be read.
_ESSENTIAL = frozenset({_CONTENT_LENGTH, b"content-type", b"content-encoding", b"set-cookie"})
# A response with this status has to name the protocol to upgrade to (RFC 9110, section 15.5.22).
_UPGRADE_REQUIRED = 426
_RESET_CONTENT = 205


def end_to_end(given: Any, status: int) -> Pairs:
    """The fields for the client, without those that describe one connection.

    A 426 keeps its Upgrade, without which it would be incomplete. ``given``: a dict, or pairs,
    of text or bytes. Raises TypeError for anything else, and ValueError for a name that is none,
    a control character or a character beyond Latin-1.
    """
    pairs = given.items() if isinstance(given, Mapping) else given
    encoded = [(_name(name), _value(value)) for name, value in pairs]
    if _HOP_BY_HOP.isdisjoint([name.lower() for name, _ in encoded]):
        return encoded
    dropped: frozenset[bytes] | set[bytes] = _HOP_BY_HOP
    for name, value in encoded:
        if name.lower() == _CONNECTION:
            named = {option.strip().lower() for option in value.split(b",")}
            dropped = dropped | (named - _ESSENTIAL)
    if status == _UPGRADE_REQUIRED:
        dropped = dropped - {_UPGRADE}
    return [pair for pair in encoded if pair[0].lower() not in dropped]


def content_length(pairs: Pairs) -> int | None:
    """The size that the fields announce, in bytes; None when they announce none.

    Raises ValueError for one that is no number, or for two that differ.
    """
    found = {value.strip() for name, value in pairs if name.lower() == _CONTENT_LENGTH}
    if not found:
        return None
    value = found.pop()
    if found or not value.isdigit():
        raise ValueError(f"{value!r} is no Content-Length, or not the only one")
    return int(value)


def of_no_content(status: int, pairs: Pairs) -> Pairs:
    """The fields of a response that ends with its headers.

    For HEAD, Content-Length is what GET would get. With 204 it is forbidden, and with 304
    servers such as uvicorn would wait for the content. A 205 has content of no bytes.
    """
    if status not in WITHOUT_CONTENT:
        return pairs
    kept = [pair for pair in pairs if pair[0].lower() != _CONTENT_LENGTH]
    return [*kept, (_CONTENT_LENGTH, b"0")] if status == _RESET_CONTENT else kept


@functools.lru_cache(maxsize=1024)  # A project has few, and sends them all the time.
def _name(text: object) -> bytes:
    data = _latin(text)
    if _TOKEN.fullmatch(data) is None:
        raise ValueError(f"{text!r} is no name of a header")
    return data


def _value(text: object) -> bytes:
    data = _latin(text)
    if _CONTROL.search(data) is not None:
        raise ValueError(f"{text!r} has a line break or another control character in it")
    return data


def _latin(text: object) -> bytes:
    data = text.encode("latin-1") if isinstance(text, str) else text
    if not isinstance(data, bytes):
        raise TypeError(f"{text!r} is neither text nor bytes")
    return data
