"""Daphne, where ASGI is not enough: its protocol object behind ``send``.

From ``application``, for a ``send`` that has Daphne's shape (and only then); on to
Daphne's and autobahn's own methods. What this mends, as seen on Daphne 4.2.3:

- ``websocket.close`` with 1011, 1012 or 1013 raises inside ``send``: here a close frame
  with any code is sent.
- ``send`` never waits, and buffers for a client that does not read without end: here what
  is buffered is looked at, and the connection told (``overflow``).
- an event costs a coroutine and two dictionaries, a frame two turns of the event loop: here
  the frames of one answer are one write, at once where the kernel takes it.
- an empty frame is dropped: here it is sent.
- a response that was begun and never ends keeps its client waiting: here it is cut.
- a response ends when it is written, not when it is sent, and its connection is idle from then
  on: Twisted cuts a client that takes longer than 75 s for the rest. Here it ends when it is sent.

Its beginning and its end are in ``reactor``.

Daphne's classes are left as they are. ``tests/interface/test_daphne.py`` fails when their
shape changes; a ``send`` of another shape gets the plain ASGI events.
"""

import functools
import struct
from collections.abc import Callable
from typing import Any

from twisted.internet.abstract import FileDescriptor

from djchan.interface.websocket import DENIED, TRY_AGAIN_LATER

_SERVER = ("connections", "handle_reply", "application_checker", "kill_all_applications")
_SOCKET = (
    "STATE_CONNECTING",
    "STATE_OPEN",
    "handle_reply",
    "handshake_deferred",
    "sendCloseFrame",
    "state",
)
_WIRE = (
    "TLS",
    "_tempDataLen",
    "connected",
    "dataBuffer",
    "disconnecting",
    "offset",
    "writeSomeData",
)
_REQUEST = ("channel", "finished", "handle_reply")
_TEXT, _BINARY = 1, 2  # Opcodes: RFC 6455, section 5.2.


def find_socket(send: Any) -> Any | None:
    """Daphne's WebSocketProtocol behind ``send``; None when there is none of that shape."""
    protocol = _find(send, _SOCKET)
    if protocol is None or not _writable(getattr(protocol, "transport", None)):
        return None
    # Daphne negotiates no compression; a server that did would not have its frames built here.
    if getattr(protocol.factory, "perMessageCompressionAccept", lambda _: 1)(()) is not None:
        return None
    return protocol


def find_request(send: Any) -> Any | None:
    """Daphne's WebRequest behind ``send``; None when there is none of that shape."""
    protocol = _find(send, _REQUEST)
    if protocol is None or not _writable(getattr(protocol.channel, "transport", None)):
        return None
    return protocol


def _find(send: object, shape: tuple[str, ...]) -> Any | None:
    if type(send) is not functools.partial or len(send.args) != 1 or send.keywords:
        return None
    server = getattr(send.func, "__self__", None)
    protocol = send.args[0]
    if getattr(protocol, "server", None) is not server:
        return None
    return protocol if _has(server, _SERVER) and _has(protocol, shape) else None


def _has(thing: object, names: tuple[str, ...]) -> bool:
    # A loop, not all(): it is asked of every request.
    for name in names:  # noqa: SIM110
        if not hasattr(thing, name):
            return False
    return True


def wire_of(transport: object) -> Any | None:
    """The transport that holds the buffer: the TCP one, below a TLS one if there is one."""
    # By its class, not its attributes: a TLS transport answers for those of the TCP one, and
    # what is written there goes out in clear.
    while transport is not None and not isinstance(transport, FileDescriptor):
        transport = getattr(transport, "transport", None)
    return transport


def _writable(transport: object) -> bool:
    """Whether what is used of ``transport`` below is there."""
    wire = wire_of(transport)
    return wire is not None and _has(wire, _WIRE)


def _buffered(wire: Any) -> int:
    """Bytes that were written and that the kernel has not taken yet."""
    return len(wire.dataBuffer) - int(wire.offset) + int(wire._tempDataLen)


def buffered(transport: Any) -> int:
    """Bytes that wait to be sent on ``transport``; 0 when nobody can tell, or nobody is there."""
    wire = wire_of(transport)
    # What waited for a client that is gone stays in the buffer, and will never be less.
    return _buffered(wire) if wire is not None and _writable(wire) and wire.connected else 0


