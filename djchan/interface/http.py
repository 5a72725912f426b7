"""One HTTP request and its response as a state machine. No I/O happens here.

From ``http_connection``, which feeds in the request and the replies of consumers; on to it
again: the message for ``http.request``, and actions for the client's server.

::

              status             last content                 taken by the client
    WAITING ─────────► STARTED ─────────────────► COMPLETE ──────────────────────► DONE
       │                  │                           └──── cut (does not read), left ──► DONE
       │                  └──── cut (timeout, run failed, worker lost), left ───────────► DONE
       └──── refused (500, 503, 413): COMPLETE; left ───────────────────────────────────► DONE

A response that was cut never looks whole: its connection is closed without a clean end. So is
one whose content is not as long as its Content-Length. A response to HEAD, and one with status
204, 205 or 304, ends with its headers.
"""

import enum
from collections.abc import Mapping
from typing import Any, NamedTuple

from djchan.interface import fields
from djchan.interface.websocket import Complain, headers
from djchan.layers import codec, frames

REQUEST = "http.request"
DISCONNECT = "http.disconnect"
CHUNK = 512 * 1024  # Bytes of one chunk of a request body, as in Channels 1.x.

# The first two sentences are Channels 1.x's: scripts look for them.
TIMED_OUT = "Worker server failed to respond within time limit."
QUEUE_FULL = "Request queue full."
TOO_OFTEN = "You have made too many requests. Try again later."
NO_BROKER = "The server cannot reach its message queue. Try again in a moment."
GAVE_UP = "The worker that ran this request was lost, or could not take it."
FAILED = "The server failed to answer this request."
TOO_LARGE = "The request is larger than this server takes."
TOO_MANY = "The server has as many connections as it takes. Try again in a moment."
TOO_SLOW = "The request's body did not arrive in time."
TOO_SLOW_HEADERS = "The request's headers did not arrive in time."
NO_ROOM = "The server holds too many uploads. Try again in a moment."
# For the log, of either server.
SLOW_BODY = (
    "A request got a 408: its body stopped or came too slowly, after %d bytes (http_body_timeout "
    "and http_body_rate under INTERFACE in CHANNEL_LAYERS)"
)
SLOW_HEADERS = (
    "A request got a 408: its headers did not arrive within %g s (http_header_timeout under "
    "INTERFACE in CHANNEL_LAYERS)"
)
RETRY_AFTER = b"5"  # Seconds.
RESTARTING = "This server is restarting. Try again in a moment."

