import base64
import json
import os
import random
import sys
import threading
import time
from typing import Any
from urllib.parse import unquote

from djchan import Channel, Group
from djchan.exceptions import (
    ChannelSocketException,
    ConsumeLater,
    DenyConnection,
    WebsocketCloseException,
)
from djchan.sessions import enforce_ordering
from lines.marks import mark


def _say(message: Any, text: str) -> None:
    for reply in json.loads(text):
        if "base64" in reply:
            reply["bytes"] = base64.b64decode(reply.pop("base64"))
        channel = reply.pop("channel", None)
        (Channel(channel) if channel else message.reply_channel).send(reply)


def say_query(message: Any) -> None:
    _say(message, unquote(message["query_string"].decode()))


def say_text(message: Any) -> None:
    _say(message, message["text"])


# ------------------------------------------------------------------------------- 2


def deny(message: Any) -> None:
    raise DenyConnection


def fail(message: Any) -> None:
    raise LookupError("a connect consumer failed")


class Wave(ChannelSocketException):
    def run(self, message: Any) -> None:
        message.reply_channel.send({"text": "wave"})


def event(message: Any) -> None:
    name = message["text"]
    message.reply_channel.send({"text": "before"})
    if name == "exception":
        raise LookupError("a receive consumer failed")
    if name == "deny":
        raise DenyConnection
    if name == "socket exception":
        raise Wave
    if name == "socket exception that fails":
        raise ChannelSocketException
    if name == "close exception":
        raise WebsocketCloseException(4001)
    if name == "later":
        raise ConsumeLater
    if name == "exit":
        sys.exit("a consumer wants out")


# ------------------------------------------------------------------------------- 3


def join(message: Any, group: str) -> None:
    message.reply_channel.send({"accept": True})
    Group(group).add(message.reply_channel)


def send(message: Any, group: str) -> None:
    reply, how = message.reply_channel, message["text"]
    if how == "order":
        reply.send({"text": "1"})
        Group(group).send({"text": "2"})
        reply.send({"text": "3"})
        # Until now nobody has got anything.
        time.sleep(0.2)
        mark(f"returns {group} {time.time()}")
    elif how == "exception":
        reply.send({"text": "kept"})
        raise LookupError("after a send")
    elif how == "later":
        run = message.content.get("__retries__", 0)
        reply.send({"text": f"run {run}"})
        if run < 3:
            raise ConsumeLater
    elif how == "immediately":
        reply.send({"text": "waits"})
        reply.send({"text": "overtakes"}, immediately=True)
    elif how == "thread":
        reply.send({"text": "waits"})
        thread = threading.Thread(target=reply.send, args=({"text": "a thread's own"},))
        thread.start()
        thread.join()
    elif how == "change":
        content = {"text": "as it was sent"}
        reply.send(content)
        content["text"] = "as it became"


# ------------------------------------------------------------------------------- 4, 5


def dawdle(message: Any) -> None:
    mark("dawdles")
    time.sleep(1.0)
    message.reply_channel.send({"text": "at last"})


def gone(message: Any) -> None:
    mark(f"gone {message['code']}")


def answer(message: Any) -> None:
    content = f"{message['group']} is served".encode()
    headers = [(b"X-Late", b"yes")]
    Group(message["group"]).send({"status": 200, "headers": headers, "content": content})


# ------------------------------------------------------------------------------- 7


@enforce_ordering
def ordered_connect(message: Any) -> None:
    message.reply_channel.send({"accept": True})


@enforce_ordering(slight=False)
def ordered(message: Any) -> None:
    order = message["order"]
    mark(f"begin {order}")
    time.sleep(random.random() * 0.001)
    mark(f"end {order}")
    if order == 500:
        raise LookupError("in the middle")
    message.reply_channel.send({"text": json.dumps([order, os.getpid()])})


@enforce_ordering
def ordered_end(message: Any) -> None:
    mark(f"begin {message['order']}")
    mark(f"end {message['order']}")
    mark("over")


# ------------------------------------------------------------------------------- 8, 9


def due(message: Any) -> None:
    mark(f"due {message['n']} {time.time()}")


def work(message: Any) -> None:
    mark(f"start {message['name']}")
    time.sleep(message["seconds"])
    mark(f"end {message['name']}")
