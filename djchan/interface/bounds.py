"""What a client can make Daphne hold, bounded where Daphne and autobahn leave it open.

From ``application``, when the server starts, and from ``djchan.sockets``, for what concerns
WebSockets in a process without a channel layer; on to the server's own factories, which from
then on make protocols of the classes below. They add to Daphne's what follows, seen missing
in Daphne 4.2.3 and autobahn 26.10:

- a message is bounded by the layer's max_message_size too, and a limit that is met is logged
  with its setting: Daphne's own log is off.
- a message in a million fragments, or a frame in a million TCP segments, costs what it
  weighs, not fifty times as much: pieces are joined now and then.
- what a client sends before its handshake is answered is bounded, and is not taken for a
  second handshake.
- a client that broke the protocol is told its close code: autobahn just drops it.
- a handshake that is refused before it is ours is logged: it may be a proxy's fault.
- pings of a client that does not read are not answered without end.
- a response that took longer than --http-timeout is cut: Daphne would end it as if it were whole.
- a request body over http_max_body is refused when it is announced or when it has grown so
  large: Daphne would first write all of it to the disk.
- a Transfer-Encoding that is not plainly "chunked", which a proxy may read in another way, is
  refused: Twisted takes "identity" too.
- headers, paths and subprotocols are taken as ``trust`` has it.

Daphne's classes are left as they are; ``tests/interface/test_bounds.py`` fails when their
shape changes, and a server of another shape is left as it is, with a warning.
"""

import asyncio
import logging
import sys
from typing import Any

from twisted.internet.defer import Deferred

from djchan.interface import daphne, trust
from djchan.interface.http import TOO_LARGE
from djchan.interface.journal import Journal
from djchan.interface.websocket import TOO_BIG
from djchan.interface.wires import Wires
from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))

EARLY = 16 * 1024  # Bytes that may arrive before the handshake is answered.
LAST_WORD = 1.0  # Seconds for a client to take the close frame before it is cut off.
PIECES = 1024  # Fragments, or pieces of one frame, until they are joined.
LINGER = 5.0  # Seconds in which the rest of a refused body is read, so that its client reads 413.

_SOCKET = (
    "_fail_connection",
    "_max_message_size_exceeded",
    "connectionLost",
    "dropConnection",
    "failHandshake",
    "onClose",
    "onConnect",
    "onMessageFrame",
    "onMessageFrameData",
    "onPing",
    "processHandshake",
    "sendCloseFrame",
)
_REQUEST = (
    *("check_timeouts", "connectionLost", "gotLength", "handleContentChunk", "process"),
    "requestReceived",
)
_REFUSAL = (
    b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    b"Content-Length: %d\r\n\r\n%s\n"
)
_UNKNOWN = (
    "This Daphne has another shape than the one djchan knows: what clients can make it hold is "
    "bounded by its own options only. Look for a newer djchan."
)
_BAD_ENCODING = "Transfer-Encoding is chunked, or it is left out."


def servers() -> list[Any]:
    """Daphne's servers that listen in this process."""
    reactor: Any = sys.modules.get("twisted.internet.reactor")
    found = []
    for port in reactor.getReaders() if hasattr(reactor, "getReaders") else ():
        factory = getattr(port, "factory", None)
        factory = getattr(factory, "wrappedFactory", factory)  # Below TLS.
        server = getattr(factory, "server", None)
        if server is not None and server not in found and hasattr(server, "http_factory"):
            found.append(server)
    return found


class Bounds:
    """``outgoing``: bytes that wait for one client; ``body``: bytes of one request body, from
    the moment that ``requests`` says that requests come to the interface and not to Django:
    it is the server's application, or one request came. ``root_path``: whether a proxy in
    front sets Daphne-Root-Path."""

    def __init__(
        self, *, outgoing: int, body: int, journal: Journal, root_path: bool = False
    ) -> None:
        self.outgoing = outgoing
        self.body = body
        self.root_path = root_path
        self.journal = journal
        self.requests = False
        self.wires = Wires()
        self._bound: list[Any] = []

    def bind(self, server: Any, interface: object) -> None:
        """Bound what ``server`` accepts from now on."""
        if server in self._bound:
            return
        self._bound.append(server)
        trust.escape_logs(server)
        application = getattr(server, "application", None)
        if interface in (application, getattr(application, "interface", None)):
            self.requests = True
        http: Any = getattr(server, "http_factory", None)
        ws: Any = getattr(server, "ws_factory", None)
        if not hasattr(http, "buildProtocol") or not _is_known(ws):
            logger.warning(_UNKNOWN)
            return
        # Socket views may have been here before, with bounds of their own.
        plain = getattr(ws.protocol, "unbounded", ws.protocol)
        ws.protocol = _bounded_socket(plain, self.outgoing, self.journal, self.root_path)
        build = http.buildProtocol
        classes: dict[Any, Any] = {}

        def build_bounded(address: Any) -> Any:
            protocol = build(address)
            self.wires.watch(protocol)
            plain = protocol.requestFactory
            if plain not in classes:
                known = all(hasattr(plain, name) for name in _REQUEST)
                classes[plain] = _bounded_request(plain, self) if known else plain
            protocol.requestFactory = classes[plain]
            return protocol

        http.buildProtocol = build_bounded


