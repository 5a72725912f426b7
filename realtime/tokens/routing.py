"""The socket for who has a token, and the custom channels of what happens later."""

from djchan import include, route
from realtime.tokens import consumers
from realtime.tokens.models import LOOK

with_a_token = [
    route("websocket.connect", consumers.ws_connect),
    route("websocket.receive", consumers.ws_receive),
    route("websocket.disconnect", consumers.ws_disconnect),
]

channel_routing = [
    include(with_a_token, path=r"^/ws/tokens/$"),
    route("tokens.silent", consumers.close_silent),
    route(LOOK, consumers.look_again),
]
