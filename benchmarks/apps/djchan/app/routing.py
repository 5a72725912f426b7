from app import consumers

from djchan.routing import route

routing = [
    route("websocket.connect", consumers.echo_connect, path=r"^/echo/$"),
    route("websocket.receive", consumers.echo_receive, path=r"^/echo/$"),
    route("websocket.connect", consumers.echo_connect, path=r"^/any/$"),
    route("websocket.receive", consumers.any_receive, path=r"^/any/$"),
    route("websocket.connect", consumers.room_connect, path=r"^/room/$"),
    route("websocket.receive", consumers.room_receive, path=r"^/room/$"),
    route("websocket.disconnect", consumers.room_disconnect, path=r"^/room/$"),
]
