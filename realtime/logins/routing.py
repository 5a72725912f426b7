"""The page's socket, and the custom channel of the looks."""

from djchan import route
from realtime.logins import consumers
from realtime.logins.binding import LOOK

channel_routing = [
    route("websocket.connect", consumers.ws_connect, path=r"^/ws/logins/$"),
    route(LOOK, consumers.look_again),
]
