"""The socket of the notifications."""

from djchan import include, route
from realtime.notifications import consumers

of_a_person = [
    route("websocket.connect", consumers.ws_connect),
    route("websocket.receive", consumers.ws_receive),
]

channel_routing = [
    include(of_a_person, path=r"^/ws/notifications/$"),
]
