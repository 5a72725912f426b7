"""Consumers that make trouble: they end their process, are slow, or send without end."""

import asyncio
import ctypes
import os
import resource
import signal
import time
from collections.abc import Callable

from app.consumers import mark
from app.routing import routing as ordinary
from djchan import Channel
from djchan.message import Message
from djchan.routing import route


def end_itself() -> None:
    os._exit(7)


def segfault() -> None:
    ctypes.string_at(0)


def be_killed() -> None:
    """As by the kernel, when memory has run out."""
    os.kill(os.getpid(), signal.SIGKILL)


def out_of_memory() -> None:
    """Ask for more than the process may have: a MemoryError, which is an exception as any."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 31, before[1]))
    try:
        bytearray(1 << 32)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


TROUBLE: dict[str, Callable[[], None]] = {
    "exit": end_itself,
    "segfault": segfault,
    "kill": be_killed,
    "memory": out_of_memory,
}


def poison(message: Message) -> None:
    """A custom channel, a frame, or a request, that may name its trouble."""
    content = message.content
    how = content.get("text") or content.get("query_string", b"").decode()
    mark(f"run {message.channel.name} {how} attempt={message.attempt}")
    if how in TROUBLE:
        TROUBLE[how]()
    if message.channel.name == "http.request":
        message.reply_channel.send({"status": 200, "content": b"well"})
    elif message.reply_channel:
        message.reply_channel.send({"text": f"well {how}"})


async def crowd(message: Message) -> None:
    """Many at a time; one of them ends the process when the others have begun."""
    text = message["text"]
    mark(f"run {text} attempt={message.attempt}")
    if message.attempt == 1:
        await asyncio.sleep(1.0 if text == "exit" else 3.0)
    if text == "exit":
        end_itself()
    message.reply_channel.send({"text": f"well {text}"})


def frames(message: Message) -> None:
    """Tell a channel of each frame, but for one that ends the process."""
    text = message["text"]
    mark(f"run {text} attempt={message.attempt}")
    if text == "slow":
        time.sleep(0.5)
    if text == "exit":
        end_itself()
    Channel("basin").send({"number": text})


def firehose(message: Message) -> None:
    """As many replies of 64 KiB as the frame says."""
    for _ in range(int(message["text"])):
        message.reply_channel.send({"text": "x" * 65536})


def gone(message: Message) -> None:
    """Slow: many sockets that close at once are a lot of work."""
    time.sleep(0.004)
    mark(f"gone {message.reply_channel.name}")


def flood(message: Message) -> None:
    for number in range(message["count"]):
        Channel("basin").send({"number": number})
    mark("flood ends")


def basin(message: Message) -> None:
    mark(f"basin {message['number']}")


routing = [
    *ordinary,
    *[route(f"poison.{how}", poison) for how in TROUBLE],
    route("http.request", poison, path=r"^/poison/"),
    route(
        "websocket.connect",
        "app.consumers.accept",
        path=r"^/(?:poison|crowd|frames|firehose|gone)/$",
    ),
    route("websocket.receive", poison, path=r"^/poison/$"),
    route("websocket.receive", crowd, path=r"^/crowd/$"),
    route("websocket.receive", frames, path=r"^/frames/$"),
    route("websocket.receive", firehose, path=r"^/firehose/$"),
    route("websocket.disconnect", gone, path=r"^/gone/$"),
    route("flood", flood),
    route("basin", basin),
]
