"""An event loop's end of a layer: what it sends out, and its inbox.

From ``interface.connection`` and ``layers.channels4``, which submit deliveries here; on to
the engine, and back from the process's inbox to the connection that an entry names.

::

                 start()                 Beat says None, Send says None
    NEW ───────────────────► RUNNING ◄──────────────────────────► RESUMING
                               │  ▲  broker silent: keeps trying      │ this id was buried
                               │  └── available is False meanwhile    ▼
                 stop()        ▼                                 on_dead() for all,
    STOPPED ◄──────────────────┘                                 a new id, RUNNING

One Send is out at a time, with everything that one tick of the loop produced; it is said
again with the same number until it is answered, so that nothing is lost or doubled when a
connection to Redis breaks. The inbox is read by cursor: an entry is trimmed only after it
was applied here.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

from djchan import names
from djchan.exceptions import BrokerError, DjchanError
from djchan.layers import codec
from djchan.layers.backoff import Backoff
from djchan.layers.engine import AsyncLink, Engine, InboxReader
from djchan.layers.heartbeat import Heartbeat
from djchan.layers.membership import Membership
from djchan.layers.operations import Body, Leave, Push, Reap, Register, Resume, Send, SendResult

logger = logging.getLogger(__name__)

BATCH = 512  # Deliveries of one Send.

Done = Callable[[SendResult], None]


class Layer(Protocol):
    """What is needed of ``layers.base.BaseChannelLayer``."""

    engine: Engine

    def set_clock(self, now: int) -> None: ...


class Handler(Protocol):
    """One connection, as its process's inbox sees it; called on the event loop."""

    answered_seq: int  # The highest seq that was answered; 0: none.

    def on_answer(self, seq: int, replies: list[dict[str, Any]], status: str) -> None:
        """Delivery ``seq`` has ended; ``status`` is one of codec's."""

    def on_replies(self, replies: list[dict[str, Any]]) -> None:
        """Messages from elsewhere: other consumers, groups. Shared: not to be changed."""

    def on_part(self, seq: int, token: int, index: int, reply: dict[str, Any]) -> None:
        """Part ``index`` of the response to ``seq``, by the run with this ``token``."""

    def on_gap(self, group: str) -> None:
        """Messages of ``group`` were dropped because this process fell behind."""

    def on_dead(self) -> None:
        """The layer gave this process up: the connection cannot go on."""

    def unanswered(self) -> Push | None:
        """The delivery in flight, to be sent again after the layer lost its state."""


