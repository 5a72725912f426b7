"""The ASGI server on the other side of one socket.

From ``socket`` and ``run``; on to ``receive`` and ``send``, and behind Daphne's ``send`` to
its protocol object (``djchan.interface.daphne``), for what ASGI has no word for there: close
codes of a server (1011 …), empty frames, and a client that does not read.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from djchan.interface import daphne
from djchan.interface.websocket import NORMAL
from djchan.log import escaping
from djchan.sockets.backlog import Frame

logger = escaping(logging.getLogger(__name__))

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Event], Awaitable[None]]

_LOOK = 0.02  # Seconds between two looks at what Daphne holds for a client that reads slowly.
_LAST_WORD = 2.0  # Seconds for a server to take a close.


class Gone(Exception):
    """The server says that the client is not there any more."""


class Server:
    """``protocol``: Daphne's, where ``find_socket`` found one; ``outgoing``: bytes that it may hold
    for the client. Raises TimeoutError when the client takes nothing for ``stall`` seconds."""

    __slots__ = ("_daphne", "_extensions", "_outgoing", "_protocol", "_send", "_stall")

    def __init__(
        self, scope: Mapping[str, Any], send: Send, protocol: Any, *, outgoing: int, stall: float
    ) -> None:
        self._extensions = scope.get("extensions") or {}
        self._send = send
        self._protocol = protocol
        self._outgoing = outgoing
        self._stall = stall
        self._daphne = (
            None
            if protocol is None
            # Its own limit drops what is over; here a send waits instead.
            else daphne.DaphneSocket(protocol, limit=sys.maxsize, overflow=_ignore)
        )

    @property
    def scheme(self) -> str:
        """What a scope without a scheme, as Daphne's, leaves open."""
        return "ws" if self._daphne is None else self._daphne.scheme

    async def accept(self, subprotocol: str | None) -> None:
        await self._say({"type": "websocket.accept", "subprotocol": subprotocol})

    async def frame(self, frame: Frame) -> None:
        """Send a frame; returns when the server has room for the next. Raises Gone."""
        key = "text" if isinstance(frame, str) else "bytes"
        event: Event = {"type": "websocket.send", key: frame}
        if self._daphne is None:
            async with asyncio.timeout(self._stall):
                await self._say(event)
            return
        if frame:
            await self._say(event)
        else:
            # Daphne drops an empty one.
            send_empty = self._daphne.text if isinstance(frame, str) else self._daphne.data
            send_empty(frame)  # type: ignore[arg-type]
            self._daphne.flush()
        # Its ``send`` does not wait, and a timeout costs more than most frames.
        if daphne.buffered(self._protocol.transport) > self._outgoing:
            async with asyncio.timeout(self._stall) as limit:
                await self._room(limit)

    async def _room(self, limit: asyncio.Timeout) -> None:
        """Wait until Daphne holds little for the client; whatever it reads extends ``limit``."""
        before = 0
        while (waiting := daphne.buffered(self._protocol.transport)) > self._outgoing:
            if waiting < before:
                limit.reschedule(asyncio.get_running_loop().time() + self._stall)
            before = waiting
            await asyncio.sleep(_LOOK)

    async def close(self, code: int) -> None:
        """Close an open socket; a server that keeps ``code`` to itself gets 3000 more for it."""
        if self._daphne is not None:
            self._daphne.close(code)
            return
        try:
            async with asyncio.timeout(_LAST_WORD):
                await self._close(code)
        except (TimeoutError, Gone):
            return  # Whoever does not take a close has gone, or will be seen to have.

    async def _close(self, code: int) -> None:
        try:
            await self._say({"type": "websocket.close", "code": code})
        except Gone:
            raise
        except Exception:
            # As the interface does it: Daphne, behind somebody's own ``send``.
            if code == NORMAL or code >= 3000:
                raise
            await self._say({"type": "websocket.close", "code": 3000 + code})

    async def refuse(self, status: int, sentence: str) -> None:
        """End the handshake: with ``status`` where the server can, else it answers 403."""
        try:
            async with asyncio.timeout(_LAST_WORD):
                if "websocket.http.response" not in self._extensions:
                    await self._say({"type": "websocket.close"})
                    return
                body = f"{sentence}\n".encode()
                headers = [
                    (b"content-type", b"text/plain; charset=utf-8"),
                    (b"content-length", str(len(body)).encode()),
                ]
                start = {"type": "websocket.http.response.start", "status": status}
                await self._say({**start, "headers": headers})
                await self._say({"type": "websocket.http.response.body", "body": body})
                # uvicorn takes a return in this very turn for a handshake without an answer.
                await asyncio.sleep(0)
        except (TimeoutError, Gone):
            return

    def pause(self) -> None:
        """Nobody reads what the server has read. Others than Daphne see that by themselves."""
        if self._daphne is not None:
            self._daphne.pause()

    def resume(self) -> None:
        if self._daphne is not None:
            self._daphne.resume()

    async def _say(self, event: Event) -> None:
        try:
            await self._send(event)
        except TimeoutError:
            raise  # An OSError, too; it is the one above.
        except OSError as error:
            raise Gone from error
        except RuntimeError as error:
            # How uvicorn answers while it closes for a reason of its own (no pong came back),
            # before it says so: we keep to the order of events, so nothing else can be meant.
            if event["type"] not in ("websocket.send", "websocket.close"):
                raise
            logger.debug("The server took no %s: %s", event["type"], error)
            raise Gone from error


def _ignore() -> None:
    pass
