from app.consumers import accept
from djchan.message import Message
from djchan.routing import route


def fail(message: Message) -> None:
    raise ValueError("sold out")


routing = [
    route("websocket.connect", accept, path=r"^/fails/$"),
    route("websocket.receive", fail, path=r"^/fails/$"),
]
