"""The sockets of the sheets: ``/ws/sheet/<name>/``."""

from djchan import include, route
from realtime.sheet import consumers
from realtime.sheet.sheets import NAME

of_a_sheet = [
    route("websocket.connect", consumers.sheet_connect),
    route("websocket.receive", consumers.sheet_receive),
    route("websocket.disconnect", consumers.sheet_disconnect),
]

channel_routing = [
    include(of_a_sheet, path=rf"^/ws/sheet/(?P<name>{NAME})/$"),
]
