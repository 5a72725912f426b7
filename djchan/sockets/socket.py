"""The socket as its view sees it: calls that read like what they do, errors that name the remedy.

From ``run``, which makes one for each connection and feeds it what the server reads; on to
``state`` (may this be called?), ``backlog`` (what came), ``content`` (what it means), and
``server`` (what goes out).
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from django.http import QueryDict
from django.utils.datastructures import CaseInsensitiveMapping

from djchan.exceptions import InvalidSocketValue, SocketDisconnected, SocketStateError
from djchan.interface import websocket
from djchan.legible import value
from djchan.log import escaping
from djchan.sockets import content
from djchan.sockets.backlog import Backlog, Frame
from djchan.sockets.limits import SocketLimits
from djchan.sockets.server import Gone, Receive, Scope, Server
from djchan.sockets.state import SocketState, State
from djchan.throttling import throttled

logger = escaping(logging.getLogger(__name__))


class Socket:
    """One WebSocket, and what a socket view is called with.

    ``scope``: the ASGI scope, with what middleware put into it (``scope["user"]``);
    ``state``: a namespace for whatever belongs to this connection.

    All calls raise SocketStateError when they come at the wrong time, and SocketDisconnected
    once the client has left; both are SocketErrors.
    """

    def __init__(self, scope: Scope, server: Server, limits: SocketLimits) -> None:
        self.scope = scope
        self.state = SimpleNamespace(**(scope.get("state") or {}))
        self._server = server
        self._limits = limits
        self._machine = SocketState(websocket.subprotocols(scope))
        self._backlog = Backlog(frames=limits.backlog_frames, size=limits.backlog_bytes)
        self._news = asyncio.Event()  # A frame came, or the end.
        self._room = asyncio.Event()  # The backlog is not full any more, or the end.
        self.settled = asyncio.Event()  # Accepted, refused, or left.

    # ------------------------------------------------------------- what it is about

    @property
    def path(self) -> str:
        """The decoded path, with the script's name, without the query."""
        return str(self.scope["path"])

    @property
    def scheme(self) -> str:
        """``"ws"`` or ``"wss"``."""
        return str(self.scope.get("scheme") or self._server.scheme)

    @property
    def query_string(self) -> str:
        """The raw query, without the question mark."""
        return bytes(self.scope.get("query_string") or b"").decode("latin-1")

    @cached_property
    def query_params(self) -> QueryDict:
        """The query as Django reads one. Raises SuspiciousOperation (400) for too many fields."""
        return QueryDict(self.scope.get("query_string") or b"")

    @cached_property
    def headers(self) -> CaseInsensitiveMapping[str]:
        """Headers of the handshake, by name in any case; several of a name joined by a comma."""
        found: dict[str, str] = {}
        for raw, text in websocket.headers(self.scope):
            name = raw.decode("latin-1").title()
            joint = "; " if name == "Cookie" else ", "
            told = text.decode("latin-1")
            found[name] = f"{found[name]}{joint}{told}" if name in found else told
        return CaseInsensitiveMapping(found)

    @property
    def subprotocols(self) -> tuple[str, ...]:
        """Those that the client offered, its favorite first."""
        return self._machine.offered

    @property
    def accepted(self) -> bool:
        """Whether it is open: accepted, and not ended since."""
        return self._machine.state is State.OPEN

    @property
    def connecting(self) -> bool:
        """Whether its handshake still waits for an answer."""
        return self._machine.state is State.CONNECTING

    @property
    def close_code(self) -> int | None:
        """With which it was closed; None while it lives, and for one that was refused."""
        return self._machine.code

    def __repr__(self) -> str:
        return f"<Socket {value(self.path)} {self._machine.state.value}>"

    # --------------------------------------------------------------- calls of the view

    async def accept(self, subprotocol: str | None = None) -> None:
        """Let the client in. Raises InvalidSocketValue for a subprotocol it did not offer."""
        self._machine.accept(subprotocol)
        self.settled.set()
        try:
            await self._server.accept(subprotocol)
        except Gone:
            self._gone()
            self._machine.sending("accept()")  # Which raises.

    async def receive(self) -> str | bytes:
        """The client's next frame: text is str, binary is bytes. Waits for it."""
        return await self._next("receive()")

    async def receive_text(self) -> str:
        """The next frame, which must be text. Raises UnexpectedFrame."""
        return content.text_of("receive_text()", await self._next("receive_text()"))

    async def receive_bytes(self) -> bytes:
        """The next frame, which must be binary. Raises UnexpectedFrame."""
        return content.bytes_of("receive_bytes()", await self._next("receive_bytes()"))

    async def receive_json(self) -> Any:
        """The value in the next frame, which must be JSON in text. Raises InvalidJSON."""
        call = "receive_json()"
        return content.json_of(call, content.text_of(call, await self._next(call)))

    async def receive_jsonb(self) -> Any:
        """The value in the next frame, which must be JSON (UTF-8) in bytes. Raises InvalidJSON."""
        call = "receive_jsonb()"
        return content.json_of(call, content.bytes_of(call, await self._next(call)))

    async def send_text(self, text: str) -> None:
        """Send a text frame; waits while the client does not read."""
        content.must_be("send_text()", text, str)
        await self._say("send_text()", text)

    async def send_bytes(self, data: bytes | bytearray | memoryview) -> None:
        """Send a binary frame; waits while the client does not read."""
        content.must_be("send_bytes()", data, bytes, bytearray, memoryview)
        await self._say("send_bytes()", bytes(data))

    async def send_json(self, value: Any) -> None:
        """Send a value as JSON in a text frame. Raises InvalidSocketValue if it has none."""
        await self._say("send_json()", content.to_json("send_json()", value))

    async def send_jsonb(self, value: Any) -> None:
        """Send a value as JSON (UTF-8) in a binary frame. Raises InvalidSocketValue."""
        await self._say("send_jsonb()", content.to_json("send_jsonb()", value).encode())

    async def close(self, code: int = websocket.NORMAL) -> None:
        """Close it with ``code`` (1000, or 3000 to 4999); before accept(), refuse it (403).

        When it has ended already, nothing happens: nobody can know that in time.
        Raises InvalidSocketValue for another code.
        """
        await self._ended(self._machine.close(code), code, 403, "Refused.")

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        return self._frames()

    async def _frames(self) -> AsyncIterator[str | bytes]:
        # Ends with the socket, whoever ended it; begun too early it is an error.
        while True:
            try:
                frame = await self._next("async for")
            except SocketDisconnected:
                return
            except SocketStateError:
                if self.connecting:
                    raise
                return
            yield frame

    async def _next(self, call: str) -> Frame:
        while True:
            try:
                self._machine.receiving(call, waiting=bool(self._backlog))
            except SocketDisconnected:
                # A view that catches it and asks again and again must not stop all others.
                await asyncio.sleep(0)
                raise
            if self._backlog:
                frame = self._backlog.take()
                if not self._backlog.full:
                    self._room.set()
                return frame
            self._news.clear()
            await self._news.wait()
            self._machine.waited(call)

    async def _say(self, call: str, frame: Frame) -> None:
        try:
            self._machine.sending(call)
        except SocketDisconnected:
            await asyncio.sleep(0)
            raise
        try:
            await self._server.frame(frame)
        except Gone:
            self._gone()
        except TimeoutError:
            await self.stalled("its client has not read what it was sent")
        except UnicodeEncodeError as error:
            raise InvalidSocketValue(f"{call}: this text is no Unicode: {error}") from error
        else:
            return
        self._machine.sending(call)  # Which raises.

    # ------------------------------------------------------------------ for ``run``

    async def feed(self, receive: Receive) -> None:
        """Take what the client sends, until it has left; wait while the view takes nothing."""
        while self._machine.state in (State.CONNECTING, State.OPEN):
            try:
                event = await receive()
            except Exception:
                self._gone()  # The server's mistake; no view shall wait for what never comes.
                raise
            if event["type"] == "websocket.disconnect":
                code = event.get("code")
                self._gone(code if isinstance(code, int) else websocket.NO_CODE)
                return
            if event["type"] != "websocket.receive":
                continue
            text = event.get("text")
            self._backlog.put(event.get("bytes") or b"" if text is None else text)
            self._news.set()
            if self._backlog.full:
                await self._for_room()

    async def _for_room(self) -> None:
        self._room.clear()
        self._server.pause()
        try:
            async with asyncio.timeout(self._limits.stall):
                await self._room.wait()
        except TimeoutError:
            await self.stalled(
                f"its view has not taken what the client sent ({len(self._backlog)} frames, "
                f"{self._backlog.size} bytes; the limits are backlog_frames and backlog_bytes)"
            )
        finally:
            self._server.resume()

    async def stalled(self, what: str) -> None:
        """Close it (1013): one side takes nothing."""
        why = f"closed by djchan: {what} for {self._limits.stall:g} s (the limit is stall)"
        if self.accepted:
            throttled(
                logger,
                logging.WARNING,
                "stalled",
                "The WebSocket to %s was %s.",
                value(self.path),
                why,
            )
        await self.expel(websocket.TRY_AGAIN_LATER, 503, why)

    async def expel(self, code: int, status: int, why: str) -> None:
        """End it for a reason of ours, which its view learns from SocketDisconnected."""
        await self._ended(self._machine.left(code, why), code, status, "Service unavailable.")

    async def finish(self, code: int, status: int, sentence: str) -> None:
        """End it, if it lives, as the end of its view has it."""
        await self._ended(self._machine.end(code), code, status, sentence)

    def _gone(self, code: int = websocket.ABNORMAL) -> None:
        self._machine.left(code)
        self._wake()

    async def _ended(self, before: State, code: int, status: int, sentence: str) -> None:
        self._wake()
        if self._machine.state is State.CLOSED:
            self._backlog.clear()
        if before is State.OPEN:
            await self._server.close(code)
        elif before is State.CONNECTING:
            await self._server.refuse(status, sentence)

    def _wake(self) -> None:
        for event in (self._news, self._room, self.settled):
            event.set()
