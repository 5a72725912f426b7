from app import consumers
from djchan.routing import route

routing = [
    route("websocket.connect", consumers.accept, path=r"^/echo/$"),
    route("websocket.receive", consumers.echo, path=r"^/echo/$"),
    route("websocket.connect", consumers.accept, path=r"^/work/$"),
    route("websocket.receive", consumers.work, path=r"^/work/$"),
    route("websocket.connect", consumers.join, path=r"^/room/$"),
    route("websocket.receive", consumers.say, path=r"^/room/$"),
    route("websocket.disconnect", consumers.leave, path=r"^/room/$"),
    route("websocket.connect", consumers.join_mixed, path=r"^/mixed/$"),
    route("websocket.receive", consumers.hear, path=r"^/mixed/$"),
    route("http.request", consumers.raw_page, path=r"^/raw/$"),
    route("http.request", consumers.hold, path=r"^/hold/$"),
    route("http.disconnect", consumers.let_go, path=r"^/hold/$"),
    route("notes", consumers.note),
    route("hear", consumers.hear),
    route("slow", consumers.fill),
]
