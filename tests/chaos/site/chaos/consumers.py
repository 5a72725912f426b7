"""Every run says that it was, and leaves effects that can be counted.

An effect is a message on the channel ``ledger``, or to the group ``books``, whose member is
the channel ``tally``. Nobody runs those two: ``tests.chaos.store`` collects them. Jobs leave
one on the ``ledger`` of a second layer, too.
"""

import asyncio
import json
import time
from typing import Any

from chaos.evidence import begun
from djchan import Channel, Group
from djchan.message import Message
from djchan.sessions import channel_session


def _client(message: Message) -> str:
    return str(message["path"]).strip("/").rpartition("/")[2]


def _counted(message: Message, asked: dict[str, Any]) -> str:
    """The answer: how many messages of its connection were answered, with this one."""
    session = message.channel_session
    session["count"] = count = session.get("count", 0) + 1
    return json.dumps({**asked, "k": "answer", "count": count})


def chat_connect(message: Message) -> None:
    of = _client(message)
    ran = begun(message, of, 0)
    message.reply_channel.send({"accept": True})
    Channel("ledger").send({"of": of, "n": 0, "run": ran, "e": "connect"})


@channel_session
def chat_receive(message: Message) -> None:
    asked = json.loads(message["text"])
    of, number = _client(message), asked["n"]
    ran = begun(message, of, number, ms=asked["ms"])
    answer = _counted(message, asked)
    time.sleep(asked["ms"] / 1000)
    effect = {"of": of, "n": number, "run": ran}
    Channel("ledger").send({**effect, "e": "first"})
    message.reply_channel.send({"text": answer})
    Group("books").send({**effect, "e": "group"})
    Channel("ledger").send({**effect, "e": "second"})


@channel_session
async def achat_receive(message: Message) -> None:
    asked = json.loads(message["text"])
    of, number = _client(message), asked["n"]
    ran = begun(message, of, number, ms=asked["ms"])
    answer = _counted(message, asked)
    await asyncio.sleep(asked["ms"] / 1000)
    effect = {"of": of, "n": number, "run": ran}
    await Channel("ledger").asend({**effect, "e": "first"})
    await message.reply_channel.asend({"text": answer})
    await Group("books").asend({**effect, "e": "group"})
    await Channel("ledger").asend({**effect, "e": "second"})


def room_connect(message: Message) -> None:
    chat_connect(message)
    Group("room").add(message.reply_channel)
    message.reply_channel.send({"text": json.dumps({"k": "joined"})})


def room_receive(message: Message) -> None:
    """To everybody in the room, and an answer to the one who spoke."""
    asked = json.loads(message["text"])
    of = _client(message)
    ran = begun(message, of, asked["n"])
    Group("room").send({"text": json.dumps({**asked, "k": "broadcast"})})
    message.reply_channel.send({"text": json.dumps({**asked, "k": "answer"})})
    Channel("ledger").send({"of": of, "n": asked["n"], "run": ran, "e": "said"})


def disconnect(message: Message) -> None:
    of = _client(message)
    ran = begun(message, of, -1)
    Channel("ledger").send({"of": of, "n": -1, "run": ran, "e": "disconnect"})


def job(message: Message) -> None:
    """A message of somebody outside; some of them pass it on."""
    of, number = message["of"], message["n"]
    ran = begun(message, of, number, ms=message["ms"])
    time.sleep(message["ms"] / 1000)
    effect: dict[str, Any] = {"of": of, "n": number, "run": ran}
    Channel("ledger").send({**effect, "e": "job"})
    Channel("ledger", alias="other").send({**effect, "e": "job"})
    Group("books").send({**effect, "e": "job"})
    if number % 4 == 0:
        Channel("chained").send({"of": f"{of}+", "n": number})


async def chained(message: Message) -> None:
    ran = begun(message, message["of"], message["n"])
    effect = {"of": message["of"], "n": message["n"], "run": ran, "e": "chained"}
    await Channel("ledger", alias="other").asend(effect)
    await Channel("ledger").asend(effect)
