"""The layer with two pages beside it: what the process holds, and what only a collection frees."""

import gc
import json
import os
from typing import Any

from djchan.asgi import get_channel_layer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.settings")
channel_layer = get_channel_layer()

OURS = ("djchan", "daphne", "twisted", "autobahn")


def held(server: Any) -> list[str]:
    """The connections that are not over yet, but for the one that asks."""
    if server is None:
        return []
    return [repr(protocol) for protocol in server.connections][1:]


def garbage() -> list[str]:
    """Types of objects that a full collection finds in cycles; they are freed."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    found = sorted(
        {
            f"{type(each).__module__}.{type(each).__qualname__}"
            for each in gc.garbage
            if type(each).__module__.startswith(OURS)
        }
    )
    gc.garbage.clear()
    return found


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope.get("path") not in ("/held/", "/garbage/"):
        await channel_layer(scope, receive, send)
        return
    server = getattr(getattr(send, "func", None), "__self__", None)
    if scope["path"] == "/held/":
        answer = [*held(server), *map(repr, channel_layer.interface.connections)]
    else:
        answer = garbage()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
