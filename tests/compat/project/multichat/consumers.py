"""A chat that hands what a client sent on to its own channel, with the client's reply channel."""

import functools
import json
from collections.abc import Callable
from typing import Any

from djchan import Channel, Group
from djchan.auth import channel_session_user, channel_session_user_from_http


class ClientError(Exception):
    def send_to(self, channel: Any) -> None:
        channel.send({"text": json.dumps({"error": str(self)})})


def catch_client_error(func: Callable[[Any], None]) -> Callable[[Any], None]:
    """A decorator of the project's own, which takes a message and nothing else."""

    @functools.wraps(func)
    def inner(message: Any) -> None:
        try:
            func(message)
        except ClientError as error:
            error.send_to(message.reply_channel)

    return inner


@channel_session_user_from_http
def ws_connect(message: Any) -> None:
    message.reply_channel.send({"accept": True})
    message.channel_session["rooms"] = []


def ws_receive(message: Any) -> None:
    payload = json.loads(message["text"])
    payload["reply_channel"] = message.content["reply_channel"]
    Channel("chat.receive").send(payload)


@channel_session_user
def ws_disconnect(message: Any) -> None:
    for room in message.channel_session.get("rooms", ()):
        Group(room).discard(message.reply_channel)


@channel_session_user
@catch_client_error
def chat_join(message: Any) -> None:
    if message["room"] == "closed":
        raise ClientError("ROOM_CLOSED")
    Group(message["room"]).add(message.reply_channel)
    message.channel_session["rooms"] = [*message.channel_session["rooms"], message["room"]]
    message.reply_channel.send({"text": json.dumps({"join": message["room"]})})


@channel_session_user
@catch_client_error
def chat_send(message: Any) -> None:
    if message["room"] not in message.channel_session["rooms"]:
        raise ClientError("ROOM_ACCESS_DENIED")
    who = message.user.get_username() or "nobody"
    Group(message["room"]).send({"text": json.dumps({"from": who, "text": message["text"]})})
