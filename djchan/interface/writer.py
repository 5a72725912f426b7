"""The way out to a client of any ASGI server: a bounded queue and one task that sends.

From the connections' actions; on to the server's ``send``. Whoever puts an event in never
waits, so that one client that does not read stops nobody else: when more is to be said while
over ``limit`` bytes wait, the connection is told (``overflow``), and closes it.

Daphne has a shorter way: ``djchan.interface.daphne``.
"""

import asyncio
import logging
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from djchan.interface.pace import ResponseListener
from djchan.interface.websocket import DENIED, NORMAL, TRY_AGAIN_LATER
from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))

Event = MutableMapping[str, Any]
Send = Callable[[Event], Awaitable[None]]

_OVERHEAD = 64  # Bytes that an event takes beside its content, roughly.
_CLOSE_TIMEOUT = 10.0
_TRANSPORT = ("abort", "get_extra_info", "is_closing")  # What is used of a transport.
PIECE = 64 * 1024  # Bytes of content that are given to a server at a time.


class Writer:
    """``limit``: bytes that may wait. ``overflow`` is called once when more do."""

    __slots__ = ("_bytes", "_ended", "_limit", "_overflow", "_queue", "_send", "_task", "_wake")

    def __init__(self, send: Send, *, limit: int, overflow: Callable[[], None]) -> None:
        self._send = send
        self._limit = limit
        self._overflow = overflow
        self._queue: deque[tuple[Event, int]] = deque()
        self._bytes = 0
        self._ended = False
        self._task: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] | None = None

    def put(self, event: Event, size: int = 0, *, last: bool = False) -> None:
        """Send ``event``, of ``size`` bytes, after those before it. Nothing follows a last."""
        if self._ended:
            return
        if self._bytes > self._limit and not last:
            self._overflow()
            return
        size += _OVERHEAD
        self._queue.append((event, size))
        self._bytes += size
        self._ended = last
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())
        elif self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def abort(self, event: Event | None = None) -> None:
        """Drop what waits; ``event`` is all that is sent now."""
        self._ended = True
        self._queue.clear()
        self._bytes = 0
        self._overflow = _ignore  # The connection, which refers to this: no cycle is left.
        task, self._task = self._task, None  # A canceled one refers to this by its traceback.
        if task is not None:
            task.cancel()
        if event is not None:
            # The one before may hang in a send of its own; this one shall not.
            self._task = asyncio.ensure_future(self._last(event))

    @property
    def waiting(self) -> int:
        """Bytes that wait, or are being sent."""
        return self._bytes

    async def _run(self) -> None:
        queue = self._queue
        while True:
            while queue:
                event, size = queue[0]
                if not await self._attempt(event):
                    self.abort()
                    return
                if queue:  # Unless aborted meanwhile.
                    queue.popleft()
                    self._bytes -= size
            if self._ended:
                return
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake

    async def _last(self, event: Event) -> None:
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._attempt(event)
        except TimeoutError:
            logger.debug("The server did not take %s", event["type"])

    async def _attempt(self, event: Event) -> bool:
        """Send ``event``; False when the server would not take it."""
        try:
            await self._send(event)
        except OSError:
            # uvicorn's error for a client that is gone; its disconnect event follows.
            logger.debug("The client left before %s", event["type"])
            return False
        except Exception as error:
            code = event.get("code", NORMAL)
            if event["type"] == "websocket.close" and code < 3000 and code != NORMAL:
                # Some servers (Daphne) leave these codes to themselves. 4013 stands for
                # 1013: a client that tells 1000 from others shall still come back.
                return await self._attempt({**event, "code": 3000 + code})
            logger.warning("The server refused %s: %r", event["type"], error)
            return False
        return True