class DaphneSocket:
    """The way out of a WebSocket on Daphne. Nothing here waits.

    Frames are collected until ``flush``, which ends every batch of them.
    """

    __slots__ = (
        "_frames",
        "_limit",
        "_open",
        "_overflow",
        "_protocol",
        "_server",
        "_wire",
    )
    _wire: Any

    def __init__(self, protocol: Any, *, limit: int, overflow: Callable[[], None]) -> None:
        self._protocol = protocol
        self._server = protocol.server
        self._wire = wire_of(protocol.transport)
        self._limit = limit
        self._overflow = overflow
        self._open = protocol.STATE_OPEN
        self._frames: list[bytes] = []

    @property
    def scheme(self) -> str:
        return scheme_of(self._protocol)

    def accept(self, subprotocol: str | None) -> None:
        if self._connecting():
            self._protocol.handle_reply({"type": "websocket.accept", "subprotocol": subprotocol})

    def text(self, text: str) -> None:
        self._frames.append(_text_frame(text))

    def data(self, data: bytes) -> None:
        self._frames.append(_frame(_BINARY, data))

    def flush(self) -> int:
        """Write the frames, past autobahn's own ways of building and logging each."""
        if not self._frames:
            return 0
        data = self._frames[0] if len(self._frames) == 1 else b"".join(self._frames)
        self._frames.clear()
        protocol, wire = self._protocol, self._wire
        if protocol.state != self._open:
            return 0
        if _buffered(wire) > self._limit:
            self._overflow()
            return 0
        if (
            wire is protocol.transport  # No TLS above it,
            and not wire.TLS  # and none begun in it:
            and not wire._tempDataLen
            and not wire.dataBuffer
            and wire.connected
            and not wire.disconnecting
        ):
            # Nothing waits before it: what the kernel takes now need not be waited for.
            taken = wire.writeSomeData(data)
            if taken == len(data):
                return 0
            # Some is left; or the connection is lost, which the reactor's own write finds out.
            if isinstance(taken, int) and taken > 0:
                data = data[taken:]
        protocol.transport.write(data)
        return len(data)

    @property
    def unsent(self) -> int:
        return _buffered(self._wire) if self._wire.connected else 0

    def close(self, code: int) -> None:
        # sendCloseFrame sends what it is given; sendClose takes 1000 and 3000 to 4999 only.
        self.flush()
        if self._protocol.state == self._open:
            self._protocol.sendCloseFrame(code=code)

    def abort(self, code: int) -> None:
        # The frame waits behind the others. A client that does not answer it in time is
        # disconnected by autobahn (bounds.CLOSE_ANSWER), and the buffer is free.
        self.close(code)

    def deny(self, status: int) -> None:
        if not self._connecting():
            return
        if status == 403:
            self._protocol.handle_reply({"type": "websocket.close"})
        else:
            # A close code is the only way to say "later", not "no".
            self._protocol.handle_reply({"type": "websocket.accept"})
            self.close(DENIED.get(status, TRY_AGAIN_LATER))

    def pause(self) -> None:
        """Read no more from the network: the client's TCP waits."""
        self._protocol.transport.pauseProducing()

    def resume(self) -> None:
        self._protocol.transport.resumeProducing()

    def gone(self) -> None:
        self._overflow = _ignore  # The connection, which refers to this: no cycle is left.

    def _connecting(self) -> bool:
        """Whether the handshake still waits: Daphne's own timers may have ended it."""
        details = self._server.connections.get(self._protocol)
        return (
            details is not None
            and "disconnected" not in details
            and self._protocol.state == self._protocol.STATE_CONNECTING
            and hasattr(self._protocol, "handshake_deferred")
        )


def _ignore() -> None:
    pass


def scheme_of(protocol: Any | None) -> str:
    """ "ws" or "wss": Daphne's scope for WebSockets has no scheme. None: another server's."""
    if protocol is None:
        return "ws"
    told = getattr(protocol, "client_scheme", None)
    if told is None:
        wire = wire_of(protocol.transport)
        is_tls = wire is not protocol.transport or getattr(wire, "TLS", False)
        return "wss" if is_tls else "ws"
    return "wss" if told in ("https", "wss") else "ws"


def _frame(opcode: int, payload: bytes) -> bytes:
    """One whole frame of a server (RFC 6455, section 5.2): not masked, not compressed."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65536:
        return struct.pack("!BBH", 0x80 | opcode, 126, size) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, size) + payload


_last_text: tuple[str, bytes] = ("", _frame(_TEXT, b""))


def _text_frame(text: str) -> bytes:
    """``_frame`` for a text; the very same text again (a group's message) costs nothing."""
    global _last_text
    last = _last_text
    if text is last[0]:
        return last[1]
    frame = _frame(_TEXT, text.encode())
    _last_text = (text, frame)
    return frame