def bound_sockets(server: Any, *, outgoing: int, journal: Journal) -> None:
    """Bound the WebSockets that ``server`` accepts from now on, if no interface has done it."""
    ws: Any = getattr(server, "ws_factory", None)
    trust.escape_logs(server)
    if not _is_known(ws):
        logger.warning(_UNKNOWN)
    elif not hasattr(ws.protocol, "unbounded"):
        ws.protocol = _bounded_socket(ws.protocol, outgoing, journal)


def _is_known(factory: Any) -> bool:
    socket = getattr(factory, "protocol", None)
    return all(hasattr(socket, name) for name in _SOCKET)


def limit_message(protocol: Any, size: int) -> None:
    """Let messages of this WebSocket have at most ``size`` bytes, if Daphne allows as many."""
    if not 0 < getattr(protocol, "maxMessagePayloadSize", 0) <= size:
        protocol.maxMessagePayloadSize = size


def _bounded_socket(plain: Any, outgoing: int, journal: Journal, root_path: bool = False) -> Any:
    """A class like Daphne's WebSocketProtocol, with bounds."""

    class Socket(plain):  # type: ignore[misc]
        unbounded = plain
        data: Any
        http_request_uri: str
        frame_data: Any
        message_data: Any

        def processHandshake(self) -> None:
            # Called with every piece of data until the socket is open. Here a handshake has
            # been read, and waits for its answer; autobahn takes the data after that.
            if not hasattr(self, "handshake_deferred"):
                super().processHandshake()
            elif len(self.data) > EARLY:
                journal.say(
                    "connect.early",
                    "A WebSocket was dropped: its client sent more than %d bytes before its "
                    "handshake was answered",
                    EARLY,
                )
                self.data = b""
                self.dropConnection(abort=True)

        def onConnect(self, request: Any) -> Any:
            path = trust.handshake_path(self.http_request_uri)
            problem = trust.handshake_problem(request.headers)
            if path is None:
                problem = "its target is no path"
            if problem is not None:
                self.failHandshake(problem, 400)
                return Deferred()  # Nobody answers it: it is over.
            request.path = path
            if not root_path:
                request.headers.pop(trust.ROOT_PATH, None)
            return super().onConnect(request)

        def failHandshake(self, reason: str, *rest: Any, **options: Any) -> None:
            if not hasattr(self, "handshake_deferred"):
                # With one it was ours, and an application has refused it.
                journal.say(
                    "connect.bad",
                    "The handshake of a WebSocket is none: %.200r. If a proxy is in front, it has "
                    "to hand the headers Upgrade and Connection on (docs/howto/deploy.md)",
                    reason,
                    level=logging.INFO,
                )
            super().failHandshake(reason, *rest, **options)

        def onClose(self, wasClean: bool, code: int, reason: str) -> None:
            # Daphne's own raises where no handshake was taken, so that there is no server.
            if hasattr(self, "server"):
                super().onClose(wasClean, code, reason)

        def onMessageFrameData(self, payload: bytes) -> None:
            if not self.failedByMe:
                pieces = self.frame_data
                pieces.append(payload)
                if len(pieces) > PIECES:
                    self.frame_data = [b"".join(pieces)]

        def onMessageFrame(self, payload: list[bytes]) -> None:
            if not self.failedByMe:
                pieces = self.message_data
                pieces.extend(payload)
                if len(pieces) > PIECES:
                    self.message_data = [b"".join(pieces)]

        def connectionLost(self, reason: object) -> None:
            super().connectionLost(reason)
            for future in (self.is_open, self.is_closed):
                future.result = None  # It is the protocol itself: a cycle.

        def onPing(self, payload: bytes) -> None:
            # RFC 6455, 5.5.3: of pings that follow each other, the last may be answered alone.
            if daphne.buffered(self.transport) <= outgoing:
                super().onPing(payload)
            else:
                journal.count("ping.unanswered")

        def _max_message_size_exceeded(self, size: int, limit: int, reason: str) -> None:
            journal.say(
                "message.too_large",
                "A WebSocket was closed (1009): its client sent a message of %d bytes or more, "
                "and the limit is %d (the lower one of max_message_size in the layer's CONFIG "
                "and Daphne's --websocket-max-message-size and --websocket-max-frame-size)",
                size,
                limit,
            )
            # What still comes is read and dropped, for the second that the client has to
            # answer: closed at once, the connection would be reset, and the code lost.
            self.failedByMe = True
            if self.state == self.STATE_OPEN:
                self.sendCloseFrame(code=TOO_BIG)

        def _fail_connection(self, code: int, reason: str) -> None:
            if self.state != self.STATE_OPEN:
                super()._fail_connection(code, reason)
                return
            # autobahn would drop the connection without a word.
            journal.count(f"protocol.{code}")
            self.failedByMe = True
            self.sendCloseFrame(code=code)
            self.wasClean, self.wasNotCleanReason = False, reason
            self.dropConnection(abort=False)
            asyncio.get_running_loop().call_later(LAST_WORD, self.transport.abortConnection)

    Socket.__name__ = plain.__name__
    return Socket


