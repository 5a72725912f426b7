import json

from djchan import Group
from djchan.auth import http_session_user
from djchan.message import Message


@http_session_user
def connect(message: Message) -> None:
    """Say to whom this socket belongs, as the consumer sees it."""
    session = message.http_session
    hello = {
        "client": message["client"],
        "scheme": message["scheme"],
        "visits": session.get("visits") if session is not None else None,
        "user": message.user.get_username(),
    }
    message.reply_channel.send({"accept": True, "text": json.dumps(hello)})
    Group("room").add(message.reply_channel)


def receive(message: Message) -> None:
    message.reply_channel.send({"text": message["text"]})


def disconnect(message: Message) -> None:
    Group("closes").send({"text": f"{message['path']} {message['code']}"})


def watch(message: Message) -> None:
    message.reply_channel.send({"accept": True})
    Group("closes").add(message.reply_channel)


def note(message: Message) -> None:
    Group("room").send({"text": f"background: {message['text']}"})
