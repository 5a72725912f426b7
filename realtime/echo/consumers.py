"""What the echo page's socket says goes back to it.

From ``realtime.echo.routing``; on to the reply channel, which reaches one socket.
"""

from djchan.message import Message


def ws_echo(message: Message) -> None:
    if "text" in message:
        message.reply_channel.send({"text": f"You said: {message['text']}"})
