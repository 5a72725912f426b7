"""A class for each socket, with a method for each of its messages.

From ``realtime.pingpong.routing``; on to the reply channel, which reaches one socket. An
instance lives for one message only: what is to be known at the next one belongs elsewhere.
"""

from typing import Any

from djchan.generic.websockets import JsonWebsocketConsumer, WebsocketConsumer
from djchan.message import Message


class Ping(WebsocketConsumer):
    """``connect`` is inherited: it accepts."""

    def receive(self, text: str | None = None, bytes: bytes | None = None, **kwargs: Any) -> None:
        word, _, rest = (text or "").partition(" ")
        if word.upper() == "PING":
            # What came with it goes back, as the browser knows by it which ping this was for.
            self.send(text=f"PONG {rest}".strip())
        else:
            self.send(text="This socket understands PING only.")


class JsonPing(JsonWebsocketConsumer):
    def raw_receive(self, message: Message, **kwargs: Any) -> None:
        # Without this, what is no JSON would be a line in the worker's log and no answer.
        try:
            content = self.decode_json(message.get("text") or "")
        except (ValueError, RecursionError) as error:
            self.send({"error": f"This is not JSON: {error}."[:200]})
            return
        self.receive(content, **kwargs)

    def receive(self, content: Any, **kwargs: Any) -> None:
        number = content.get("ping") if isinstance(content, dict) else None
        if isinstance(number, int):
            self.send({"pong": number})
        else:
            self.send({"error": 'Send {"ping": 1}, with a whole number of your own.'})
