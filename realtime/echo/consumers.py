"""What the echo page's socket says goes back to it: at once, or after some work.

From ``realtime.echo.routing``; on to the reply channel, which reaches one socket, or to the
channel ``slow-echo``, whose consumer (``workers.echo``) answers there later.
"""

import os

from djchan import Channel
from djchan.message import Message


def ws_echo(message: Message) -> None:
    if "text" in message:
        message.reply_channel.send({"text": f"You said: {message['text']}"})


def ws_slow(message: Message, line: str) -> None:
    # The socket goes with the work, by the name of its reply channel. This consumer is done
    # at once, and so the socket's next line does not wait.
    Channel("slow-echo").send(
        {"reply_channel": message["reply_channel"], "text": line, "by": os.getpid()}
    )
