"""The worker's side: plain functions in any worker, whose sockets the server holds.

From ``realtime.together.routing``; on to the group, and so to the consumers of Channels 4 in
the server (``inside.py``) as well.
"""

import json

from djchan import Group
from djchan.message import Message
from realtime.together.lines import GROUP, said


def together_connect(message: Message) -> None:
    message.reply_channel.send({"accept": True})
    Group(GROUP).add(message.reply_channel)


def together_receive(message: Message) -> None:
    try:
        Group(GROUP).send(said("outside", message.get("text")))
    except ValueError as refusal:
        message.reply_channel.send({"text": json.dumps({"refused": str(refusal)})})


def together_disconnect(message: Message) -> None:
    Group(GROUP).discard(message.reply_channel)
