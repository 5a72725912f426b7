"""Daphne's way of handing a long request body to its application: mended.

``bounds`` puts ``hand_over`` around a server's application. Daphne keeps a body in a file until it
is whole, and then reads all of that into the application's queue at once. Here the application
gets the file's content as it asks for it; ``body_connection`` takes the file itself.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from djchan.interface.spool import Spool

KEY = "djchan.body"  # The extension in a scope under which the body, whole, is found.

Event: TypeAlias = MutableMapping[str, Any]
Scope = Event
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def hand_over(application: Application, take: Callable[[Scope, Send], Spool | None]) -> Application:
    """``application``, with the body that ``take`` finds behind a call of it.

    It is no coroutine: Daphne calls it, then reads the body, and then lets it run.
    """

    def call(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        spool = take(scope, send) if scope["type"] == "http" else None
        if spool is None:
            return application(scope, receive, send)
        extensions = {**(scope.get("extensions") or {}), KEY: spool}
        scope = {**scope, "extensions": extensions}
        return _run(application, scope, Reader(spool, receive), send)

    return call


async def _run(application: Application, scope: Scope, reader: "Reader", send: Send) -> None:
    try:
        await application(scope, reader.receive, send)
    finally:
        if not reader.spool.claimed:
            reader.spool.close()


class Reader:
    """``receive`` of an application: the body's chunks, and then what the server has to say."""

    def __init__(self, spool: Spool, receive: Receive) -> None:
        self.spool = spool
        self._receive = receive
        self._order = -1

    async def receive(self) -> Event:
        if self.spool.claimed:
            return await self._receive()
        if self._order < 0:
            # Daphne has put an empty body there; or the client has left.
            event = await self._receive()
            if event["type"] != "http.request":
                return event
            self._order = 0
        content = self.spool.chunk(self._order)
        if not content:
            return await self._receive()
        self._order += 1
        more = bool(self.spool.chunk(self._order))
        return {"type": "http.request", "body": content, "more_body": more}
