"""Consumers that never return (for at most 60 s), beside others that echo."""

import asyncio
import time
from typing import Any

from app import consumers
from djchan.message import Message
from djchan.routing import route

FOR_EVER = 60.0


def stick(message: Message) -> None:
    """Echo, or wait for ever."""
    consumers.mark(f"run {message['text']} attempt={message.attempt}")
    if message["text"] == "stick":
        time.sleep(FOR_EVER)
    consumers.echo(message)


def steady(message: Message) -> None:
    """Take a second of its own process's time, however long that is stopped."""
    consumers.mark(f"start {message['text']} attempt={message.attempt}")
    for _ in range(100 if message.attempt == 1 else 0):
        time.sleep(0.01)
    consumers.mark(f"end {message['text']}")
    consumers.echo(message)


async def astick(message: Message) -> None:
    consumers.mark(f"run {message['text']} attempt={message.attempt}")
    if message["text"] == "stick":
        await asyncio.sleep(FOR_EVER)
    if message["text"] == "block":
        time.sleep(FOR_EVER)
    await message.reply_channel.asend({"text": message["text"]})


def page(message: Message) -> None:
    consumers.mark("run page")
    time.sleep(FOR_EVER)


routing: list[Any] = [
    route("websocket.connect", consumers.accept),
    route("websocket.receive", stick, path=r"^/stick/$"),
    route("websocket.receive", astick, path=r"^/astick/$"),
    route("websocket.receive", steady, path=r"^/steady/$"),
    route("websocket.receive", consumers.echo, path=r"^/echo/$"),
    route("http.request", page),
]
