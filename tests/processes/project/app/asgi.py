"""``channel_layer``: all of it through workers. ``application``: Channels 4 beside it."""

import os

from djchan.asgi import get_channel_layer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.settings")
channel_layer = get_channel_layer()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.urls import path, re_path  # noqa: E402

from app.inprocess import Mixed  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter(
            [path("inprocess/", Mixed.as_asgi()), re_path(r"^", channel_layer)],
        ),
    }
)
