"""What the close code of a socket says: it went well, it ran out of time, or something failed.

From ``websocket_connection``, once for each socket that is gone; on to the log of this module,
``djchan.interface.closes``, and with it to whoever turns that on or off:

=======  =====  =========================================================================
class    level  what it is
=======  =====  =========================================================================
normal   DEBUG  1000 done, 1001 going away, 1005 no code given, 1012 come back at once
expired  INFO   no consumer accepted it in time; older than group_expiry; 3008 of a project
error    INFO   all others: 1006 gone without a word, 1009, 1011, 1013, a project's 4xxx
=======  =====  =========================================================================

Of each kind and code, ten lines in ten seconds; the next one says how many were left out.
Not WARNING: phones lose their network all day long. What is our own fault has its own line.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from djchan.log import escaping
from djchan.throttling import BURST, throttled

Kind = Literal["normal", "expired", "error"]

logger = escaping(logging.getLogger(__name__))

# RFC 6455, section 7.4.1, and the IANA registry of close codes.
_NORMAL = frozenset({1000, 1001, 1005, 1012})
_TIMEOUT = 3008

_LONGEST = 100  # Characters of a client's name.

_LEVELS: Mapping[Kind, int] = {
    "normal": logging.DEBUG,
    "expired": logging.INFO,
    "error": logging.INFO,
}


def classify(code: int, *, expired: bool = False) -> Kind:
    """The class of a close code. ``expired``: it was closed because its time was over."""
    if expired or code == _TIMEOUT:
        return "expired"
    return "normal" if code in _NORMAL else "error"


def log(kind: Kind, code: int, scope: Mapping[str, Any], connection: str = "") -> None:
    """Write the line for a socket with this ASGI ``scope``; ``connection``: its reply channel."""
    level = _LEVELS[kind]
    if not logger.isEnabledFor(level):
        return
    client = scope.get("client")
    # A client may come back at once, and close with any code from 3000 to 4999.
    cause = f"{kind} {code if code < 3000 else 'of a project'}"
    throttled(
        logger,
        level,
        cause,
        "A WebSocket was closed: %s (%d), path %.200r, client %s",
        kind,
        code,
        scope["path"],  # A client's text: repr, so that it makes no line of its own.
        named(client) if client else "unknown",
        burst=BURST,
        extra={"connection": connection, "close_code": code},
    )


def named(client: Iterable[Any]) -> str:
    # It is a client's text, too, where a server believes X-Forwarded-For.
    name = ":".join(map(str, client))[:_LONGEST]
    return name if name.isprintable() else repr(name)
