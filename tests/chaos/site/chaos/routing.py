from typing import Any

from chaos import consumers
from djchan.routing import route

routing = [
    route("websocket.connect", consumers.chat_connect, path=r"^/a?chat/"),
    route("websocket.receive", consumers.chat_receive, path=r"^/chat/"),
    route("websocket.receive", consumers.achat_receive, path=r"^/achat/"),
    route("websocket.connect", consumers.room_connect, path=r"^/room/"),
    route("websocket.receive", consumers.room_receive, path=r"^/room/"),
    route("websocket.disconnect", consumers.disconnect),
    route("jobs", consumers.job),
    route("chained", consumers.chained),
]

unserved: list[Any] = []  # Of the second layer: nobody runs what is sent there.
