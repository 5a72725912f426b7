"""An echo that takes its time: the smallest task queue.

From ``Channel("slow-echo").send(…)`` in ``realtime.echo.consumers``; on to the reply channel
in that message, which reaches the socket whoever answers, and whenever.

A worker that dies here has answered nothing: another runs the message again, and the answer
of exactly one run goes out.
"""

import os
import time

from djchan.message import Message

SECONDS = 3.0


def slow_echo(message: Message) -> None:
    time.sleep(SECONDS)  # Stands for work that no socket should wait for.
    message.reply_channel.send(
        {
            "text": f"You said: {message['text']} ({SECONDS:g} seconds of work by worker "
            f"{os.getpid()}, handed on by worker {message['by']})"
        }
    )
