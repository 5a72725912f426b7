"""Consumers as projects write them. It is not run: mypy --strict and pyright check it."""

import datetime
from collections.abc import Iterable
from typing import Any

from djchan import Channel, Group, route
from djchan.auth import channel_session_user, channel_session_user_from_http
from djchan.generic import BaseConsumer
from djchan.generic.websockets import (
    JsonWebsocketConsumer,
    WebsocketConsumer,
    WebsocketDemultiplexer,
    WebsocketMultiplexer,
)
from djchan.message import Message
from djchan.routing import route_class
from djchan.security.websockets import allowed_hosts_only
from djchan.sessions import enforce_ordering, http_session


@channel_session_user_from_http
def connect(message: Message, room: str) -> None:
    message.channel_session["room"] = room
    message.reply_channel.send({"accept": message.user.is_authenticated})
    Group(f"room-{room}").add(message.reply_channel)


@channel_session_user
async def receive(message: Message) -> None:
    await message.reply_channel.asend({"text": message["text"]})
    await Group("lines").aadd(message.reply_channel.name)
    Channel("jobs").send({"reply_channel": message.reply_channel.name}, delay=0.5)
    Channel("jobs").send({}, delay=datetime.timedelta(minutes=1))


@enforce_ordering
@http_session
def ordered(message: Message) -> str:
    return str(message.http_session["name"])


@enforce_ordering()
@allowed_hosts_only
def also_ordered(message: Message) -> None:
    message.reply_channel.send({"text": ordered(message)})
    ordered(7)  # type: ignore[arg-type]  # pyright: ignore


def perhaps(message: Message) -> None:
    if message.reply_channel:
        message.reply_channel.send({"close": True})
    message.reply_channel.sned({})  # type: ignore[attr-defined]  # pyright: ignore


class Jobs(BaseConsumer):
    method_mapping = {"jobs": "work"}  # noqa: RUF012

    def work(self, message: Message, kind: str = "") -> None:
        message.reply_channel.send({"text": self.kwargs.get("kind", kind)})


class Lines(WebsocketConsumer):
    groups = ("lines",)
    http_user = True

    def connect(self, message: Message, room: str) -> None:
        super().connect(message, room=room)

    def receive(self, text: str | None = None, bytes: bytes | None = None, **kwargs: Any) -> None:
        self.send(text=text, bytes=bytes)
        self.group_send("lines", text=text)
        self.send(tekst=text)  # type: ignore[call-arg]  # pyright: ignore

    def disconnect(self, message: Message, **kwargs: Any) -> None:
        self.close()


class Values(JsonWebsocketConsumer):
    strict_ordering = True

    def connection_groups(self, room: str, **kwargs: Any) -> Iterable[str]:
        return [f"room-{room}", *super().connection_groups(**kwargs)]

    def receive(self, content: Any, **kwargs: Any) -> None:
        self.send({"said": content})
        self.group_send("room-1", {"said": content}, close=3000)


class Stream(JsonWebsocketConsumer):
    def connect(self, message: Message, multiplexer: WebsocketMultiplexer, **kwargs: Any) -> None:
        multiplexer.send({"hello": multiplexer.stream})

    def receive(self, content: Any, multiplexer: WebsocketMultiplexer, **kwargs: Any) -> None:
        multiplexer.group_send("room-1", multiplexer.stream, content)

    def disconnect(
        self, message: Message, multiplexer: WebsocketMultiplexer, **kwargs: Any
    ) -> None:
        super().disconnect(message, multiplexer=multiplexer, **kwargs)


class Streams(WebsocketDemultiplexer):
    consumers = {"stream": Stream, "values": Values}  # noqa: RUF012

    def connection_groups(self) -> list[str]:
        return ["streams"]

    def receive(self, content: Any, **kwargs: Any) -> None:
        super().receive(content, **kwargs)


channel_routing = [
    route("websocket.connect", connect, path=r"^/(?P<room>\w+)/$"),
    route("websocket.receive", receive),
    route_class(Lines, path="^/lines/"),
    Values.as_route(path="^/values/"),
    Jobs.as_route(attrs={"channel_session": True}),
    Streams.as_route(),
]