class PlainSocket:
    """The way out of a WebSocket on any ASGI server."""

    __slots__ = ("_counted", "_extensions", "_writer")
    scheme = "ws"

    def __init__(
        self, send: Send, scope: Mapping[str, Any], *, limit: int, overflow: Callable[[], None]
    ) -> None:
        self._writer = Writer(send, limit=limit, overflow=overflow)
        self._extensions = scope.get("extensions") or {}
        self._counted = 0  # Of what waits, at the last flush.

    def accept(self, subprotocol: str | None) -> None:
        self._writer.put({"type": "websocket.accept", "subprotocol": subprotocol})

    def text(self, text: str) -> None:
        self._writer.put({"type": "websocket.send", "text": text}, len(text))

    def data(self, data: bytes) -> None:
        self._writer.put({"type": "websocket.send", "bytes": data}, len(data))

    def flush(self) -> int:
        """Nothing to do: the writer sends what it has. Most of it waits for a moment only."""
        before, self._counted = self._counted, self._writer.waiting
        return max(0, self._counted - before)

    @property
    def unsent(self) -> int:
        return self._writer.waiting

    def close(self, code: int) -> None:
        self._writer.put({"type": "websocket.close", "code": code}, last=True)

    def abort(self, code: int) -> None:
        """Close, before all that waits: the client does not read it."""
        self._writer.abort({"type": "websocket.close", "code": code})

    def deny(self, status: int) -> None:
        writer = self._writer
        if status == 403:
            writer.put({"type": "websocket.close"}, last=True)
        elif "websocket.http.response" in self._extensions:
            headers = [(b"content-type", b"text/plain"), (b"retry-after", b"5")]
            writer.put(
                {"type": "websocket.http.response.start", "status": status, "headers": headers}
            )
            writer.put({"type": "websocket.http.response.body", "body": b""}, last=True)
        else:
            # Without it, a close code is the only way to say "later", not "no".
            writer.put({"type": "websocket.accept"})
            code = DENIED.get(status, TRY_AGAIN_LATER)
            writer.put({"type": "websocket.close", "code": code}, last=True)

    def pause(self) -> None:
        """Nothing to do: a server waits for whoever does not call its ``receive``."""

    def resume(self) -> None:
        pass

    def gone(self) -> None:
        self._writer.abort()


class PlainResponse:
    """The way out of an HTTP response on any ASGI server: its ``send`` waits for the client."""

    __slots__ = ("_listener", "_parts", "_send", "_task", "_wake", "unsent")

    def __init__(self, send: Send, listener: ResponseListener) -> None:
        self._send = send
        self._listener: ResponseListener | None = listener
        self._parts: deque[tuple[Event, int]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] | None = None
        self.unsent = 0  # Of the sizes that were given.

    @property
    def backlog(self) -> int:
        """Bytes that were given and that are not on their way to the client, as far as is known."""
        return sum(len(event.get("body", b"")) for event, _ in self._parts)

    def start(
        self,
        status: int,
        headers: list[tuple[bytes, bytes]],
        content: bytes,
        more: bool,
        size: int,
    ) -> None:
        self._put({"type": "http.response.start", "status": status, "headers": headers}, 0)
        self.content(content, more, size)

    def content(self, content: bytes, more: bool, size: int) -> None:
        # In pieces, so that it can be seen whether a slow client takes them.
        while len(content) > PIECE:
            piece, content = content[:PIECE], content[PIECE:]
            self._put({"type": "http.response.body", "body": piece, "more_body": True}, 0)
        self._put({"type": "http.response.body", "body": content, "more_body": more}, size)

    def _put(self, event: Event, size: int) -> None:
        if self._listener is None:
            return
        self.unsent += size
        self._parts.append((event, size))
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())
        elif self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _run(self) -> None:
        parts = self._parts
        while True:
            while parts:
                event, size = parts[0]
                await self._attempt(event)
                if self._listener is None:
                    return
                if event.get("more_body") and _is_closed(self._send):
                    self._listener.on_broken()
                    return
                parts.popleft()
                self.unsent -= size
                if "more_body" in event:
                    self._listener.on_taken(size)
                    if not event["more_body"]:
                        return
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake

    async def _attempt(self, event: Event) -> None:
        try:
            await self._send(event)
        except OSError:
            # uvicorn's error for a client that is gone; its disconnect event follows.
            logger.debug("The client left before %s", event["type"])
        except Exception as error:
            logger.warning("The server refused %s: %r", event["type"], error)
            if self._listener is not None:
                self._listener.on_broken()

    def cut(self) -> None:
        listener = self._listener
        self.gone()
        _reset(self._send)
        if listener is not None:
            listener.end_call()

    def gone(self) -> None:
        self._listener = None
        self._parts.clear()
        self.unsent = 0
        if self._task is not None:
            self._task.cancel()
            self._task = None


def _transport_of(send: Send) -> asyncio.Transport | None:
    """uvicorn's transport behind ``send``; None where there is none of that shape."""
    transport: asyncio.Transport | None = getattr(
        getattr(send, "__self__", None), "transport", None
    )
    return transport if all(hasattr(transport, name) for name in _TRANSPORT) else None


def _is_closed(send: Send) -> bool:
    """Whether the connection is gone. uvicorn tells only the last of pipelined requests so."""
    transport = _transport_of(send)
    return transport is not None and bool(transport.is_closing())


def _reset(send: Send) -> None:
    """End the connection with a reset: with HTTP/1.0, a clean end is that of the response."""
    transport = _transport_of(send)
    if transport is None or transport.is_closing():
        return
    wire = transport.get_extra_info("socket")
    if wire is not None:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _ignore() -> None:
    pass
