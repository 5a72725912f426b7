"""Which messages are refused before their consumer runs: by their Origin, and by their Host.

``djchan.dispatch`` asks for each message; ``djchan.sockets`` for each socket of a socket view.

- A WebSocket that a page of another site has opened (``security.websockets``).
- A request, or with CHANNEL_WEBSOCKET_HOSTS a WebSocket, for a host that is not in
  ALLOWED_HOSTS. Django's views find out by ``request.get_host()``; a consumer that makes a link
  of the Host header would not. What a client without one sends passes.

A consumer opts out with ``any_origin``, or ``any_host``.
"""

import logging
from collections.abc import Callable, Mapping

from djchan.conf import setting
from djchan.legible import value
from djchan.log import escaping, fields_of, name_of
from djchan.message import Message
from djchan.security.websockets import foreign_host_in, foreign_origin
from djchan.throttling import BURST, throttled
from djchan.utils import name_that_thing

logger = escaping(logging.getLogger(__name__))

Consumer = Callable[..., object]
Reply = dict[str, object]

CONNECT, REQUEST = "websocket.connect", "http.request"

_CLOSE: Reply = {"close": True}
_BAD_REQUEST: Reply = {
    "status": 400,
    "headers": [[b"Content-Type", b"text/plain"]],
    "content": b"Bad Request: this site does not have that name.\n",
}


def refusal(message: Message, consumer: Consumer) -> Reply | None:
    """The reply with which ``message`` is refused; None: ``consumer`` may have it."""
    channel = message.channel.name
    if channel == CONNECT:
        return (
            _CLOSE if _is_foreign(message, consumer) or _is_elsewhere(message, consumer) else None
        )
    if channel == REQUEST and _is_elsewhere(message, consumer):
        return _BAD_REQUEST
    return None


def _is_foreign(message: Message, consumer: Consumer) -> bool:
    """Whether a page of another site opened this WebSocket, and its consumer minds."""
    if getattr(consumer, "any_origin", False):
        return False
    try:
        origin = foreign_origin(message)
    except Exception as error:
        # Not from an interface: a consumer sent it, with headers that are none.
        throttled(
            logger,
            logging.ERROR,
            "unreadable origin",
            "The Origin of %s cannot be read: it is refused.",
            message,
            burst=BURST,
            exc_info=error,
        )
        return True
    if origin is None:
        return False
    extra = fields_of(message, name_of(consumer))
    report_origin(logger, message.content.get("path"), origin, "consumer", consumer, extra=extra)
    return True


def report_origin(
    where: logging.Logger,
    path: object,
    origin: str,
    kind: str,
    taker: Consumer,
    *,
    extra: Mapping[str, object] | None = None,
) -> None:
    """Log that a WebSocket was refused to a page of ``origin``."""
    name = name_that_thing(taker)
    strict = setting("CHANNEL_STRICT_ORIGIN")
    throttled(
        where,
        logging.INFO,
        f"origin of {name}",
        "A WebSocket to %s from a page of %s was refused: add %s, or mark the %s %s with "
        "djchan.security.websockets.any_origin.",
        value(path),
        value(origin),
        "it to CSRF_TRUSTED_ORIGINS (CHANNEL_STRICT_ORIGIN is on)"
        if strict
        else "its host to ALLOWED_HOSTS",
        kind,
        name,
        extra=extra,
    )


def _is_elsewhere(message: Message, consumer: Consumer) -> bool:
    """Whether it is for a host that is none of ours, and its consumer minds."""
    if getattr(consumer, "any_host", False):
        return False
    if message.channel.name == CONNECT and not setting("CHANNEL_WEBSOCKET_HOSTS"):
        return False
    try:
        host = foreign_host_in(message.content.get("headers"))
    except Exception as error:
        throttled(
            logger,
            logging.ERROR,
            "unreadable host",
            "The Host of %s cannot be read: it is refused.",
            message,
            burst=BURST,
            exc_info=error,
        )
        return True
    if host is None:
        return False
    extra = fields_of(message, name_of(consumer))
    report_host(logger, message.content.get("path"), host, "consumer", consumer, extra=extra)
    return True


def report_host(
    where: logging.Logger,
    path: object,
    host: str,
    kind: str,
    taker: Consumer,
    *,
    extra: Mapping[str, object] | None = None,
) -> None:
    """Log that somebody asked for ``host``, which is none of ours."""
    name = name_that_thing(taker)
    throttled(
        where,
        logging.INFO,
        f"host of {name}",
        "%s was asked for on the host %s and was refused: add it to ALLOWED_HOSTS, or mark the %s "
        "%s with djchan.security.websockets.any_host.",
        value(path),
        value(host),
        kind,
        name,
        extra=extra,
    )
