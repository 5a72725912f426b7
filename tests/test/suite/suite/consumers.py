"""Consumers that write down every message, one a line."""

import os
from typing import Any


def note(message: Any) -> None:
    with open(os.environ["MARKS"], "a") as file:
        file.write(f"{(message.channel.name, message.content)!r}\n")
    if message.channel.name == "websocket.connect":
        message.reply_channel.send({"accept": True})
    elif message.channel.name == "websocket.receive":
        message.reply_channel.send({"text": "noted"})
