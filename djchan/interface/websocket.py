"""One WebSocket as a state machine. No I/O happens here.

From ``websocket_connection``, which feeds in what the client and the consumers say; on to
it again: frames for channels, and actions for the client's server.

::

                  accept, text, bytes             close                 gone
    CONNECTING ───────────────────────► OPEN ───────────────► CLOSING ────────► CLOSED
         │ deny, timeout                  └──────────── gone ─────────────────────▲
         └───────────────────────────────────────► CLOSING ───── gone ────────────┘

A reply is ``accept``, ``text``, ``bytes`` and ``close`` (and ``subprotocol`` beside accept,
an extension to Channels 1.x); a message that is not well formed does nothing but complain.
"""

import enum
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from djchan.layers import codec, frames

CONNECT = "websocket.connect"
RECEIVE = "websocket.receive"
DISCONNECT = "websocket.disconnect"

# RFC 6455, section 7.4.1, and the IANA registry of close codes.
NORMAL = frames.NORMAL
NO_CODE = 1005
ABNORMAL = 1006
TOO_BIG = 1009
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012
TRY_AGAIN_LATER = 1013
TOO_MANY = 4008  # Its source is over a limit: source_connections, source_rate.
# The close code for each status, where a handshake cannot be answered with a status.
DENIED = {429: TOO_MANY}

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2.

# Of the disconnect that the layer sends for a process that died: above that of any frame, for
# how many there were nobody knows, and small enough for a column of a database.
LAST_ORDER = 2**31 - 1


class State(enum.Enum):
    CONNECTING = "connecting"  # websocket.connect is out; nobody answered the handshake.
    OPEN = "open"
    CLOSING = "closing"  # We closed or denied it; the server has not said that it is gone.
    CLOSED = "closed"


class Accept(NamedTuple):
    subprotocol: str | None


class SendText(NamedTuple):
    text: str


class SendBytes(NamedTuple):
    data: bytes


class Close(NamedTuple):
    """A close frame. ``code`` may be one that only a server sends (1011, 1012, 1013)."""

    code: int


class Deny(NamedTuple):
    """Refuse the handshake: 403, or where the server can another HTTP ``status``."""

    status: int = 403


class Complain(NamedTuple):
    """A consumer said something that cannot be done; for the log."""

    reason: str


Action = Accept | SendText | SendBytes | Close | Deny | Complain

_CONNECTING = State.CONNECTING
_OPEN = State.OPEN


