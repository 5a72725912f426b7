"""What Daphne runs.

::

    daphne realtime.asgi:application     consumers of Channels 4 here, everything else to workers
    daphne realtime.asgi:channel_layer   everything to workers

``runserver`` runs the former (ASGI_APPLICATION).
"""

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.urls import path, re_path

from djchan.asgi import get_channel_layer
from realtime.together.inside import Inside, InsideJson

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "realtime.settings")

channel_layer = get_channel_layer()

websockets = URLRouter(
    [
        # Whatever does not go through djchan's interface checks the Origin by itself.
        path("ws/together/inside/", AllowedHostsOriginValidator(Inside.as_asgi())),
        path("ws/together/json/", AllowedHostsOriginValidator(InsideJson.as_asgi())),
        re_path("", channel_layer),
    ]
)

application = ProtocolTypeRouter(
    {"http": channel_layer, "websocket": websockets, "lifespan": channel_layer}
)
