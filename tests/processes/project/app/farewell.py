"""Consumers that note who comes and who goes; the path of a socket is its name."""

import time

from app.consumers import mark
from djchan.message import Message
from djchan.routing import route


def come(message: Message) -> None:
    mark(f"come {message['path']}")
    message.reply_channel.send({"accept": True})


def speak(message: Message) -> None:
    """``1.5:text`` takes a second and a half."""
    seconds, _, text = message["text"].rpartition(":")
    if seconds:
        mark(f"begin {message['path']} {text}")
        time.sleep(float(seconds))
        mark(f"end {message['path']} {text}")
    message.reply_channel.send({"text": message["text"]})


def go(message: Message) -> None:
    mark(f"go {message['path']} {message['code']} attempt={message.attempt}")


routing = [
    route("websocket.connect", come),
    route("websocket.receive", speak),
    route("websocket.disconnect", go),
]
