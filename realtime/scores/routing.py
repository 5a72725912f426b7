"""The readers' sockets: ``/ws/scores/``."""

from djchan import include, route
from realtime.scores import consumers

of_a_reader = [
    route("websocket.connect", consumers.scores_connect),
    route("websocket.receive", consumers.scores_receive),
    route("websocket.disconnect", consumers.scores_disconnect),
]

channel_routing = [
    include(of_a_reader, path=r"^/ws/scores/$"),
]
