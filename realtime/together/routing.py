"""The sockets that workers serve: ``/ws/together/outside/``. The others: ``realtime/asgi.py``."""

from djchan import include, route
from realtime.together import consumers

outside = [
    route("websocket.connect", consumers.together_connect),
    route("websocket.receive", consumers.together_receive),
    route("websocket.disconnect", consumers.together_disconnect),
]

channel_routing = [
    include(outside, path=r"^/ws/together/outside/$"),
]