def _bounded_request(plain: Any, bounds: Bounds) -> Any:
    """A class like Daphne's WebRequest, with a bounded body.

    ::

        headers ──► gotLength ──► handleContentChunk … ──► requestReceived ──► Daphne
                        └── over ────────┴──► 413, the rest is read and dropped ──► closed
    """
    limit, journal = bounds.body, bounds.journal

    class Request(plain):  # type: ignore[misc]
        _read = 0
        _refused = False

        def gotLength(self, length: int | None) -> None:
            super().gotLength(length)
            encodings = self.requestHeaders.getRawHeaders(b"transfer-encoding", ())
            if encodings and [encoding.lower() for encoding in encodings] != [b"chunked"]:
                journal.count("http.bad_encoding")
                self._refuse(b"400 Bad Request", _BAD_ENCODING)
            elif length is not None and length > limit and bounds.requests:
                self._too_large()

        def handleContentChunk(self, data: bytes) -> None:
            if self._refused:
                return
            self._read += len(data)
            if self._read > limit and bounds.requests:
                self._too_large()
            else:
                super().handleContentChunk(data)

        def process(self) -> Any:
            trust.clean_headers(self.requestHeaders, self.server, root_path=bounds.root_path)
            return super().process()

        def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
            if self._refused:
                self.channel.loseConnection()
                return
            channel = self.channel
            super().requestReceived(command, path, version)
            if self.transport is None and self in channel.requests:
                # It became a WebSocket: nobody tells the channel when that ends.
                channel.requests.remove(self)

        def check_timeouts(self) -> None:
            # Of Daphne's --http-timeout. It would end a response that has begun, so that half of
            # it looks whole.
            timeout = self.server.http_timeout
            if not (self._response_started and timeout and self.duration() > timeout):
                super().check_timeouts()
            elif not self.finished and self.channel is not None:
                journal.say(
                    "http.daphne_timeout",
                    "A response was cut: it was not complete within %s s (daphne --http-timeout)",
                    timeout,
                )
                self.channel.transport.abortConnection()

        def connectionLost(self, reason: object) -> None:
            channel = self.channel
            super().connectionLost(reason)
            if channel is not None and hasattr(channel, "_transferDecoder"):
                channel._transferDecoder = None  # It refers to channel and request: a cycle.

        def _too_large(self) -> None:
            journal.say(
                "http.too_large",
                "A request got a 413: its body has more than %d bytes (http_max_body under "
                "INTERFACE in CHANNEL_LAYERS)",
                limit,
            )
            self._refuse(b"413 Content Too Large", TOO_LARGE)

        def _refuse(self, status: bytes, sentence: str) -> None:
            self._refused = True
            self.content.close()
            self.requestHeaders.removeHeader(b"expect")  # Or 100 would follow the 413.
            channel = self.channel
            if not hasattr(channel, "rawDataReceived"):
                channel.abortConnection()  # A stream of HTTP/2: the others go on.
                return
            refusal = _REFUSAL % (status, len(sentence) + 1, sentence.encode())
            if channel._command == b"HEAD":
                refusal = refusal[: refusal.index(b"\r\n\r\n") + 4]
            channel.transport.write(refusal)
            asyncio.get_running_loop().call_later(LINGER, channel.transport.abortConnection)

    Request.__name__ = plain.__name__
    return Request