_HTTP_1 = ("1.0", "1.1")
# Headers of requests that are read here.
_READ_HERE = frozenset({b"content-length", b"sec-websocket-key", b"transfer-encoding"})
_REASONS = {
    408: "Request Timeout",
    413: "Content Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
# Statuses of a delivery whose run failed, and of one that cannot run any more.
_FAILED = frozenset({codec.FAILED, codec.UNROUTED})
_GIVEN_UP = frozenset({codec.EXPIRED, codec.LOST, codec.POISON, codec.STUCK})
# Run again after its worker died: the others may have changed something.
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class State(enum.Enum):
    WAITING = "waiting"  # No response yet.
    STARTED = "started"  # Status and headers are out.
    COMPLETE = "complete"  # All of its content is here; the client has not taken all of it.
    DONE = "done"


class Start(NamedTuple):
    status: int
    headers: list[tuple[bytes, bytes]]
    content: bytes
    more: bool


class Content(NamedTuple):
    content: bytes
    more: bool


class Cut(NamedTuple):
    """Close the connection without a clean end of the response."""


Action = Start | Content | Cut | Complain


class Exchange:
    """``scope``: ASGI's, of type http."""

    __slots__ = (
        "_missing",
        "_next",
        "_scope",
        "_token",
        "announced",
        "has_body",
        "lost_its_upgrade",
        "state",
    )

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self._scope = scope
        # The size of the body as the client announced it.
        self.announced: int | None = None
        # Whether a body follows the headers, or may do so: those of HTTP/2 need not say so.
        self.has_body = scope.get("http_version", "1.1") not in _HTTP_1
        # Whether this is a WebSocket's handshake that a proxy made a plain request of: Upgrade and
        # Connection go from hop to hop, this header goes all the way.
        self.lost_its_upgrade = False
        for name, value in scope.get("headers", ()):
            if name not in _READ_HERE:
                continue
            if name == b"sec-websocket-key":
                self.lost_its_upgrade = True
            elif name == b"transfer-encoding":
                self.has_body = True
            else:
                self.has_body = self.has_body or value != b"0"
                if self.announced is None and value.isdigit():
                    self.announced = int(value)
        self.state = State.WAITING
        self._missing: int | None = None  # Bytes until the Content-Length is reached.
        self._token = 0  # Of the run whose parts are taken.
        self._next = 0  # The index of the part to come.

    @property
    def safe(self) -> bool:
        """Whether the request may be run a second time."""
        return self._scope.get("method", "GET").upper() in _SAFE

    @property
    def path(self) -> str:
        path: str = self._scope["path"]
        return path

    def request(self, reply_channel: str, body: bytes, body_channel: str | None) -> dict[str, Any]:
        """The message for http.request; with ``body_channel`` the body follows there."""
        scope = self._scope
        message = {
            "reply_channel": reply_channel,
            "http_version": scope.get("http_version", "1.1"),
            "method": scope.get("method", "GET"),
            "scheme": scope.get("scheme") or "http",
            "path": scope["path"],
            "root_path": scope.get("root_path", ""),
            "query_string": scope.get("query_string", b""),
            "headers": headers(scope),
            "body": body,
            "client": scope.get("client"),
            "server": scope.get("server"),
        }
        if body_channel is not None:
            message["body_channel"] = body_channel
        return message

    def disconnect(self, reply_channel: str) -> dict[str, Any]:
        """The message for http.disconnect."""
        return {"reply_channel": reply_channel, "path": self._scope["path"]}

    # ------------------------------------------------------ words of consumers

    def reply(self, message: Mapping[str, Any]) -> list[Action]:
        """Apply a message to the reply channel.

        One that is no part of a response ends it: a 500, or cut when it has begun.
        """
        if self.has_ended:
            return []
        content = message.get("content")
        if content is None:
            content = b""
        more = bool(message.get("more_content", False))
        if not isinstance(content, bytes):
            return self._invalid(f"content is bytes, not {type(content).__name__}")
        status = message.get("status")
        if self.state is State.STARTED:
            if status is not None:
                return self._invalid(
                    f"the response has begun, and another status ({status!r}) follows"
                )
            return self._content(content, more)
        if not frames.is_status(status):
            return self._invalid(
                f"the first message of a response needs a status from 200 to 599, not {status!r}"
            )
        try:
            pairs = fields.end_to_end(message.get("headers") or (), status)
        except (TypeError, ValueError) as error:
            return self._invalid(f"the headers of a response cannot be sent: {error}")
        return self._start(status, pairs, content, more)

    def _start(
        self, status: int, pairs: list[tuple[bytes, bytes]], content: bytes, more: bool
    ) -> list[Action]:
        """Begin the response; end it, if it can have no content."""
        try:
            announced = fields.content_length(pairs)
        except ValueError as error:
            return self._invalid(f"the headers of a response cannot be sent: {error}")
        if self._is_head or status in fields.WITHOUT_CONTENT:
            self.state = State.COMPLETE
            return [Start(status, fields.of_no_content(status, pairs), b"", False)]
        if announced is None:
            self.state = State.STARTED if more else State.COMPLETE
            return [Start(status, pairs, content, more)]
        if not more and len(content) != announced:
            return self._invalid(_unlike(announced, len(content)))
        if len(content) > announced:
            return self._invalid(_unlike(announced, len(content), "or more"))
        self._missing = announced - len(content)
        self.state = State.STARTED if more else State.COMPLETE
        return [Start(status, pairs, content, more)]

    def _content(self, content: bytes, more: bool) -> list[Action]:
        if self._missing is not None:
            self._missing -= len(content)
            if self._missing < 0 or (self._missing and not more):
                what = "more" if self._missing < 0 else f"{self._missing} bytes less"
                return self._invalid(f"its content is {what} than its Content-Length says")
        self.state = State.STARTED if more else State.COMPLETE
        return [Content(content, more)]

    def _invalid(self, reason: str) -> list[Action]:
        if self.state is State.STARTED:
            self.state = State.DONE
            return [Complain(f"{reason}; the response is cut"), Cut()]
        return [Complain(f"{reason}; the client gets a 500"), *self.refuse(500, FAILED)]

    @property
    def has_ended(self) -> bool:
        """Whether the exchange is over, so that further messages change nothing."""
        return self.state is State.COMPLETE or self.state is State.DONE

    @property
    def _is_head(self) -> bool:
        return bool(self._scope.get("method") == "HEAD")

    def part(self, token: int, index: int, message: Mapping[str, Any]) -> list[Action]:
        """A reply of a run that goes on. Only parts of one run (``token``) are taken,
        and only each after the one before it: two runs are never spliced."""
        if self._next == 0:
            self._token = token
        if token != self._token or index < self._next:
            return []
        if index > self._next:
            return self.fail()
        self._next += 1
        return self.reply(message)

    # ------------------------------------------------------ words of the interface

    def refuse(self, status: int, sentence: str) -> list[Action]:
        """Answer with a page of ours, or cut what has begun."""
        if self.state is not State.WAITING:
            return self.fail()
        title = f"{status} {_REASONS[status]}"
        page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1><p>{sentence}</p>"
        content = f"{page}</body></html>\n".encode()
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        if status == 503:
            headers.append((b"retry-after", RETRY_AFTER))
        elif status == 408 and self._scope.get("http_version", "1.1") in _HTTP_1:
            headers.append((b"connection", b"close"))  # Nobody waits for the rest of its body.
        return self._start(status, headers, content, False)

    def fail(self) -> list[Action]:
        """Nothing more will come for this response. A complete one stays as it is."""
        if self.state is State.WAITING:
            return self.refuse(503, GAVE_UP)
        return [] if self.state is State.COMPLETE else self.cut()

    def cut(self) -> list[Action]:
        """The client gets no more of the response."""
        if self.state is State.DONE:
            return []
        self.state = State.DONE
        return [Cut()]

    def taken(self) -> None:
        """The client has taken all that there was so far."""
        if self.state is State.COMPLETE:
            self.state = State.DONE

    def timeout(self) -> list[Action]:
        return self.refuse(503, TIMED_OUT)

    def status(self, status: str) -> list[Action]:
        """Apply the end of the delivery to a response that it did not finish.

        A consumer that returned may have handed its reply channel on (ResponseLater), so the
        request stays open. One that raised ends it.
        """
        if status in _GIVEN_UP:
            return self.fail()
        if status in _FAILED:
            return self.refuse(500, FAILED)
        return []

    def left(self) -> None:
        """The client went away."""
        self.state = State.DONE


def _unlike(announced: int, size: int, more: str = "") -> str:
    return (
        f"the Content-Length of a response is {announced}, and its content has {size} bytes"
        f"{more and f' {more}'}"
    )
