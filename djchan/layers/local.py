"""An event loop's end of a layer: what it sends out, and its inbox.

From ``interface.connection`` and ``layers.channels4``, which submit deliveries here; on to
the engine in the words of ``layers.outgoing``, and back from the process's inbox, through
``layers.inbox``, to the connection that an entry names.

::

                 start()                 Beat says None, Send says None
    NEW ───────────────────► RUNNING ◄──────────────────────────► RESUMING
                               │  ▲  broker silent, or refuses:       │ this id was buried
                               │  └── tries on; see ``available``     ▼
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
from typing import Protocol

from djchan import names
from djchan.exceptions import BrokerError
from djchan.layers import bodies, codec, outgoing
from djchan.layers.backoff import Backoff
from djchan.layers.engine import AsyncLink, Engine, InboxReader
from djchan.layers.heartbeat import Heartbeat, Progress
from djchan.layers.inbox import Handler, Inbox, call
from djchan.layers.membership import Membership
from djchan.layers.operations import Body, Leave, Reap, Register, Resume, Send, SendResult
from djchan.layers.outgoing import Done, Outgoing, Said
from djchan.log import escaping
from djchan.throttling import throttled

logger = escaping(logging.getLogger(__name__))

CLOSED = 5000  # ms that the end of a body waits for its reader.
GOODBYE = 2.0  # Seconds that saying goodbye may take.
PATIENCE = 1.0  # Seconds without an answer after which new connections are refused.


class Layer(Protocol):
    """What is needed of ``layers.base.BaseChannelLayer``."""

    engine: Engine
    inbox_bytes: int
    dead_letter_bytes: int

    def set_clock(self, now: int) -> None: ...


class LocalProcess:
    """See the module's text. Made by ``BaseChannelLayer.local()``, one for each loop."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.id = ""
        self.down_since: float | None = None  # time.monotonic()
        self.trouble = ""  # Why, in a sentence.
        self._outgoing = Outgoing()
        self._inbox = self._new_inbox()
        self._opened = 0
        self._leaving: tuple[str, ...] = ()
        self._cursor = "0-0"
        self._resuming = False
        self._resumes = 0
        self._resumed_at = 0.0  # When the layer was last told anew (monotonic).
        self._asked_at = 0.0  # When the last beat was begun: written by its thread.
        self._starting: asyncio.Future[None] | None = None
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._link: AsyncLink | None = None
        self._reader: InboxReader | None = None
        self._heartbeat: Heartbeat | None = None

    def _new_inbox(self) -> Inbox:
        size = self.layer.engine.entry_size
        return Inbox(self._wake_up, size, on_late=self._close_body)

    def _close_body(self, connection: str) -> None:
        """Somebody wants the body of a request that is over: nothing comes any more."""
        message = codec.encode({"content": b"", "closed": True})
        self.submit(Body(bodies.channel_of(self.id, connection), message, 0, CLOSED), _ignore)

    @property
    def membership(self) -> Membership:
        return self._inbox.membership

    @property
    def available(self) -> bool:
        """Whether the layer answers, or did a moment ago, so that it is worth to wait for it."""
        return self.down_since is None or time.monotonic() - self.down_since < PATIENCE

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
            (now,) = await link.perform(self._register(process))
            self._link = link
            self._begin(process)
        except BaseException:
            self._link = None
            await link.aclose()
            raise
        self.layer.set_clock(now)
        self._sending = asyncio.ensure_future(self._send_forever())

    def _register(self, process: str) -> Register:
        return Register(
            *(process, "interface", _info()),
            inbox=self.layer.inbox_bytes,
            dead_bytes=self.layer.dead_letter_bytes,
        )

    def _begin(self, process: str) -> None:
        """Go by this id, which the layer knows and has nothing for."""
        self.id, self._cursor = process, "0-0"
        self._inbox.read = 0
        self._reader = self.layer.engine.inbox(process)
        loop = asyncio.get_running_loop()
        self._heartbeat = Heartbeat(
            self.layer.engine,
            process,
            "interface",
            clients=self._clients,
            progress=self._progress,
            on_gone=lambda: _call_in(loop, self._gone, self._asked_at),
        )
        self._heartbeat.start()
        self._reading = asyncio.ensure_future(self._read_forever(self._reader))

    def _clients(self) -> list[str]:
        ends = (self._link, self._reader)
        return [end.client_id() for end in ends if end is not None and end.client_id()]

    def _progress(self) -> Progress:
        """What a beat says; called in its thread."""
        self._asked_at = time.monotonic()
        return Progress(outgoing.LINK, self._outgoing.answered_number, self._inbox.read)

    async def stop(self, grace: float = 0.0) -> None:
        """Send what is waiting (for at most ``grace`` seconds), then say goodbye."""
        if self._starting is None:
            return
        if grace and not self._is_quiet():
            self._idle.clear()
            try:
                async with asyncio.timeout(grace):
                    await self._idle.wait()
            except TimeoutError:
                logger.warning("%d deliveries were not sent at stop.", len(self._outgoing.undone()))
        if self._heartbeat is not None:
            self._heartbeat.stop()
        await _end(self._sending, self._reading)
        assert self._link is not None and self._reader is not None
        try:
            async with asyncio.timeout(GOODBYE):
                await self._link.perform(Reap(self.id, None))
        except (BrokerError, TimeoutError) as error:
            logger.warning("This process could not say goodbye: %r", error)
        await self._link.aclose()
        await self._reader.aclose()
        # A later start is another process to the layer.
        self._outgoing = Outgoing()
        self._starting = None

    # ----------------------------------------------------------- connections

    def new_connection(self, handler: Handler) -> str:
        """The local part of a new reply channel, whose messages go to ``handler``."""
        self._opened += 1
        connection = names.new_local_part(self._opened)
        self._inbox.handlers[connection] = handler
        return connection

    def leave_groups(self, connection: str) -> None:
        """The connection is closed: it is a member of nothing any more."""
        self.membership.close(connection)
        self._wake.set()

    def begin(self, connection: str) -> None:
        """The connection is about to submit its first delivery."""
        self._outgoing.begin(connection)

    def forget(self, connection: str) -> None:
        """The connection's last delivery was answered: nothing will come for it."""
        if self._inbox.handlers.pop(connection, None) is not None:
            self.membership.close(connection)
            self._outgoing.forget(connection)
            self._wake.set()

    def cut(self, connection: str) -> None:
        """The client left before its delivery was answered: whoever streams to it may stop."""
        self._outgoing.cut(connection)
        self._wake.set()

    # ------------------------------------------------------------------- out

    def submit(self, effect: Said, done: Done) -> None:
        """Send ``effect`` with everything else of this tick; ``done(result)`` when it is there."""
        self._outgoing.waiting.append((effect, done))
        self._wake.set()

    def _wake_up(self) -> None:
        self._wake.set()

    async def _send_forever(self) -> None:
        backoff = Backoff()
        strange = 0  # Answers in a row that the layer does not know this process.
        while True:
            if self._is_quiet():
                self._idle.set()
                await self._wake.wait()
            self._wake.clear()
            try:
                if self._resuming:
                    await self._resume()
                known = await self._say()
            except Exception as error:
                self._is_down(error)
                await asyncio.sleep(backoff.next())
                continue
            if known:
                strange = 0
                backoff.reset()
                continue
            self._resuming = True
            strange += 1
            if strange > 1:
                await asyncio.sleep(backoff.next())

    def _is_quiet(self) -> bool:
        """Whether the layer has been told everything."""
        out = self._outgoing
        answers = self.down_since is None
        return answers and not self._resuming and out.saying is None and not out.has_news

    async def _say(self) -> bool:
        """Say what there is to say, once. False: the layer wants a Resume first."""
        assert self._link is not None
        # Who was down looks whether it may write again, even with nothing to say: new
        # connections are refused after a while, until it does.
        saying = self._outgoing.next(self.id, probe=self.down_since is not None)
        self._leaving += self.membership.take_leaving()
        operations: list[Send | Leave] = []
        if saying is not None:
            operations.append(saying)
        if self._leaving:
            operations.append(Leave(self.id, self._leaving, self._cursor))
        if not operations:
            return True
        leaving, self._leaving = self._leaving, ()
        try:
            answers = await self._link.perform(*operations)
        except Exception:
            self.membership.put_back(leaving)
            raise
        if saying is not None:
            if answers[0] is None:
                return False
            for done, result in self._outgoing.answered(answers[0]):
                call(done, result)
        self._is_up()
        return True

    # -------------------------------------------------------------------- in

    async def _read_forever(self, reader: InboxReader) -> None:
        backoff = Backoff()
        trim = False
        while True:
            resumes = self._resumes
            try:
                entries = await reader.read(self._cursor, trim=trim)
            except Exception as error:
                self._is_down(error)
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            if resumes != self._resumes:
                # What was asked for before the floors were told may be of an older history:
                # taken now, it would be run and applied again (tests.model.history).
                trim = False
                continue
            trim = bool(entries)
            take = self._inbox.take
            for entry_id, entry in entries:
                self._cursor = entry_id
                call(take, entry)
            if entries:
                # Whoever reads a burst must let the sockets have their turn.
                await asyncio.sleep(0)

    # --------------------------------------------------------------- trouble

    def _is_down(self, error: Exception) -> None:
        self.trouble = str(error)
        if not isinstance(error, BrokerError):
            # Nobody else would send or read for these connections.
            throttled(
                logger,
                logging.ERROR,
                f"unexpected {type(error).__name__}",
                "The channel layer answered with something unexpected. Trying again; sockets are "
                "kept. Please report this.",
                exc_info=error,
            )
        elif self.down_since is None:
            logger.error("%s Trying again; sockets are kept.", error)
        if self.down_since is None:
            self.down_since = time.monotonic()
        self._wake.set()

    def _is_up(self) -> None:
        if self.down_since is not None:
            logger.warning("Redis is back after %.1f s.", time.monotonic() - self.down_since)
            self.down_since = None

    def _gone(self, asked_at: float) -> None:
        """A beat that began at ``asked_at`` was told that the layer does not know us."""
        if asked_at > self._resumed_at:
            self._resuming = True
            self._wake.set()

    async def _resume(self) -> None:
        """Tell the layer anew what it may have lost. Raises BrokerError."""
        assert self._link is not None
        self._resumes += 1
        handlers = self._inbox.handlers
        settles, begun = self._outgoing.settles(), self._outgoing.begun
        (now,) = await self._link.perform(
            Resume(
                self.id,
                _info(),
                # Not who never said anything: nobody would say that it is over.
                tuple(
                    (name, handler.answered_seq, handler.answered_frames)
                    for name, handler in handlers.items()
                    if name in begun
                ),
                self.membership.groups(),
                self._cursor,
                tuple(
                    record
                    for name, handler in handlers.items()
                    if name not in settles and (record := call(handler.record)) is not None
                ),
                outgoing.LINK,
                self._outgoing.answered_number,
                self._inbox.read,
                self.layer.inbox_bytes,
            )
        )
        self._resuming, self._resumed_at = False, time.monotonic()
        if now is None:
            await self._reborn()
            return
        assert self._heartbeat is not None
        self._heartbeat.resumed()
        self.layer.set_clock(now)
        knows = self._outgoing.knows()
        lost = [
            handler
            for handler in tuple(handlers.values())
            if (push := call(handler.unanswered)) is not None and id(push) not in knows
        ]
        for handler in lost:
            if (push := call(handler.copy)) is not None:
                self.submit(push, _ignore)
        logger.warning(
            "The layer had lost its state, or may have: %d connections and %d groups were "
            "announced again, %d deliveries sent again.",
            len(begun),
            len(self.membership.groups()),
            len(lost),
        )

    async def _reborn(self) -> None:
        """This id was buried while we were away: whatever it had is gone."""
        assert self._link is not None and self._reader is not None
        assert self._heartbeat is not None
        handlers = tuple(self._inbox.handlers.values())
        logger.error(
            "The layer gave this process up (it was silent for too long): its %d connections "
            "are closed, it goes on under a new id.",
            len(handlers),
        )
        undone = self._outgoing.undone()
        self._inbox = self._new_inbox()
        self._outgoing = Outgoing()
        self._leaving = ()
        self._heartbeat.stop()
        process = self.id = names.new_process_id()
        for handler in handlers:
            call(handler.on_dead)
        for done in undone:
            call(done, "gone")
        await _end(self._reading)
        await self._reader.aclose()
        backoff = Backoff()
        while True:
            try:
                await self._link.perform(self._register(process))
                break
            except BrokerError as error:
                self._is_down(error)
                await asyncio.sleep(backoff.next())
        self._begin(process)


def _call_in(
    loop: asyncio.AbstractEventLoop, function: Callable[[float], None], argument: float
) -> None:
    """Call ``function`` in ``loop``, from another thread; a closed one needs nothing more."""
    try:
        loop.call_soon_threadsafe(function, argument)
    except RuntimeError:
        logger.debug("The event loop of this process is closed.")


async def _end(*tasks: asyncio.Task[None] | None) -> None:
    """Cancel ``tasks`` until they are done: a library below may swallow a cancellation."""
    pending = {task for task in tasks if task is not None}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.1)


def _ignore(result: SendResult) -> None:
    pass


def _info() -> bytes:
    return codec.encode({"pid": os.getpid(), "host": socket.gethostname()})
