"""Consumers of the process tests; ``work`` marks its start and end in a file."""

import os
import time
from pathlib import Path

from djchan import Channel, Group
from djchan.message import Message

MARKS = Path(os.environ["MARKS"])


def accept(message: Message) -> None:
    message.reply_channel.send({"accept": True})


def echo(message: Message) -> None:
    message.reply_channel.send({"text": message["text"]})


def mark(text: str) -> None:
    with MARKS.open("a") as marks:
        marks.write(f"{os.getpid()} {text}\n")


def work(message: Message) -> None:
    """Run for as long as a file named in the message does not exist (at most 15 s)."""
    seconds, _, text = message["text"].partition(":")
    mark(f"start {text} attempt={message.attempt} redelivered={message.redelivered}")
    end = time.monotonic() + float(seconds if message.attempt == 1 else 0)
    while time.monotonic() < end:
        time.sleep(0.01)
    mark(f"end {text}")
    message.reply_channel.send({"text": f"done {text}"})


def join(message: Message) -> None:
    message.reply_channel.send({"accept": True})
    Group("room").add(message.reply_channel)


def say(message: Message) -> None:
    Group("room").send({"text": message["text"]})


def leave(message: Message) -> None:
    Group("room").discard(message.reply_channel)


def hold(message: Message) -> None:
    """Begin a response and leave it open for what the group is told."""
    message.reply_channel.send({"status": 200, "content": b"held\n", "more_content": True})
    Group("held").add(message.reply_channel)


def let_go(message: Message) -> None:
    Group("held").discard(message.reply_channel)
    mark("let go")


def hear(message: Message) -> None:
    """From a worker to Channels 4 consumers, and to sockets that workers joined."""
    Group("mixed").send({"type": "mixed.message", "text": f"worker heard {message['text']}"})


def join_mixed(message: Message) -> None:
    message.reply_channel.send({"accept": True})
    Group("mixed").add(message.reply_channel)


def note(message: Message) -> None:
    mark(f"note {message['text']}")
    Group(message["group"]).send({"text": f"noted {message['text']}"})


def fill(message: Message) -> None:
    """Slow: a channel that is easily full."""
    time.sleep(0.2)


def raw_page(message: Message) -> None:
    message.reply_channel.send({"status": 200, "content": b"straight from a consumer"})


def send_later(message: Message) -> None:
    Channel("notes").send({"group": "room", "text": message["text"]})
