from djchan.routing import route
from mysite import consumers

channel_routing = [
    route("websocket.connect", consumers.connect, path=r"^/ws/room/"),
    route("websocket.receive", consumers.receive, path=r"^/ws/room/"),
    route("websocket.disconnect", consumers.disconnect, path=r"^/ws/room/"),
    route("websocket.connect", consumers.watch, path=r"^/ws/closes/$"),
    route("notes", consumers.note),
]
