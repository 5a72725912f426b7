"""Socket views, in every composition that the how-to page has, and one raw ASGI application.

views          socket views; workers have the other paths
alone          socket views, and Django in this process; no layer
authenticated  as alone, with Channels 4's users for the views
outer          the same with Channels 4's routers around it
raw            ping and pong, with nothing of djchan or Django
"""

import asyncio
import os
from typing import Any

from djchan.asgi import get_channel_layer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.sockets_settings")
channel_layer = get_channel_layer()

from channels.routing import ProtocolTypeRouter  # noqa: E402
from channels.sessions import SessionMiddlewareStack  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

from app.consumers import mark  # noqa: E402
from djchan import Group  # noqa: E402
from djchan.exceptions import SocketDisconnected  # noqa: E402
from djchan.urls import Socket, websocket, websockets  # noqa: E402


def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello", content_type="text/plain")


async def clock(socket: Socket, pause: int) -> None:
    """Only send, until the client has left."""
    await socket.accept()
    number = 0
    try:
        while True:
            await socket.send_json({"tick": number})
            number += 1
            await asyncio.sleep(pause / 1000)
    except SocketDisconnected as error:
        mark(f"clock ends {error.code}")
        raise


async def echo(socket: Socket) -> None:
    await socket.accept("echo" if "echo" in socket.subprotocols else None)
    async for frame in socket:
        if isinstance(frame, bytes):
            await socket.send_bytes(frame)
        elif frame.startswith("close "):
            await socket.close(int(frame[6:]))
        elif frame == "empty":
            await socket.send_text("")
            await socket.send_bytes(b"")
        elif frame == "fail":
            raise ZeroDivisionError
        else:
            await socket.send_text(frame)
    mark(f"echo ends {socket.close_code}")


async def about(socket: Socket) -> None:
    await socket.accept()
    await socket.send_json(
        {
            "path": socket.path,
            "scheme": socket.scheme,
            "query": socket.query_params.getlist("q"),
            "header": socket.headers["X-Test"],
            "session": "session" in socket.scope,
        }
    )
    await socket.send_json(await socket.receive_json())
    await socket.receive_json()


async def fail(socket: Socket) -> None:
    raise ZeroDivisionError


async def wait(socket: Socket) -> None:
    """Neither send nor receive; say when it is canceled."""
    await socket.accept()
    mark("wait begins")
    try:
        await asyncio.Event().wait()
    finally:
        mark("wait ends")


async def tell(socket: Socket) -> None:
    """What this client says, to the sockets of a group that consumers joined."""
    await socket.accept()
    async for frame in socket:
        await Group("room").asend({"text": str(frame)})


async def idle(socket: Socket) -> None:
    await socket.accept()
    await asyncio.sleep(600)


async def flood(socket: Socket) -> None:
    """Send 64 KiB again and again; a client that does not read stops it."""
    await socket.accept()
    sent = 0
    try:
        while True:
            await socket.send_bytes(b"x" * 65536)
            sent += 1
            if sent % 16 == 0:
                mark(f"sent {sent}")
    except SocketDisconnected as error:
        mark(f"flood ends {error.code}")


urlpatterns = [
    path("hello/", hello),
    websocket("ws/clock/<int:pause>/", clock, name="clock"),
    websocket("ws/echo/", echo),
    websocket("ws/about/", about),
    websocket("ws/fail/", fail),
    websocket("ws/wait/", wait),
    websocket("ws/idle/", idle),
    websocket("ws/tell/", tell),
    websocket("ws/flood/", flood),
]

LIMITS = {"stall": 2.0, "leave_grace": 1.0}

views = websockets(channel_layer, **LIMITS)
django_application = get_asgi_application()
alone = websockets(django_application, **LIMITS)
authenticated = websockets(django_application, middleware=SessionMiddlewareStack, **LIMITS)
outer = ProtocolTypeRouter(
    {"http": django_application, "websocket": SessionMiddlewareStack(alone)},
)


async def raw(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "websocket":
        raise ValueError(f"no {scope['type']} here")
    while True:
        event = await receive()
        if event["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        elif event["type"] == "websocket.disconnect":
            return
        elif event.get("text") == "ping":
            await send({"type": "websocket.send", "text": "pong"})
