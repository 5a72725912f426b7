"""The interface: an ASGI 3 application that hands everything on to workers.

From Daphne or any ASGI server; on to one connection each: ``websocket_connection`` or
``http_connection``. What belongs to the process is here: its end of the layer, the
connections there are, the end of all of them, and what happens without Redis.
"""

import asyncio
import functools
import gc
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from djchan.exceptions import BrokerError, InvalidChannelLayer
from djchan.interface import (
    accepts,
    arrival,
    bounds,
    daphne,
    daphne_response,
    drain,
    http,
    memory,
    reactor,
    targets,
)
from djchan.interface.body_connection import BodyConnection
from djchan.interface.connection import ChannelLimits, Connection, Layer, Local
from djchan.interface.http_connection import HttpConnection
from djchan.interface.incoming import Incoming
from djchan.interface.journal import Journal
from djchan.interface.mailbox_connection import MailboxConnection
from djchan.interface.options import InterfaceOptions
from djchan.interface.pace import Budget, ResponseListener
from djchan.interface.response_connection import Outlet as ResponseOutlet
from djchan.interface.served import Served
from djchan.interface.sources import Sources
from djchan.interface.spool import Storage
from djchan.interface.turns import Turns
from djchan.interface.websocket import TRY_AGAIN_LATER
from djchan.interface.websocket_connection import Outlet as SocketOutlet
from djchan.interface.websocket_connection import WebSocketConnection
from djchan.interface.writer import PlainResponse, PlainSocket
from djchan.legible import Hidden
from djchan.log import escaping
from djchan.throttling import throttle

logger = escaping(logging.getLogger(__name__))

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

_GC_THRESHOLD = (10_000, 20, 50)  # Python's own: (700, 10, 10).
_RESTART_PAUSE = 1.0  # Seconds between two attempts to reach the layer.
_TICK = 0.5  # Seconds between two looks at whether Redis answers.