class LocalProcess:
    """See the module's text. Made by ``BaseChannelLayer.local()``, one for each loop."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.id = ""
        self.available = True
        self.down_since: float | None = None  # time.monotonic()
        self.membership = Membership()
        self._handlers: dict[str, Handler] = {}
        self._opened = 0
        self._pending: list[tuple[Push | Body, Done]] = []
        self._in_flight: list[tuple[Push | Body, Done]] = []
        self._forget: list[str] = []
        self._cut: list[str] = []
        self._saying: Send | None = None
        self._number = 0
        self._cursor = "0-0"
        self._resuming = False
        self._starting: asyncio.Future[None] | None = None
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._link: AsyncLink | None = None
        self._reader: InboxReader | None = None
        self._heartbeat: Heartbeat | None = None

    # ------------------------------------------------------------- lifecycle

    async def start(self) -> None:
        """Make this process known to the layer; once, whoever calls first.

        Raises a BrokerError when the layer does not answer; a later call tries again.
        """
        if self._starting is None:
            self._starting = asyncio.ensure_future(self._start())
        starting = self._starting
        try:
            await asyncio.shield(starting)
        except BrokerError:
            if self._starting is starting:
                self._starting = None
            raise

    async def _start(self) -> None:
        process = names.new_process_id()
        link = self.layer.engine.alink(f"{process}.out")
        try:
            (now,) = await link.perform(Register(process, "interface", _info()))
        except BaseException:
            await link.aclose()
            raise
        self.layer.set_clock(now)
        self.id, self._link, self._cursor = process, link, "0-0"
        self._reader = self.layer.engine.inbox(process)
        self._tasks = [
            asyncio.ensure_future(self._send_forever()),
            asyncio.ensure_future(self._read_forever()),
        ]
        self._beat()

    def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        self._heartbeat = Heartbeat(
            self.layer.engine,
            self.id,
            "interface",
            clients=self._clients,
            on_gone=lambda: _call_in(loop, self._gone),
        )
        self._heartbeat.start()

    def _clients(self) -> list[str]:
        ends = (self._link, self._reader)
        return [end.client_id() for end in ends if end is not None and end.client_id()]

    async def stop(self, grace: float = 0.0) -> None:
        """Send what is waiting (for at most ``grace`` seconds), then say goodbye."""
        if self._starting is None:
            return
        if grace and (self._saying is not None or self._has_news()):
            self._idle.clear()
            try:
                async with asyncio.timeout(grace):
                    await self._idle.wait()
            except TimeoutError:
                logger.warning("%d deliveries were not sent at stop.", len(self._pending))
        if self._heartbeat is not None:
            self._heartbeat.stop()
        await _end(self._tasks)
        assert self._link is not None and self._reader is not None
        try:
            await self._link.perform(Reap(self.id, None))
        except BrokerError as error:
            logger.warning("This process could not say goodbye: %s", error)
        await self._link.aclose()
        await self._reader.aclose()
        self._starting = None

    # ----------------------------------------------------------- connections

    def new_connection(self, handler: Handler) -> str:
        """The local part of a new reply channel, whose messages go to ``handler``."""
        self._opened += 1
        connection = names.new_local_part(self._opened)
        self._handlers[connection] = handler
        return connection

    def leave_groups(self, connection: str) -> None:
        """The connection is closed: it is a member of nothing any more."""
        self.membership.close(connection)
        self._wake.set()

    def forget(self, connection: str) -> None:
        """The connection's last delivery was answered: nothing will come for it."""
        if self._handlers.pop(connection, None) is not None:
            self.membership.close(connection)
            self._forget.append(connection)
            self._wake.set()

    def cut(self, connection: str) -> None:
        """The client left before its delivery was answered: whoever streams to it may stop."""
        self._cut.append(connection)
        self._wake.set()

    # ------------------------------------------------------------------- out

    def submit(self, push: Push | Body, done: Done) -> None:
        """Send ``push`` with everything else of this tick; ``done(result)`` when it is there."""
        self._pending.append((push, done))
        self._wake.set()

    async def _send_forever(self) -> None:
        assert self._link is not None
        backoff = Backoff()
        leaving: tuple[str, ...] = ()
        while True:
            if self._saying is None and not self._has_news():
                self._idle.set()
                await self._wake.wait()
            self._wake.clear()
            if self._resuming:
                await self._resume()
            if self._saying is None and self._has_news():
                self._saying = self._next_send()
            leaving += self.membership.take_leaving()
            operations: list[Send | Leave] = []
            if self._saying is not None:
                operations.append(self._saying)
            if leaving:
                operations.append(Leave(self.id, leaving, self._cursor))
            if not operations:
                continue
            try:
                answers = await self._link.perform(*operations)
            except BrokerError as error:
                self._is_down(error)
                self.membership.put_back(leaving)
                leaving = ()
                await asyncio.sleep(backoff.next())
                self._wake.set()
                continue
            self._is_up()
            backoff.reset()
            leaving = ()
            if self._saying is None:
                continue
            sent = answers[0]
            if sent is None:
                self._gone()
                continue
            batch, self._in_flight, self._saying = self._in_flight, [], None
            for (_, done), result in zip(batch, sent.results, strict=True):
                self._call(done, result)

    def _has_news(self) -> bool:
        return bool(self._pending or self._forget or self._cut)

    def _next_send(self) -> Send:
        """All that this tick produced; it is said, in these words, until it is answered."""
        self._in_flight = self._pending[:BATCH]
        del self._pending[:BATCH]
        forget, self._forget = tuple(self._forget), []
        cut, self._cut = tuple(self._cut), []
        self._number += 1
        effects = tuple([push for push, _ in self._in_flight])
        return Send(self.id, self._number, effects, forget, cut, link="out")

    # -------------------------------------------------------------------- in

    async def _read_forever(self) -> None:
        backoff = Backoff()
        trim = False
        while True:
            reader, cursor = self._reader, self._cursor
            assert reader is not None
            try:
                entries = await reader.read(cursor, trim=trim)
            except BrokerError as error:
                if reader is self._reader:
                    self._is_down(error)
                    await asyncio.sleep(backoff.next())
                continue
            if reader is not self._reader:
                trim = False
                continue  # This process has a new id meanwhile.
            backoff.reset()
            trim = bool(entries)
            for entry_id, entry in entries:
                self._cursor = entry_id
                self._call(self._apply, entry)
            if entries:
                # Whoever reads a burst must let the sockets have their turn.
                await asyncio.sleep(0)

    def _apply(self, data: bytes) -> None:
        entry = codec.decode(data)
        kind = entry[0]
        if kind == codec.ANSWER:
            handler = self._handlers.get(entry[1])
            if handler is not None:
                handler.on_answer(entry[2], entry[3], entry[4])
        elif kind == codec.REPLY:
            handler = self._handlers.get(entry[1])
            if handler is not None:
                handler.on_replies(entry[2])
            else:
                logger.debug("A reply to the closed connection %s was dropped.", entry[1])
        elif kind == codec.GROUP:
            replies = [entry[2]]
            handlers = self._handlers
            for connection in self.membership.members(entry[1]):
                self._call(handlers[connection].on_replies, replies)
        elif kind == codec.ADD:
            if entry[2] in self._handlers:
                self.membership.add(entry[1], entry[2])
            else:
                self.membership.refuse(entry[1])
                self._wake.set()
        elif kind == codec.DISCARD:
            self.membership.discard(entry[1], entry[2])
            self._wake.set()
        elif kind == codec.PART:
            handler = self._handlers.get(entry[1])
            if handler is not None:
                handler.on_part(*entry[2:6])
        else:
            logger.warning("An inbox entry of unknown kind %r was dropped.", kind)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a handler; what it raises is its own trouble, not the inbox's."""
        try:
            function(*arguments)
        except DjchanError as error:
            logger.error("%s", error)
        except Exception:
            logger.exception("A connection failed to take what came for it.")

    # --------------------------------------------------------------- trouble

    def _is_down(self, error: BrokerError) -> None:
        if self.available:
            self.available = False
            self.down_since = time.monotonic()
            logger.error("%s Trying again until it does; sockets are kept.", error)

    def _is_up(self) -> None:
        if not self.available:
            assert self.down_since is not None
            logger.warning("Redis is back after %.1f s.", time.monotonic() - self.down_since)
            self.available, self.down_since = True, None

    def _gone(self) -> None:
        """The layer does not know this process: state was lost, or it was given up."""
        self._resuming = True
        self._wake.set()

    async def _resume(self) -> None:
        assert self._link is not None
        floors = tuple(
            (connection, handler.answered_seq)
            for connection, handler in self._handlers.items()
            if handler.answered_seq
        )
        resume = Resume(self.id, _info(), floors, self.membership.groups(), self._cursor)
        try:
            (now,) = await self._link.perform(resume)
        except BrokerError as error:
            self._is_down(error)
            self._wake.set()
            await asyncio.sleep(0.1)
            return
        self._resuming = False
        self._is_up()
        if now is None:
            await self._reborn()
            return
        self.layer.set_clock(now)
        waiting = {id(push) for push, _ in (*self._in_flight, *self._pending)}
        lost = [
            push
            for handler in self._handlers.values()
            if (push := handler.unanswered()) is not None and id(push) not in waiting
        ]
        for push in lost:
            self._pending.append((push._replace(capacity=0), _ignore))
        logger.warning(
            "The layer had lost its state: %d connections and %d groups were announced again, "
            "%d deliveries sent again.",
            len(self._handlers),
            len(self.membership.groups()),
            len(lost),
        )

    async def _reborn(self) -> None:
        """This id was buried while we were away: whatever it had is gone."""
        logger.error(
            "The layer gave this process up (it was silent for too long): its %d connections "
            "are closed, it goes on under a new id.",
            len(self._handlers),
        )
        handlers, self._handlers = list(self._handlers.values()), {}
        self.membership = Membership()
        self._pending, self._in_flight, self._saying = [], [], None
        self._forget, self._cut = [], []
        for handler in handlers:
            self._call(handler.on_dead)
        if self._heartbeat is not None:
            self._heartbeat.stop()
        old = self._reader
        self.id, self._cursor = names.new_process_id(), "0-0"
        assert self._link is not None and old is not None
        while True:
            try:
                await self._link.perform(Register(self.id, "interface", _info()))
                break
            except BrokerError as error:
                self._is_down(error)
                await asyncio.sleep(0.5)
        self._reader = self.layer.engine.inbox(self.id)
        await old.aclose()
        self._beat()


def _call_in(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    """Call ``function`` in ``loop``, from another thread; a closed one needs nothing more."""
    try:
        loop.call_soon_threadsafe(function)
    except RuntimeError:
        logger.debug("The event loop of this process is closed.")


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel ``tasks`` until they are done: a library below may swallow a cancellation."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.1)


def _ignore(result: SendResult) -> None:
    pass


def _info() -> bytes:
    return codec.encode({"pid": os.getpid(), "host": socket.gethostname()})
