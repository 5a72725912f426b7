"""Socket views, and Django in this process, where nobody has asked for a channel layer."""

import asyncio
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.sockets_settings")

from django.core.asgi import get_asgi_application

from djchan.urls import Socket, websocket, websockets


async def late(socket: Socket) -> None:
    """It never accepts."""
    await asyncio.sleep(600)


async def idle(socket: Socket) -> None:
    await socket.accept()
    await asyncio.sleep(600)


urlpatterns = [websocket("ws/late/", late), websocket("ws/idle/", idle)]
application = websockets(get_asgi_application(), "app.layerless", connect_timeout=3.0)
