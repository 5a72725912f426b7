"""The two consumers as djchan has them: functions of one message, in a worker."""

from djchan import Group
from djchan.message import Message


def echo_connect(message: Message) -> None:
    message.reply_channel.send({"accept": True})


def echo_receive(message: Message) -> None:
    message.reply_channel.send({"text": message.content["text"]})


def any_receive(message: Message) -> None:
    """An echo of text and of bytes, for benchmarks.autobahn."""
    content = message.content
    message.reply_channel.send({key: content[key] for key in ("text", "bytes") if key in content})


def room_connect(message: Message) -> None:
    message.reply_channel.send({"accept": True})
    Group("room").add(message.reply_channel)


def room_receive(message: Message) -> None:
    Group("room").send({"text": message.content["text"]})


def room_disconnect(message: Message) -> None:
    Group("room").discard(message.reply_channel)
