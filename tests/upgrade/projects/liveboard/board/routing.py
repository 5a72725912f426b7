from channels import route

from .consumers import ws_add, ws_disconnect, ws_message

channel_routing = [
    route('websocket.connect', ws_add, path=r'^(?P<name>[a-z]+)/$'),
    route('websocket.receive', ws_message),
    route('websocket.disconnect', ws_disconnect),
]
