"""Consumers that ended the worker of Channels 1.x that ran them, each in its own way."""

import asyncio
import datetime
import decimal
import os
import sys
from collections.abc import Callable
from typing import Any

from app.consumers import mark
from djchan import Channel, Group
from djchan.exceptions import (
    ChannelSocketException,
    ConsumeLater,
    DenyConnection,
    WebsocketCloseException,
)
from djchan.generic.websockets import JsonWebsocketConsumer, WebsocketDemultiplexer
from djchan.message import Message
from djchan.routing import route, route_class
from djchan.sessions import channel_session, enforce_ordering


class Odd(BaseException):
    """Not an Exception."""


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("it cannot say what it is")


class Broken(ChannelSocketException):
    def run(self, message: Message) -> None:
        raise LookupError("no socket drawer")


def throw(error: BaseException) -> Callable[[Message], None]:
    def killer(message: Message) -> None:
        raise error

    return killer


def send(content: Any, channel: str = "unread") -> Callable[[Message], None]:
    return lambda message: Channel(channel).send(content)


def nested(depth: int) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for _ in range(depth):
        content = {"in": content}
    return content


def cyclic() -> dict[str, Any]:
    content: dict[str, Any] = {}
    content["self"] = content
    return content


def fork(message: Message) -> None:
    """A child that thinks it can leave by an exception."""
    if os.fork() == 0:
        sys.exit("a child wants out")
    os.wait()
    mark("forked")


def descend(message: Message) -> None:
    descend(message)


KILLERS: dict[str, Callable[[Message], object]] = {
    "raise": throw(ValueError("no such slice: 42")),
    "exit": lambda message: sys.exit("out of here"),
    "interrupt": throw(KeyboardInterrupt()),
    "cancel": throw(asyncio.CancelledError()),
    "generator-exit": throw(GeneratorExit()),
    "odd": throw(Odd("not an Exception")),
    "mute": throw(Mute()),
    "memory": throw(MemoryError()),
    "recursion": descend,
    "fork": fork,
    "deny": throw(DenyConnection()),
    "no-run": throw(ChannelSocketException()),
    "broken-run": throw(Broken()),
    "close-text": lambda message: throw(WebsocketCloseException("4000"))(message),  # type: ignore[arg-type]
    "close-1011": lambda message: throw(WebsocketCloseException(1011))(message),
    "close-4000": throw(WebsocketCloseException(4000)),
    "later": throw(ConsumeLater()),
    "channel-name": send({}, "a b"),
    "group-name": lambda message: Group("room:1").send({}),
    "group-add": lambda message: Group("room/1").add(message.reply_channel),
    "reply-name": lambda message: Group("room").add("websocket.send!a!b"),
    "no-dict": send(["no", "dict"]),
    "decimal": send({"price": decimal.Decimal("9.99")}),
    "date": send({"when": datetime.date(2018, 2, 2)}),
    "object": send({"message": Odd}),
    "set": send({"tags": {"a"}}),
    "number-key": send({7: "seven"}),
    "huge": send({"number": 2**70}),
    "surrogate": send({"text": "\ud800"}),
    "nested": send(nested(100_000)),
    "cyclic": send(cyclic()),
    "large": send({"text": "x" * (3 << 20)}),
    "asgi-channel": send({"__asgi_channel__": "websocket.send!x"}),
    "retries": send({"__retries__": 99}),
    "original": send({"original_channel": "http.request"}),
    "full": lambda message: [Channel("unread").send({"n": n}) for n in range(50)],
    "full-now": lambda message: [
        Channel("unread").send({"n": n}, immediately=True) for n in range(50)
    ],
}


def how_of(message: Message) -> str:
    return str(message.get("text") or message.get("how"))


def killer(message: Message) -> None:
    how = how_of(message)
    if how == "ping":
        message.reply_channel.send({"text": "pong"})
    else:
        KILLERS[how](message)


async def akiller(message: Message) -> None:
    how = how_of(message)
    if how == "ping":
        await message.reply_channel.asend({"text": "pong"})
    else:
        KILLERS[how](message)


def ping(message: Message) -> None:
    mark(f"ping {message['nonce']}")


async def aping(message: Message) -> None:
    mark(f"aping {message['nonce']}")


def refuse(message: Message) -> None:
    raise DenyConnection


@enforce_ordering
def in_order(message: Message) -> None:
    mark("never")


@channel_session
def with_session(message: Message) -> None:
    mark("never")


def without_kwargs(message: Message) -> None:
    mark("never")


class Goose:
    """A route of the project's own that answers nonsense, or ends."""

    def match(self, message: Message) -> Any:
        if message.channel.name != "goose":
            return None
        how = message.get("how")
        if how == "exit":
            sys.exit("a route wants out")
        if how == "raise":
            raise LookupError("a route is lost")
        return 5

    def channel_names(self) -> set[str]:
        return {"goose"}


class Stream(JsonWebsocketConsumer):
    """On a stream, and on a path of its own."""

    def connect(self, message: Message, **kwargs: Any) -> None:
        if "multiplexer" not in kwargs:
            super().connect(message, **kwargs)

    def receive(self, content: Any, **kwargs: Any) -> None:
        if "multiplexer" not in kwargs or content.get("send"):
            self.send({"on": "the class"})
        else:
            kwargs["multiplexer"].send(content)


class Streams(WebsocketDemultiplexer):
    consumers = {"s": Stream}  # noqa: RUF012


routing = [
    Goose(),
    route("websocket.connect", refuse, path=r"^/refuse/$"),
    route("websocket.connect", "app.consumers.accept", path=r"^/a?kill/$"),
    route("websocket.receive", killer, path=r"^/kill/$"),
    route("websocket.receive", akiller, path=r"^/akill/$"),
    route_class(Streams, path=r"^/streams/$"),
    route_class(Stream, path=r"^/stream/$"),
    route("killer", killer),
    route("commands", without_kwargs, command=r"^send$"),
    route("kwargs", without_kwargs, how=r"^(?P<how>\w+)$"),
    route("ordered", in_order),
    route("sessions", with_session),
    route("ping", ping),
    route("aping", aping),
    route([f"garbage.{number}" for number in range(4)], ping),
]
