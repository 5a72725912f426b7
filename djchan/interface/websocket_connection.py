"""One WebSocket: feed its machine and its mailbox, perform what comes back.

From ``application`` (the server's events) and ``layers.local`` (answers and replies); on
to the client's server, and through ``mailbox_connection`` to the layer. It decides nothing
that ``websocket`` or ``mailbox`` can decide; what is its own is time: the handshake's limit
and the socket's age.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec

from djchan.exceptions import InvalidMessage, MessageTooLarge
from djchan.interface import closes, websocket
from djchan.interface.connection import Host, Local, Replies
from djchan.interface.mailbox_connection import MailboxConnection
from djchan.interface.websocket import (
    Accept,
    Action,
    Close,
    Deny,
    SendBytes,
    SendText,
    State,
    WebSocket,
)
from djchan.layers import codec


class Outlet(Protocol):
    """The way out to the client: writer.PlainSocket or daphne.DaphneSocket."""

    @property
    def scheme(self) -> str: ...

    def accept(self, subprotocol: str | None) -> None: ...

    def text(self, text: str) -> None: ...

    def data(self, data: bytes) -> None: ...

    def flush(self) -> int:
        """The end of a batch of text and data; how many bytes wait that did not before."""
        raise NotImplementedError

    @property
    def unsent(self) -> int:
        """Bytes that wait for the client."""
        ...

    def close(self, code: int) -> None: ...

    def abort(self, code: int) -> None: ...

    def deny(self, status: int) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def gone(self) -> None: ...


class WebSocketConnection(MailboxConnection):
    """``outlet``: made by a function that is given what to call when too much waits."""

    __slots__ = (
        "_age",
        "_deadline",
        "_deaf",
        "_expired",
        "_held",
        "_limit",
        "_machine",
        "_outlet",
        "_reading",
        "_text",
        "_unheard",
    )

    kind = "websocket.send"

    def __init__(
        self,
        host: Host,
        local: Local,
        scope: Mapping[str, Any],
        outlet: Callable[[Callable[[], None]], Outlet],
    ) -> None:
        super().__init__(host, local)
        self._outlet = outlet(self._overflowed)
        self._text = self._outlet.text
        self._source = host.sources.of(scope)
        self._machine = WebSocket(scope, protocols=host.options.websocket_protocols)
        self._limit = host.layer.max_message_size
        self._common = msgspec.Raw(codec.encode(self._machine.common(self.reply_channel)))
        self._deaf = False  # Frames of the client are not read any more.
        self._expired = False  # It is closed because its time was over.
        self._unheard = False  # Its connect expired before any consumer ran.
        self._deadline: asyncio.TimerHandle | None = None  # Of the handshake, or the close.
        self._age: asyncio.TimerHandle | None = None
        self._held: asyncio.Future[None] | None = None
        self._reading: asyncio.Task[None] | None = None

    # -------------------------------------------------------- the server's events

    async def run(self, receive: Callable[[], Awaitable[Mapping[str, Any]]]) -> None:
        """Feed the server's events in until the client is gone."""
        try:
            while True:
                event = await receive()
                kind = event["type"]
                if kind == "websocket.receive":
                    self._received(event)
                    if self._local.down_since is not None and self._mailbox.nearly_full:
                        await self._hold()
                elif kind == "websocket.disconnect":
                    self._gone(event.get("code"))
                    return
                elif kind == "websocket.connect":
                    self._connect()
        except asyncio.CancelledError:
            if not self._host.draining:
                self._gone(websocket.ABNORMAL)
            elif self._reading is None and self._machine.state is not State.CLOSED:
                # At shutdown the server cancels first (Daphne does); but until it is this
                # socket's turn to leave, its client is heard.
                self._reading = self._loop.create_task(self.run(receive))
            raise
        except BaseException:
            self._gone(websocket.ABNORMAL)
            raise

    def _connect(self) -> None:
        host = self._host
        if host.draining or not self._local.available:
            self._log(
                "connect.refused",
                "A WebSocket was refused: %s",
                "this process is shutting down" if host.draining else self._local.trouble,
            )
            self._perform(self._machine.end(websocket.TRY_AGAIN_LATER, status=503))
            return
        if host.turns.waiting >= host.options.disconnects_waiting:
            self._log(
                "connect.behind",
                "A WebSocket was refused: the disconnects of %d others wait for workers "
                "(disconnects_waiting). Run more workers for websocket.disconnect",
                host.turns.waiting,
            )
            self._perform(self._machine.end(websocket.TRY_AGAIN_LATER, status=503))
            return
        if len(host.handshakes) >= host.options.handshakes:
            self._log(
                "connect.handshakes",
                "A WebSocket was refused: %d others wait for a consumer to accept them (handshakes "
                "under INTERFACE in CHANNEL_LAYERS). Run more workers for websocket.connect",
                len(host.handshakes),
            )
            self._perform(self._machine.end(websocket.TRY_AGAIN_LATER, status=503))
            return
        option = host.sources.enter(self.name, self._source, self._loop.time())
        if option:
            self._limited("source.refused", "refused", option)
            return
        try:
            frame = codec.encode(self._machine.connect(scheme=self._outlet.scheme), self._limit)
        except (InvalidMessage, MessageTooLarge) as error:
            self._log("connect.invalid", "A WebSocket was refused: %s", error)
            self._perform(self._machine.end(websocket.TOO_BIG))
            return
        host.journal.count("websocket.connect")
        self._deadline = self._loop.call_later(host.options.connect_timeout, self._timed_out)
        if not self._mailbox.put(websocket.CONNECT, frame):
            self._mailbox_is_full()
            return
        host.handshakes.add(self)
        self._pump()

    def _limited(self, cause: str, what: str, option: str) -> None:
        """Its source has too many connections, or sends too much."""
        client = self._machine.scope.get("client")
        self._log(
            cause,
            "A WebSocket was %s (4008, 429 for a handshake): its client (%s) is over %s (%s) under "
            "INTERFACE in CHANNEL_LAYERS",
            what,
            closes.named(client) if client else "unknown",
            option,
            self._host.sources.limit(option),
        )
        self._deaf = True
        self._perform(self._machine.end(websocket.TOO_MANY, status=429))

    def _received(self, event: Mapping[str, Any]) -> None:
        if self._deaf:
            return
        if self._source and not self._host.sources.spend(self._source, self._loop.time()):
            self._limited("source.closed", "closed", "source_rate")
            return
        content = self._machine.receive(event)
        if content is None:
            return
        try:
            frame = codec.encode(content, self._limit)
        except (InvalidMessage, MessageTooLarge) as error:
            self._machine.unsay(1)
            self._log("frame.too_large", "A WebSocket was closed (1009): %s", error)
            self._perform(self._machine.end(websocket.TOO_BIG))
            return
        if self._mailbox.put(websocket.RECEIVE, frame):
            if self._mailbox.in_flight is None and self._retry is None:
                self._pump()
            return
        self._machine.unsay(1)
        self._mailbox_is_full()

    def _mailbox_is_full(self) -> None:
        options, total = self._host.options, self._host.mailboxes
        if 8 * total.used >= 7 * total.limit:
            self._log(
                "mailbox.total",
                "A WebSocket was closed (1013): the frames of all sockets that workers have not "
                "answered are %d bytes; the limit is %d (mailboxes_bytes under INTERFACE in "
                "CHANNEL_LAYERS). Run more workers",
                total.used,
                total.limit,
            )
            self._deaf = True
            self._perform(self._machine.end(websocket.TRY_AGAIN_LATER, status=503))
            return
        self._log(
            "mailbox.overflow",
            "A WebSocket was closed (1013): its client sends faster than workers answer. %d "
            "frames waited; the limits are mailbox_frames (%d) and mailbox_bytes (%d) under "
            "INTERFACE in CHANNEL_LAYERS. Run more workers, or move slow work to a channel.",
            len(self._mailbox),
            options.mailbox_frames,
            options.mailbox_bytes,
        )
        self._deaf = True
        self._perform(self._machine.end(websocket.TRY_AGAIN_LATER))

    async def _hold(self) -> None:
        """Without Redis, leave further frames in the network instead of closing the socket."""
        self._host.journal.count("websocket.held")
        self._outlet.pause()
        self._held = self._loop.create_future()
        try:
            await self._held
        finally:
            self._held = None
            self._outlet.resume()

    def _unhold(self) -> None:
        if self._held is not None and not self._held.done():
            self._held.set_result(None)

    def _gone(self, code: Any, *, writable: bool = False) -> None:
        """The socket is closed, however that came about.

        ``writable``: only for us; what was written before still goes to the client.
        """
        content = self._machine.disconnect(code if isinstance(code, int) else websocket.NO_CODE)
        if content is None:
            return
        if self._machine.accepted or self._expired:
            # A handshake that was refused has no close code.
            kind = closes.classify(content["code"], expired=self._expired)
            self._host.journal.count(f"closed.{kind}")
            closes.log(kind, content["code"], self._machine.scope, self.reply_channel)
        self._host.sources.leave(self.name)
        self._stop_timers()
        self._unhold()
        if not writable:
            self._outlet.gone()
        self._stop_reading()
        self._local.leave_groups(self.name)
        if self._owner is None or self._dead or self._unheard:
            self._finish()  # No consumer has heard of it; or its process is buried.
            return
        self._mailbox.put_last(websocket.DISCONNECT, codec.encode(content, self._limit))
        if self._retry is None:
            self._pump()

    # ------------------------------------------------------- for the local process

    def on_answer(self, seq: int, replies: Replies, status: str, consumer: str = "") -> None:
        """The end of the delivery ``seq``, with what its consumers said to this socket."""
        delivery = self._mailbox.in_flight
        if delivery is None or not self._mailbox.answer(seq):
            return
        self.answered_seq, self.answered_frames = seq, 0
        self._push = None
        if replies:
            self.on_replies(replies)
        if status:
            self._host.journal.count(f"answer.{status}")
            behind = len(self._mailbox)
            if behind and status == codec.STUCK:
                self._log(
                    "stuck.behind",
                    "A WebSocket is closed (1011): its consumer ran for longer than run_limit, and "
                    "%d frames that came later waited for it to return. Did it wait for one of "
                    "them? The frames of a socket run one after the other.",
                    behind,
                )
            self._perform(self._machine.status(delivery.channel, status))
            # Its connect never ran: nobody is to be told that it is gone.
            self._unheard = delivery.channel == websocket.CONNECT and status == codec.EXPIRED
            self._expired = self._expired or self._unheard
        if delivery.channel == websocket.DISCONNECT or (
            self._unheard and self._machine.state is State.CLOSED
        ):
            self._finish()
            return
        if self._held is not None and (self.idle or not self._mailbox.nearly_full):
            self._unhold()
        self._pump()
        if self._host.draining:
            self._host.changed()

    def on_replies(self, replies: Replies) -> None:
        """Messages of other consumers, and of groups."""
        reply = self._machine.reply
        try:
            for message in replies:
                for action in reply(message):
                    if type(action) is SendText:
                        self._text(action.text)
                    else:
                        self._do(action)
            if waiting := self._outlet.flush():
                self._host.frames_wait(waiting)
        except Exception as error:
            self._broke(error)

    def on_part(self, seq: int, token: int, index: int, reply: dict[str, Any], size: int) -> None:
        """Parts are for responses; on a socket a part is a reply."""
        self.on_replies([reply])

    def on_gap(self, group: str) -> None:
        """Messages of a group it is in did not fit into this process's inbox."""
        self._log(
            "group.gap",
            "Messages of the group %s were dropped: this process's inbox is full. Its members "
            "are %s",
            group,
            "closed (1013)" if self._host.options.close_on_gap else "not told (close_on_gap)",
        )
        if self._host.options.close_on_gap:
            self._perform(self._machine.end(websocket.TRY_AGAIN_LATER))

    def on_dead(self) -> None:
        """The layer buried this process; whoever did it enqueued the disconnect."""
        if self._dead:
            return
        self._dead = True
        self.end(websocket.SERVICE_RESTART)
        self._stop_timers()
        self._unhold()
        self._stop_reading()
        self._finish()

    # ----------------------------------------------------------- for the interface

    @property
    def idle(self) -> bool:
        return self._machine.state is State.CLOSED or super().idle

    def leave(self) -> None:
        self._outlet.pause()
        # What the server has read before is still taken: it has to wake `run` first.
        self._loop.call_soon(self._leave)

    def _leave(self) -> None:
        self._deaf = True
        self._leaving = True
        if self._retry is None and not self._dead:
            self._pump()

    def _stop_reading(self) -> None:
        if self._reading is not None and self._reading is not asyncio.current_task():
            self._reading.cancel()

    def end(self, code: int) -> None:
        """Close it with ``code``, or refuse it while it is connecting."""
        self._perform(self._machine.end(code, status=503))

    def shut_down(self) -> None:
        self._outlet.resume()  # For the client's part of the closing handshake.
        self.end(websocket.SERVICE_RESTART)
        self._gone(websocket.SERVICE_RESTART, writable=True)

    @property
    def unsent(self) -> int:
        return self._outlet.unsent

    def give_room(self) -> None:
        """The frames to all sockets are too much, and this one's client has the most of them."""
        self._log(
            "outgoing.total",
            "A WebSocket was closed (1013): the frames that wait for all clients are more than %d "
            "bytes (outgoing_total under INTERFACE in CHANNEL_LAYERS), and most wait for this one",
            self._host.options.outgoing_total,
        )
        self._close_unread()

    @property
    def open(self) -> bool:
        return self._machine.state is State.OPEN

    def _unsay(self, frames: int) -> None:
        if self._machine.state is not State.CLOSED:
            self._machine.unsay(frames)

    # --------------------------------------------------------------------- actions

    def _perform(self, actions: list[Action]) -> None:
        try:
            for action in actions:
                self._do(action)
            if waiting := self._outlet.flush():
                self._host.frames_wait(waiting)
        except Exception as error:
            self._broke(error)

    def _do(self, action: Action) -> None:
        outlet = self._outlet
        if isinstance(action, SendText):
            outlet.text(action.text)
        elif isinstance(action, SendBytes):
            outlet.data(action.data)
        elif isinstance(action, Accept):
            self._stop_timers()
            lifetime = self._host.layer.group_expiry
            if lifetime and lifetime > 0:
                self._age = self._loop.call_later(lifetime, self._too_old)
            outlet.accept(action.subprotocol)
        elif isinstance(action, Close):
            outlet.close(action.code)
            self._closing(action.code)
        elif isinstance(action, Deny):
            self._host.journal.count("websocket.denied")
            outlet.deny(action.status)
            self._closing(websocket.ABNORMAL)
        else:
            self._log("reply.invalid", "%s: %s", self.name, action.reason, level=logging.ERROR)

    def _closing(self, code: int) -> None:
        self._unhold()
        self._stop_timers()
        self._deadline = self._loop.call_later(self._host.options.close_wait, self._gone, code)

    def _broke(self, error: Exception) -> None:
        """The server did not take what it was given: nothing more can be said to it."""
        self._log(
            "outlet.error", "A WebSocket could not be written to: %r", error, level=logging.ERROR
        )
        self._deaf = True
        if self._machine.end(websocket.INTERNAL_ERROR):
            self._closing(websocket.ABNORMAL)
        self._outlet.abort(websocket.INTERNAL_ERROR)

    def _overflowed(self) -> None:
        self._log(
            "outgoing.overflow",
            "A WebSocket was closed (1013): its client does not read. More than %d bytes waited "
            "for it (outgoing_bytes under INTERFACE in CHANNEL_LAYERS)",
            self._host.options.outgoing_bytes,
        )
        self._close_unread()

    def _close_unread(self) -> None:
        self._deaf = True
        if self._machine.end(websocket.TRY_AGAIN_LATER):
            self._outlet.abort(websocket.TRY_AGAIN_LATER)
            self._closing(websocket.TRY_AGAIN_LATER)

    def _timed_out(self) -> None:
        away = self._local.down_since is not None
        self._log(
            "connect.timeout",
            "A WebSocket was refused: %s within %.1f s (connect_timeout)%s",
            "the channel layer did not answer" if away else "no consumer accepted it",
            self._host.options.connect_timeout,
            f": {self._local.trouble}" if away else "",
            level=logging.INFO,
        )
        if away:
            self.end(websocket.TRY_AGAIN_LATER)  # Come back: nobody has said no.
        else:
            self._expired = True
            self._perform(self._machine.timeout())

    def _too_old(self) -> None:
        self._host.journal.count("websocket.too_old")
        self._expired = True
        # Its client did nothing wrong and shall come back, which some do not after 1000 (htmx 4).
        self._perform(self._machine.end(websocket.SERVICE_RESTART))

    def _stop_timers(self) -> None:
        self._host.handshakes.discard(self)
        for timer in (self._deadline, self._age):
            if timer is not None:
                timer.cancel()
        self._deadline = self._age = None
