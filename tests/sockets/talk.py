"""A client and a server of one socket view, in the test's own event loop."""

import asyncio
from collections.abc import Sequence
from typing import Any

from djchan.urls import websocket, websockets

DEADLINE = 10


def scope_of(path: str = "/ws/", **changed: Any) -> dict[str, Any]:
    return {
        "type": "websocket",
        "path": path,
        "query_string": b"",
        "headers": [],
        "subprotocols": [],
        **changed,
    }


async def no_http(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError(f"the application was called for {scope['type']}")


def serving(view: Any, **options: Any) -> Any:
    """An application with ``view`` alone, at ``ws/``."""
    return websockets(no_http, [websocket("ws/", view)], **options)


class Talk:
    """One connection to ``application``; what the application sends is in ``sent``."""

    def __init__(self, application: Any, scope: dict[str, Any] | None = None) -> None:
        self.incoming: asyncio.Queue[Any] = asyncio.Queue()
        self.outgoing: asyncio.Queue[Any] = asyncio.Queue()
        self.sent: list[Any] = []
        self.incoming.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.ensure_future(
            application(scope or scope_of(), self.incoming.get, self.send)
        )

    async def __aenter__(self) -> "Talk":
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self.task.done():
            self.task.cancel()
            await asyncio.wait([self.task], timeout=DEADLINE)

    async def send(self, event: Any) -> None:
        self.sent.append(event)
        self.outgoing.put_nowait(event)

    def say(self, frame: str | bytes) -> None:
        key = "text" if isinstance(frame, str) else "bytes"
        self.incoming.put_nowait({"type": "websocket.receive", key: frame})

    def leave(self, code: int = 1001) -> None:
        self.incoming.put_nowait({"type": "websocket.disconnect", "code": code})

    async def next(self) -> Any:
        async with asyncio.timeout(DEADLINE):
            return await self.outgoing.get()

    async def heard(self) -> str | bytes:
        """What is in the next frame, after the handshake's answer."""
        event = await self.next()
        if event["type"] == "websocket.accept":
            event = await self.next()
        assert event["type"] == "websocket.send", event
        text = event.get("text")
        return event["bytes"] if text is None else text

    async def end(self) -> Any:
        """The application's last event, when it has returned."""
        async with asyncio.timeout(DEADLINE):
            await self.task
        return self.sent[-1] if self.sent else None


def kinds(events: Sequence[Any]) -> list[str]:
    return [event["type"].removeprefix("websocket.") for event in events]
