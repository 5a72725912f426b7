"""Ping and pong with no library at all: what ASGI itself is.

For ``realtime/asgi.py``, at ``ws/raw/``. No Origin check, no limits, no names for errors:
all that is what the other pages' code is for.
"""

from collections.abc import Awaitable, Callable
from typing import Any


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    while True:
        event = await receive()
        if event["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        elif event["type"] == "websocket.disconnect":
            return
        elif event.get("text") == "ping":
            await send({"type": "websocket.send", "text": "pong"})
