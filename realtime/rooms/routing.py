"""The rooms' sockets: ``/ws/rooms/<room>/``."""

from djchan import include, route
from realtime.rooms import consumers
from realtime.rooms.lines import ROOM

in_a_room = [
    route("websocket.connect", consumers.room_connect),
    route("websocket.receive", consumers.room_receive),
    route("websocket.disconnect", consumers.room_disconnect),
]

channel_routing = [
    include(in_a_room, path=rf"^/ws/rooms/(?P<room>{ROOM})/$"),
]
