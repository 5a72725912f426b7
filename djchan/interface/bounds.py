"""What a client can make Daphne hold, bounded where Daphne and autobahn leave it open.

From ``application``, when the server starts, and from ``djchan.sockets``, for what concerns
WebSockets in a process without a channel layer; on to the server's own factories, which from
then on make protocols of the classes below. They add to Daphne's what follows, seen missing
in Daphne 4.2.3 and autobahn 26.10:

- a message is bounded by the layer's max_message_size too, and a limit that is met is logged
  with its setting: Daphne's own log is off.
- a message in a million fragments, or a frame in a million TCP segments, costs what it
  weighs, not fifty times as much: pieces are joined now and then.
- the messages of all sockets whose ends have not arrived are bounded together (``incoming``).
- what a client sends before its handshake is answered is bounded, and is not taken for a
  second handshake.
- a client that broke the protocol is told its close code: autobahn just drops it.
- a handshake that is refused before it is ours is logged: it may be a proxy's fault.
- pings of a client that does not read are not answered without end.
- a socket that is older than --websocket_timeout is closed with 1012, on which every client
  connects again: Daphne's own 1000 means that all was said.
- a request's body is bounded (``request_bounds``), and the time for its headers
  (``request_headers``).
- headers, paths and subprotocols are taken as ``trust`` has it.

Daphne's classes are left as they are; ``tests/interface/test_bounds.py`` fails when their
shape changes, and a server of another shape is left as it is, with a warning.
"""

import asyncio
import logging
import sys
from typing import Any

from twisted.internet.defer import Deferred

from djchan.interface import (
    daphne,
    request_bounds,
    request_headers,
    targets,
    trust,
    uploads,
)
from djchan.interface.arrival import ArrivalLimits
from djchan.interface.incoming import Incoming
from djchan.interface.journal import Journal
from djchan.interface.options import MIB
from djchan.interface.spool import Storage
from djchan.interface.websocket import SERVICE_RESTART, TOO_BIG, TRY_AGAIN_LATER
from djchan.interface.wires import ConnectionRefusal, Wires
from djchan.legible import Hidden
from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))

EARLY = 16 * 1024  # Bytes that may arrive before the handshake is answered.
LAST_WORD = 1.0  # Seconds for a client to take the close frame before it is cut off.
# Seconds for a client to answer a close frame. Autobahn rounds the moment down to a full second,
# so that its own default of 1 may leave a client no time at all, and it never hears the code.
CLOSE_ANSWER = 2.0
PIECES = 1024  # Fragments, or pieces of one frame, until they are joined.
INCOMING = 64 * MIB  # Bytes of unfinished messages in a process without a channel layer.

_SOCKET = (
    "_fail_connection",
    "_max_message_size_exceeded",
    "check_timeouts",
    "connectionLost",
    "dropConnection",
    "duration",
    "failHandshake",
    "onClose",
    "onConnect",
    "onMessageFrame",
    "onMessageFrameData",
    "onPing",
    "processHandshake",
    "sendCloseFrame",
)
_UNKNOWN = (
    "This Daphne has another shape than the one djchan knows: what clients can make it hold is "
    "bounded by its own options only. Look for a newer djchan."
)


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
    """``outgoing``: bytes that wait for one client; ``incoming``: the unfinished messages of all
    sockets; ``body``: bytes of one request body, of which ``inline`` may be in memory;
    ``arrival``: how slowly it may come; ``header_timeout``: seconds for the headers of a request;
    ``storage``: for the bodies of all requests;
    ``connections``: how many there may be. They count from the
    moment that ``requests`` says that requests come to the interface and not to Django:
    it is the server's application, or one request came. ``root_path``: whether a proxy in
    front sets Daphne-Root-Path; ``hidden``: parameters of queries that are not logged."""

    def __init__(
        self,
        *,
        outgoing: int,
        incoming: Incoming,
        body: int,
        inline: int,
        arrival: ArrivalLimits,
        header_timeout: float | None,
        storage: Storage,
        journal: Journal,
        connections: int = sys.maxsize,
        root_path: bool = False,
        hidden: Hidden = None,
    ) -> None:
        self.hidden = hidden
        self.outgoing = outgoing
        self.incoming = incoming
        self.body = body
        self.inline = inline
        self.arrival = arrival
        self.header_timeout = header_timeout
        self.storage = storage
        self.root_path = root_path
        self.journal = journal
        self.requests = False
        self.connections = connections
        self.wires = Wires()
        self._bound: list[Any] = []

    def bind(self, server: Any, interface: object) -> None:
        """Bound what ``server`` accepts from now on."""
        if server in self._bound:
            return
        self._bound.append(server)
        trust.escape_logs(server, self.hidden)
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
        ws.protocol = _bounded_socket(
            plain, self.outgoing, self.incoming, self.journal, root_path=self.root_path
        )
        ws.closeHandshakeTimeout = CLOSE_ANSWER
        build = http.buildProtocol
        classes: dict[Any, Any] = {}
        forwarded = trust.forwarded_headers(server)
        channels = request_headers.bounded(self.journal)

        def build_bounded(address: Any) -> Any:
            if self.wires.open >= self.connections:
                log_refused(self.journal, self.connections)
                return ConnectionRefusal()
            protocol = build(address)
            self.wires.watch(protocol)
            request_headers.bind(protocol, channels)
            plain = protocol.requestFactory
            if plain not in classes:
                known = request_bounds.is_known(plain)
                classes[plain] = (
                    request_bounds.bounded(plain, self, self.journal, forwarded=forwarded)
                    if known
                    else plain
                )
            protocol.requestFactory = classes[plain]
            return protocol

        http.buildProtocol = build_bounded
        if getattr(server, "verbosity", 2) < 2:
            # Twisted formats a line for each request, and Daphne has thrown its log away.
            http.log = _ignore
        if application is not None:
            server.application = uploads.hand_over(application, request_bounds.take_body)