class Interface:
    """The ASGI application over ``layer``.

    ``options``: InterfaceOptions, or a dict of them (INTERFACE in CHANNEL_LAYERS);
    ``settings``: single options; raises InvalidChannelLayer for one that does not exist.
    ``hidden``: parameters of queries whose values Daphne's access log does not show.
    """

    def __init__(
        self,
        layer: Layer,
        options: InterfaceOptions | Mapping[str, Any] | None = None,
        *,
        hidden: Hidden = None,
        **settings: object,
    ) -> None:
        if isinstance(options, InterfaceOptions):
            if settings:
                raise InvalidChannelLayer("Give options as one object or one by one, not both.")
            self.options = options
        else:
            self.options = InterfaceOptions.parse({**(options or {}), **settings})
        self.layer = layer
        self.journal = Journal(logger)
        self.served = Served(unknown=self.options.unserved_wait, away=self.options.disconnect_wait)
        self.sources = Sources(
            self.options.fair,
            connections=self.options.source_connections,
            rate=self.options.source_rate,
            burst=self.options.source_burst,
            log=self.journal,
        )
        self.turns: Turns[MailboxConnection] = Turns(self.options.disconnects)
        self.outgoing = Budget(self.options.http_outgoing_total)
        self.storage = Storage(
            memory=self.options.http_body_memory, disk=self.options.http_body_disk
        )
        self.chunks: Turns[BodyConnection] = Turns(
            max(1, self.options.http_body_window // http.CHUNK)
        )
        self.mailboxes = Budget(self.options.mailboxes_bytes)
        self.incoming = Incoming(self.options.incoming_total)
        self.handshakes: set[Connection] = set()
        self._frames_waiting = 0  # Bytes for the clients of sockets, since they were last counted.
        self.connections: set[Connection] = set()
        self.draining = False
        self._limits: dict[str, ChannelLimits] = {}
        self._local: Local | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting: asyncio.Task[None] | None = None
        self._failed_at = -math.inf
        self._news: asyncio.Event | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._drained_server: Any = None
        self._bounds = bounds.Bounds(
            outgoing=self.options.outgoing_bytes,
            incoming=self.incoming,
            body=self.options.http_max_body,
            inline=self.options.http_inline_body,
            arrival=arrival.ArrivalLimits(
                self.options.http_body_timeout, self.options.http_body_rate
            ),
            header_timeout=self.options.http_header_timeout,
            storage=self.storage,
            journal=self.journal,
            connections=self.options.connections,
            root_path=self.options.root_path_header,
            hidden=hidden,
        )
        self._warming: asyncio.Future[Any] | None = None
        self._growth: memory.Growth | None = None  # Only where collections were made rare.

    @property
    def counts(self) -> Mapping[str, int]:
        """What was counted since the start, by cause, and what there is now: connections, those
        that wait to hand their disconnect on, and the bodies of requests."""
        return {
            **self.journal.counts,
            "connections": len(self.connections),
            "handshakes": len(self.handshakes),
            "bytes in mailboxes": self.mailboxes.used,
            "bytes of unfinished messages": self.incoming.used,
            "disconnects waiting": self.turns.waiting,
            "response bytes waiting": self.outgoing.used,
            "bytes of bodies in memory": self.storage.memory,
            "bytes of bodies on disk": self.storage.disk,
            "bodies waiting": self.chunks.waiting,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "websocket":
            await self._websocket(targets.origin_form(scope), receive, send)
        elif kind == "http":
            await self._http(targets.origin_form(scope), receive, send)
        elif kind == "lifespan":
            await self._lifespan(receive, send)
        else:
            raise ValueError(
                f"djchan's interface has no use for a scope of type {kind!r}: it takes http, "
                "websocket and lifespan."
            )

    # ------------------------------------------------------------------ one call each

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = self.options.outgoing_bytes
        protocol = daphne.find_socket(send)
        outlet: Callable[[Callable[[], None]], SocketOutlet]
        if protocol is None:
            outlet = functools.partial(_plain_socket, send, scope, limit)
        else:
            outlet = functools.partial(_daphne_socket, protocol, limit)
            self._drain_at_shutdown(protocol.server)
            bounds.limit_message(protocol, self.layer.max_message_size)
        local = None if self._is_full() else await self._started()
        if local is not None:
            await WebSocketConnection(self, local, scope, outlet).run(receive)
            return
        await receive()  # websocket.connect
        outlet(_ignore).deny(503)
        while (await receive())["type"] != "websocket.disconnect":
            pass

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._bounds.requests = True
        request = daphne.find_request(send)
        outlet: Callable[[ResponseListener], ResponseOutlet]
        if request is None:
            outlet = functools.partial(PlainResponse, send)
        else:
            outlet = functools.partial(daphne_response.DaphneResponse, request)
            self._drain_at_shutdown(request.server)
        full = self._is_full()
        local = None if full else await self._started()
        if local is not None:
            await HttpConnection(self, local, scope, outlet).run(receive)
            return
        sentence = http.RESTARTING if self.draining else http.NO_BROKER
        if full:
            sentence = http.TOO_MANY
        (start,) = http.Exchange(scope).refuse(503, sentence)
        assert isinstance(start, http.Start)
        outlet(_Nobody()).start(*start, len(start.content))
        while (await receive())["type"] != "http.disconnect":
            pass

    def _is_full(self) -> bool:
        """Whether the process has as many connections as it may."""
        if len(self.connections) < self.options.connections:
            return False
        bounds.log_refused(self.journal, self.options.connections)
        return True

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            event = await receive()
            if event["type"] == "lifespan.startup":
                throttle.is_on = True  # As in warm_up: this is a server.
                try:
                    await self.startup()
                except BrokerError as error:
                    # Not a reason to stay away: it starts with the first connection that
                    # finds Redis there, as it would have gone on had it started before.
                    logger.error("The channel layer cannot be used yet: %s", error)
                await send({"type": "lifespan.startup.complete"})
            elif event["type"] == "lifespan.shutdown":
                await self.shutdown()
                await send({"type": "lifespan.shutdown.complete"})
                return

    # ---------------------------------------------------------------- start and end

    async def startup(self) -> None:
        """Start this event loop's end of the layer. Raises BrokerError without Redis."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # Tests, and servers that make a loop for the lifespan, have several.
            self._loop = loop
            self._local = None
            self._starting = None
            self._watch = None
            self._news = asyncio.Event()
            self.draining = False
            accepts.log_briefly(loop, self.journal)
        if self._local is None:
            if self._starting is None:
                self._starting = loop.create_task(self._start())
            starting = self._starting
            # Shielded: one client that leaves must not stop it for the others.
            await asyncio.shield(starting)

    async def _start(self) -> None:
        local: Local = self.layer.local()
        try:
            await local.start()
        finally:
            self._starting = None
        self._local = local
        self._watch = asyncio.get_running_loop().call_later(_TICK, self._look)

    async def _started(self) -> Local | None:
        """This event loop's end of the layer; None while it cannot be reached."""
        local = self._local
        if local is not None and self._loop is asyncio.get_running_loop():
            return local
        if self.draining and self._loop is asyncio.get_running_loop():
            return None
        if self._starting is None and time.monotonic() - self._failed_at < _RESTART_PAUSE:
            return None
        try:
            await self.startup()
        except BrokerError as error:
            self._failed_at = time.monotonic()
            self.journal.say("broker.start", "The channel layer cannot be used: %s", error)
            return None
        return self._local

    def warm_up(self) -> None:
        """Start now, not with the first connection, which would wait for it.

        This process is a server now, so garbage collection is set up for one: what was
        imported stays and is not gone through again, and young objects are gone through less
        often. With the defaults a full collection holds up all sockets for some 70 ms with
        every few hundred connections (measured with ``connect`` of ``make bench``).
        """
        throttle.is_on = True
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLD)
        self._growth = memory.Growth(self.options.collect_growth)
        for server in bounds.servers():
            self._bounds.bind(server, self)
        self._warming = asyncio.ensure_future(self._started())

    async def shutdown(self, grace: float | None = None) -> None:
        """Close the sockets (1012) and cut the held responses a few at a time, each when what
        its client had sent is answered, enqueue their disconnects, answer the requests, say
        goodbye: within ``grace`` seconds (shutdown_grace). New connections are refused
        meanwhile.

        Whatever could not be enqueued, the layer sends: it has a record of each socket.
        """
        grace = self.options.shutdown_grace if grace is None else grace
        self.draining = True
        local, self._local = self._local, None
        if local is None:
            return
        if self._watch is not None:
            self._watch.cancel()
        logger.info("Shutting down with %d connections", len(self.connections))
        end = time.monotonic() + grace
        lasting = [each for each in self.connections if each.lasts]
        for pause, batch in drain.schedule(lasting, min(self.options.drain, grace / 2)):
            await asyncio.sleep(pause)
            for connection in batch:
                connection.leave()
        # Some of the time is for those whose answers do not come.
        await self._until(lambda connection: connection.idle, end - min(1.0, grace / 4))
        cut = sum(connection.is_sending for connection in self.connections)
        if cut:
            logger.warning(
                "%d responses are cut: their clients had not read them within shutdown_grace "
                "(%.0f s, under INTERFACE in CHANNEL_LAYERS)",
                cut,
                grace,
            )
        for connection in list(self.connections):
            connection.shut_down()
        for socket in self.turns.open():
            socket.turn_came()
        await self._until(lambda connection: connection.settled, end)
        await local.stop(max(0.1, end - time.monotonic()))
        self.connections.clear()

    async def _until(self, done: Callable[[Connection], bool], end: float) -> None:
        """Wait until all connections are ``done``, or ``end`` (monotonic)."""
        news = self._news
        assert news is not None
        while not all(map(done, self.connections)):
            news.clear()
            try:
                await asyncio.wait_for(news.wait(), max(0.0, end - time.monotonic()))
            except TimeoutError:
                return

    def changed(self) -> None:
        """A connection came closer to its end."""
        if self.draining and self._news is not None:
            self._news.set()

    def _drain_at_shutdown(self, server: object) -> None:
        if self._drained_server is not server:
            self._drained_server = server
            reactor.drain_at_shutdown(self, server, flush=self.options.shutdown_grace)
            self._bounds.bind(server, self)

    # ------------------------------------------------------------- for connections

    def frames_wait(self, size: int) -> None:
        """So many more bytes wait for the client of a socket. When all of them may be too much,
        they are counted, and the sockets with the most are closed."""
        self._frames_waiting += size
        limit = self.options.outgoing_total
        if self._frames_waiting <= limit:
            return
        sockets = [c for c in self.connections if isinstance(c, WebSocketConnection) and c.open]
        waiting = sorted(((c.unsent, c) for c in sockets), key=_first, reverse=True)
        self._frames_waiting = sum(map(_first, waiting))
        if self._frames_waiting <= limit:
            return
        for unsent, connection in waiting:
            connection.give_room()
            self._frames_waiting -= unsent
            if self._frames_waiting <= limit * 9 // 10:  # Not again with the next frame.
                return

    def limits(self, channel: str) -> ChannelLimits:
        """The layer's limits for one of the few channels of the protocols."""
        limits = self._limits.get(channel)
        if limits is None:
            layer = self.layer
            limits = self._limits[channel] = ChannelLimits(
                layer.capacity_of(channel), layer.max_bytes_of(channel), layer.total_bytes
            )
        return limits

    def make_room(self) -> None:
        """All responses together are over their limit: cut the one whose client is slowest."""
        sending = [c for c in self.connections if isinstance(c, HttpConnection) and c.is_sending]
        if sending:
            min(sending, key=lambda connection: connection.moved_at).give_room()

    # --------------------------------------------------------------- without Redis

    def _collect(self) -> None:
        """Run the garbage collection that is made rare by ``warm_up``, if memory has grown."""
        resident = memory.resident()
        if self._growth is None or resident is None or not self._growth.has_grown(resident):
            return
        memory.collect()
        self._growth.collected(memory.resident() or resident)
        self.journal.count("memory.collected")

    def _look(self) -> None:
        """Twice a second: close sockets when Redis has been away for longer than the grace.

        A share at each look, picked by chance, so that over ``broker_grace`` seconds all
        are told and do not come back in one wave.
        """
        local, loop = self._local, self._loop
        if local is None or loop is None:
            return
        self._watch = loop.call_later(_TICK, self._look)
        self._collect()
        down_since = local.down_since
        if local.available or down_since is None:
            return
        grace = self.options.broker_grace
        over = time.monotonic() - down_since - grace
        if over < 0:
            return
        sockets = [c for c in self.connections if isinstance(c, WebSocketConnection) and c.open]
        if not sockets:
            return
        share = math.ceil(len(sockets) * _TICK / max(_TICK, grace - over))
        self.journal.say(
            "broker.grace",
            "The channel layer has not answered for %.0f s (broker_grace is %.0f): closing %d open "
            "WebSockets (1013), a few at a time. %s",
            grace + over,
            grace,
            len(sockets),
            local.trouble,
            level=logging.ERROR,
        )
        for connection in random.sample(sockets, min(share, len(sockets))):
            self.journal.count("websocket.no_broker")
            connection.end(TRY_AGAIN_LATER)


def _first(pair: tuple[int, object]) -> int:
    return pair[0]


def _ignore() -> None:
    pass


def _plain_socket(
    send: Send, scope: Scope, limit: int, overflow: Callable[[], None]
) -> SocketOutlet:
    return PlainSocket(send, scope, limit=limit, overflow=overflow)


def _daphne_socket(protocol: object, limit: int, overflow: Callable[[], None]) -> SocketOutlet:
    return daphne.DaphneSocket(protocol, limit=limit, overflow=overflow)


class _Nobody:
    """The listener of a response that is whole and short."""

    def on_taken(self, size: int) -> None:
        pass

    def on_broken(self) -> None:
        pass

    def end_call(self) -> None:
        pass