class WebSocket:
    """``scope``: ASGI's; ``protocols``: subprotocols that may be taken for the client."""

    __slots__ = ("_offered", "_protocols", "accepted", "order", "scope", "state")

    def __init__(self, scope: Mapping[str, Any], *, protocols: Iterable[str] = ()) -> None:
        self.scope = scope
        self._offered = subprotocols(scope)
        self._protocols = frozenset(protocols)
        self.accepted = False
        self.state = State.CONNECTING
        self.order = 0  # Of the last frame that was made.

    # ------------------------------------------------------ events of the client

    def common(self, reply_channel: str) -> dict[str, Any]:
        """The keys that every message of this socket has."""
        keys = {"reply_channel": reply_channel, "path": self.scope["path"]}
        root_path = self.scope.get("root_path")
        if root_path:
            keys["root_path"] = root_path
        return keys

    def connect(self, *, scheme: str = "ws") -> dict[str, Any]:
        """The rest of websocket.connect. ``scheme``: for a server whose scope has none."""
        scope = self.scope
        return {
            "query_string": scope.get("query_string", b""),
            "headers": headers(scope),
            "client": scope.get("client"),
            "server": scope.get("server"),
            "scheme": scope.get("scheme") or scheme,
            "root_path": scope.get("root_path", ""),
            "order": 0,
        }

    def receive(self, event: Mapping[str, Any]) -> dict[str, Any] | None:
        """The rest of websocket.receive: exactly one of text and bytes. None: not open."""
        if self.state is not _OPEN:
            return None
        self.order += 1
        text = event.get("text")
        if text is not None:
            return {"order": self.order, "text": text}
        return {"order": self.order, "bytes": event.get("bytes") or b""}

    def unsay(self, frames: int) -> None:
        """The last ``frames`` frames were lost here: their order numbers are free again."""
        self.order -= frames

    def disconnect(self, code: int) -> dict[str, Any] | None:
        """The rest of websocket.disconnect. None: it is gone already.

        ``code`` is the server's, but a socket that never was open ended abnormally.
        """
        if self.state is State.CLOSED:
            return None
        self.state = State.CLOSED
        self.order += 1
        return {"order": self.order, "code": code if self.accepted else ABNORMAL}

    @staticmethod
    def abandoned() -> dict[str, Any]:
        """The rest of the websocket.disconnect that is sent when this process cannot."""
        return {"order": LAST_ORDER, "code": ABNORMAL}

    # ------------------------------------------------------ words of consumers

    def reply(self, message: Mapping[str, Any]) -> list[Action]:
        """What a message to the reply channel, or to a group, makes of this socket."""
        state = self.state
        if state is not _OPEN and state is not _CONNECTING:
            return []  # The client is gone, or was told to go.
        if len(message) == 1 and state is _OPEN:
            # The way of nearly every message.
            text = message.get("text")
            if type(text) is str:
                return [SendText(text)]
        wrong = frames.unknown_keys(message) or frames.wrong_frame(message)
        if wrong:
            return [Complain(f"{wrong}. The message was dropped")]
        text, data = message.get("text"), message.get("bytes")
        if state is _CONNECTING:
            return self._handshake(message, text, data)
        return [*_frames(text, data), *self._close(message.get("close"))]

    def _handshake(
        self, message: Mapping[str, Any], text: str | None, data: bytes | None
    ) -> list[Action]:
        if message.get("accept") is False:
            return self._deny()
        # An empty frame means nothing here: nobody would be there to get it.
        text, data = text or None, data or None
        if message.get("accept") or text or data:
            actions = self._accept(message.get("subprotocol"))
            return [*actions, *_frames(text, data), *self._close(message.get("close"))]
        return self._deny() if message.get("close") else []

    def _accept(self, wanted: Any) -> list[Action]:
        self.state = State.OPEN
        self.accepted = True
        if wanted is None:
            chosen = next((name for name in self._offered if name in self._protocols), None)
            return [Accept(chosen)]
        if wanted in self._offered:
            return [Accept(wanted)]
        return [
            Complain(
                f"the subprotocol {wanted!r} is not one that the client offered "
                f"({', '.join(self._offered) or 'none':.200}); accepted without one"
            ),
            Accept(None),
        ]

    def _close(self, code: Any) -> list[Action]:
        if not code:
            return []
        wrong = frames.wrong_code(code)
        if wrong:
            return [Complain(f"{wrong}; the socket stays open")]
        self.state = State.CLOSING
        return [Close(NORMAL if code is True else code)]

    def _deny(self, status: int = 403) -> list[Action]:
        self.state = State.CLOSING
        return [Deny(status)]

    # ------------------------------------------------------ words of the interface

    def end(self, code: int, *, status: int = 403) -> list[Action]:
        """End it for a reason of ours: a close with ``code``, a refusal while connecting."""
        if self.state is State.CONNECTING:
            return self._deny(status)
        if self.state is State.OPEN:
            self.state = State.CLOSING
            return [Close(code)]
        return []

    def timeout(self) -> list[Action]:
        """Nobody answered the handshake in time."""
        return self._deny() if self.state is State.CONNECTING else []

    def status(self, channel: str, status: str) -> list[Action]:
        """What the end of a delivery without a consumer's work means for the socket."""
        if status in (codec.POISON, codec.STUCK):
            return self.end(INTERNAL_ERROR)
        if channel == CONNECT and status in (codec.EXPIRED, codec.LOST, codec.FAILED):
            # Nobody accepts it any more. One that was accepted before its consumer raised is open.
            return self.timeout()
        return []


def subprotocols(scope: Mapping[str, Any]) -> list[str]:
    """Those that the client offers, without what is no name.

    Daphne decodes what a client has percent-encoded, CR LF too, and the one that is taken is
    a header of the response.
    """
    offered: Iterable[str] = scope.get("subprotocols") or ()
    return [name for name in offered if _TOKEN.fullmatch(name)]


def headers(scope: Mapping[str, Any]) -> list[list[bytes]]:
    """The scope's headers, without names that a proxy could be fooled with.

    ``X_Real-IP`` and ``X-Real-IP`` are one variable to CGI's children (CVE-2015-0219).
    """
    return [[name, value] for name, value in scope.get("headers", ()) if b"_" not in name]


def _frames(text: str | None, data: bytes | None) -> list[Action]:
    # Both given but one empty: the other is meant. Both empty: one empty frame.
    if text is not None and not (text == "" and data):
        return [SendText(text)]
    if data is not None:
        return [SendBytes(data)]
    return []