def _ignore(request: object) -> None:
    pass


def log_refused(log: Journal, limit: int) -> None:
    log.say(
        "connection.refused",
        "A connection was refused (503): there are %d, the limit (connections under INTERFACE in "
        "CHANNEL_LAYERS). Run more interface processes, or raise it and the limit of open files",
        limit,
    )


def bound_sockets(server: Any, *, outgoing: int, journal: Journal, hidden: Hidden = None) -> None:
    """Bound the WebSockets that ``server`` accepts from now on, if no interface has done it."""
    ws: Any = getattr(server, "ws_factory", None)
    trust.escape_logs(server, hidden)
    if not _is_known(ws):
        logger.warning(_UNKNOWN)
    elif not hasattr(ws.protocol, "unbounded"):
        ws.protocol = _bounded_socket(ws.protocol, outgoing, Incoming(INCOMING), journal)
        ws.closeHandshakeTimeout = CLOSE_ANSWER


def _is_known(factory: Any) -> bool:
    socket = getattr(factory, "protocol", None)
    return all(hasattr(socket, name) for name in _SOCKET)


def limit_message(protocol: Any, size: int) -> None:
    """Let messages of this WebSocket have at most ``size`` bytes, if Daphne allows as many."""
    if not 0 < getattr(protocol, "maxMessagePayloadSize", 0) <= size:
        protocol.maxMessagePayloadSize = size


def _bounded_socket(
    plain: Any, outgoing: int, incoming: Incoming, journal: Journal, *, root_path: bool = False
) -> Any:
    """A class like Daphne's WebSocketProtocol, with bounds."""

    class Socket(plain):  # type: ignore[misc]
        unbounded = plain
        data: Any
        http_request_uri: str
        frame_data: Any = None
        message_data: Any = None
        _kept = 0  # Bytes of an unfinished message.

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
            host, _ = targets.split(self.http_request_uri.encode())
            if host is not None:
                request.headers["host"] = host.decode()
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
                if self._kept or len(payload) < self.frame_length or not self.current_frame.fin:
                    self._keep(len(payload))

        def onMessageFrame(self, payload: list[bytes]) -> None:
            if not self.failedByMe:
                pieces = self.message_data
                pieces.extend(payload)
                if len(pieces) > PIECES:
                    self.message_data = [b"".join(pieces)]
                if self._kept and self.current_frame.fin:
                    self._let_go()  # The message is whole.

        def _keep(self, size: int) -> None:
            self._kept += size
            fullest = incoming.add(self, size)
            if fullest is not None:
                fullest._too_much()

        def _let_go(self) -> None:
            self._kept = 0
            incoming.drop(self)

        def _too_much(self) -> None:
            """Close this socket: all sockets together keep too much, and it keeps the most."""
            journal.say(
                "incoming.total",
                "A WebSocket was closed (1013): the messages of all sockets whose ends have not "
                "arrived are %d bytes, most of them of this one (%d); the limit is %d "
                "(incoming_total under INTERFACE in CHANNEL_LAYERS)",
                incoming.used,
                self._kept,
                incoming.limit,
            )
            self.failedByMe = True
            self._forget()
            if self.state == self.STATE_OPEN:
                self.sendCloseFrame(code=TRY_AGAIN_LATER)

        def _forget(self) -> None:
            """Drop what has arrived of a message."""
            self._let_go()
            for pieces in (self.frame_data, self.message_data):
                if pieces:
                    pieces.clear()

        def connectionLost(self, reason: object) -> None:
            self._forget()
            super().connectionLost(reason)
            for future in (self.is_open, self.is_closed):
                future.result = None  # It is the protocol itself: a cycle.
            # So is what waits for the answer to a handshake.
            self.__dict__.pop("handshake_deferred", None)

        def check_timeouts(self) -> None:
            if (
                self.state == self.STATE_OPEN
                and 0 <= self.server.websocket_timeout < self.duration()
            ):
                self.sendCloseFrame(code=SERVICE_RESTART)
            else:
                super().check_timeouts()

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
            self._forget()
            if self.state == self.STATE_OPEN:
                self.sendCloseFrame(code=TOO_BIG)

        def _fail_connection(self, code: int, reason: str) -> None:
            if self.state != self.STATE_OPEN:
                super()._fail_connection(code, reason)
                return
            # autobahn would drop the connection without a word.
            journal.count(f"protocol.{code}")
            self.failedByMe = True
            self._forget()
            self.sendCloseFrame(code=code)
            self.wasClean, self.wasNotCleanReason = False, reason
            self.dropConnection(abort=False)
            asyncio.get_running_loop().call_later(LAST_WORD, self.transport.abortConnection)

    Socket.__name__ = plain.__name__
    return Socket
