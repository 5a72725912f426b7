"""Consumers that show what reached them, and one that trusts its client too much."""

import json

from app.consumers import mark
from app.routing import routing as ordinary
from app.users import routing as users
from djchan import Channel
from djchan.message import Message
from djchan.routing import route


def shown(message: Message) -> str:
    content = message.content
    return json.dumps(
        {
            "path": content["path"],
            "query": content["query_string"].decode("latin-1"),
            "headers": [[n.decode("latin-1"), v.decode("latin-1")] for n, v in content["headers"]],
            "client": content["client"] and content["client"][0],
            "scheme": content["scheme"],
            "root_path": content["root_path"],
            "body": len(content.get("body", b"")),
        }
    )


def page(message: Message) -> None:
    mark(f"page {message.content['path']!r}")
    message.reply_channel.send({"status": 200, "content": shown(message).encode()})


def connect(message: Message) -> None:
    message.reply_channel.send({"accept": True, "text": shown(message)})


def silent(message: Message) -> None:
    """Neither accept nor refuse."""


def name(message: Message) -> None:
    """Tell a socket its own reply channel, as no project should."""
    message.reply_channel.send({"text": message.reply_channel.name})


def pass_on(message: Message) -> None:
    """Send on whatever keys the client sent, as no project should."""
    Channel("relay").send(json.loads(message["text"]))


def relay(message: Message) -> None:
    mark(f"relay {sorted(message.content)}")
    if message.reply_channel:
        message.reply_channel.send({"text": "relayed"})


routing = [
    *ordinary,
    *users,
    route("http.request", page, path=r"^/mirror/"),
    route("websocket.connect", connect, path=r"^/mirror/"),
    route("websocket.receive", name, path=r"^/mirror/"),
    route("websocket.connect", silent, path=r"^/silent/"),
    route("websocket.connect", connect, path=r"^/pass-on/$"),
    route("websocket.receive", pass_on, path=r"^/pass-on/$"),
    route("relay", relay),
]
