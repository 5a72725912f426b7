"""Consumers that say back what one user said, on every path there is, each in its own time."""

import hashlib
import random
import time

from djchan import Channel, Group
from djchan.message import Message
from djchan.routing import route


def group_of(message: Message) -> str:
    return "user-" + message["path"].strip("/").split("/")[1]


def accept(message: Message) -> None:
    message.reply_channel.send({"accept": True})
    Group(group_of(message)).add(message.reply_channel)


def dawdle() -> None:
    time.sleep(random.random() * 0.004)


def receive(message: Message) -> None:
    """``echo TEXT``, ``group TEXT`` or ``channel TEXT``: by which way it comes back."""
    way, _, text = message["text"].partition(" ")
    dawdle()
    if way == "group":
        Group(group_of(message)).send({"text": f"group {text}"})
    elif way == "channel":
        reply_channel = message.reply_channel.name
        Channel("errands").send({"reply_channel": reply_channel, "text": text})
    else:
        message.reply_channel.send({"text": f"echo {text}"})


def errand(message: Message) -> None:
    dawdle()
    message.reply_channel.send({"text": f"channel {message['text']}"})


def page(message: Message) -> None:
    """The query and the hash of the body; the query may say how long to wait for it."""
    query = message["query_string"].decode()
    seconds, _, _ = query.partition("-")
    time.sleep(float(seconds or 0))
    digest = hashlib.sha256(message.content.get("body", b"")).hexdigest()
    message.reply_channel.send({"status": 200, "content": f"{query} {digest}".encode()})


routing = [
    route("websocket.connect", accept, path=r"^/user/\w+/$"),
    route("websocket.receive", receive, path=r"^/user/\w+/$"),
    route("http.request", page, path=r"^/user/$"),
    route("errands", errand),
]
