"""What Daphne runs.

::

    daphne realtime.asgi:application     sockets of this process here, everything else to workers
    daphne realtime.asgi:channel_layer   everything to workers

``runserver`` runs the former (ASGI_APPLICATION). In this process run: the socket views of
``realtime/urls.py``, two consumers of Channels 4, and an application with no library at all.
"""

import os

from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.urls import path, re_path

from djchan.asgi import get_channel_layer
from djchan.urls import websockets
from realtime.clock import raw
from realtime.together.inside import Inside, InsideJson

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "realtime.settings")

channel_layer = get_channel_layer()

other_sockets = URLRouter(
    [
        # Whatever is no consumer and no socket view of djchan's checks the Origin by itself.
        path("ws/together/inside/", AllowedHostsOriginValidator(Inside.as_asgi())),
        path("ws/together/json/", AllowedHostsOriginValidator(InsideJson.as_asgi())),
        path("ws/raw/", AllowedHostsOriginValidator(raw.application)),
        re_path("", channel_layer),  # type: ignore[arg-type]
    ]
)

# Socket views first, then these; requests go to workers.
application = websockets(channel_layer, fallback=other_sockets)
