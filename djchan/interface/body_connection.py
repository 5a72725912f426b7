"""A request's body: read, bounded, and put on a channel of its own where it is long.

From ``http_connection``, which is one of these and hands it the server's events; on to
``layers.local``. A short body goes with the request. A longer one follows it in chunks, as fast
as a worker takes them.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from djchan import names
from djchan.interface import http
from djchan.interface.connection import Connection, Host, Local
from djchan.interface.http import Exchange, State
from djchan.layers import codec
from djchan.layers.operations import Body, SendResult

_FIRST_PAUSE = 0.02  # Seconds until a chunk that met a full body channel is tried again …
_LONGEST_PAUSE = 0.5  # … and twice as long each time, up to this.
_BODY_TTL = 3600.0  # Seconds a chunk may lie when requests have no timeout.


class BodyConnection(Connection):
    """Subclasses say what becomes of a request, and of one whose body is too large."""

    __slots__ = ("_exchange",)

    def __init__(self, host: Host, local: Local, scope: Mapping[str, Any]) -> None:
        super().__init__(host, local)
        self._exchange = Exchange(scope)

    # -------------------------------------------------- what subclasses are asked

    def _request(self, body: bytes, body_channel: str | None) -> None:
        """Hand the request on, with its body or with the channel that brings it."""
        raise NotImplementedError

    def _too_large(self) -> None:
        """Refuse it."""
        raise NotImplementedError

    # ----------------------------------------------------------------- the reading

    async def _read(self, receive: Callable[[], Awaitable[Mapping[str, Any]]]) -> bool:
        """Read the body and hand the request on. False: the client left meanwhile."""
        options = self._host.options
        parts: list[bytes] = []
        size = 0
        if (self._exchange.announced or 0) > options.http_max_body:
            self._too_large()
            return True
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                return False
            part = event.get("body") or b""
            parts.append(part)
            size += len(part)
            if size > options.http_max_body:
                self._too_large()
                return True
            if not event.get("more_body"):
                self._request(parts[0] if len(parts) == 1 else b"".join(parts), None)
                return True
            if size > options.http_inline_body:
                return await self._stream(receive, bytearray().join(parts))

    async def _stream(
        self, receive: Callable[[], Awaitable[Mapping[str, Any]]], waiting: bytearray
    ) -> bool:
        """Hand the request on, and its body in chunks behind it, as fast as they are read."""
        channel = f"http.request.body.{self._process}?{names.new_local_part(0)}"
        self._request(b"", channel)
        try:
            return await self._follow(receive, waiting, channel)
        except asyncio.CancelledError:
            self._close_body(channel)
            raise

    async def _follow(
        self,
        receive: Callable[[], Awaitable[Mapping[str, Any]]],
        waiting: bytearray,
        channel: str,
    ) -> bool:
        """The chunks behind the request."""
        size, more = len(waiting), True
        while True:
            while self._exchange.state is State.WAITING and (
                len(waiting) >= http.CHUNK or not more
            ):
                chunk = bytes(waiting[: http.CHUNK])
                del waiting[: http.CHUNK]
                last = not more and not waiting
                await self._chunk(channel, {"content": chunk, "more_content": not last})
                if last:
                    return True
            if self._exchange.state is not State.WAITING:
                # Answered already, or refused: what is left of the body is of no use.
                if more:
                    self._close_body(channel)
                return True
            event = await receive()
            if event["type"] == "http.disconnect":
                self._close_body(channel)
                return False
            part = event.get("body") or b""
            waiting += part
            size += len(part)
            more = bool(event.get("more_body"))
            if size > self._host.options.http_max_body:
                self._too_large()

    async def _chunk(self, channel: str, message: dict[str, Any]) -> None:
        """Put one chunk on the body channel; wait while it is full."""
        body = Body(
            channel, codec.encode(message), self._host.layer.capacity_of(channel), self._body_ttl
        )
        pause = _FIRST_PAUSE
        while True:
            result: asyncio.Future[SendResult] = self._loop.create_future()
            self._local.submit(body, functools.partial(_resolve, result))
            if await result != "full" or self._exchange.state is not State.WAITING:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _close_body(self, channel: str) -> None:
        """Tell whoever reads the body that nothing follows; for this there is room always."""
        message = codec.encode({"content": b"", "closed": True})
        self._local.submit(Body(channel, message, 0, self._body_ttl), _ignore)

    @property
    def _body_ttl(self) -> int:
        return int((self._host.options.http_timeout or _BODY_TTL) * 1000)


def _ignore(result: SendResult) -> None:
    pass


def _resolve(future: "asyncio.Future[SendResult]", result: SendResult) -> None:
    if not future.done():
        future.set_result(result)
