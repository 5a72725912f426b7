"""The echo's socket: ``/chat/``."""

from djchan import route
from realtime.echo import consumers

channel_routing = [
    route("websocket.receive", consumers.ws_echo, path=r"^/chat/$"),
]
