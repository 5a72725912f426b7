"""Each decorator and each attribute that brings a session or a user, on a path of its own."""

import json
from typing import Any

from django.contrib.auth import get_user_model

from djchan import route
from djchan.auth import (
    channel_and_http_session_user_from_http,
    channel_session_user,
    channel_session_user_from_http,
    http_session_user,
)
from djchan.generic.websockets import WebsocketConsumer, WebsocketDemultiplexer
from djchan.sessions import channel_and_http_session, channel_session, http_session
from lines.marks import mark


def seen(message: Any, name: str) -> dict[str, Any]:
    """What the consumer ``name`` sees: the user, the how manyeth message, the HTTP session."""
    count, channel = None, getattr(message, "channel_session", None)
    if channel is not None:
        count = channel.get(f"count {name}", 0) + 1
        channel[f"count {name}"] = count
    http = getattr(message, "http_session", None)
    user = getattr(message, "user", None)
    return {
        "user": None if user is None else user.get_username(),
        "count": count,
        "http": None if http is None else http.get("sign"),
    }


def tell(message: Any, **kwargs: Any) -> None:
    message.reply_channel.send({"text": json.dumps(seen(message, "function"))})


# The decorator of connect, and that of receive.
DECORATORS = {
    "channel_session": (channel_session, channel_session),
    "http_session": (http_session, http_session),
    "channel_and_http_session": (channel_and_http_session, channel_and_http_session),
    "channel_session_user": (channel_session_user, channel_session_user),
    "http_session_user": (http_session_user, http_session_user),
    "channel_session_user_from_http": (channel_session_user_from_http, channel_session_user),
    "channel_and_http_session_user_from_http": (channel_and_http_session_user_from_http,) * 2,
}
ATTRIBUTES = [
    "channel_session",
    "channel_session_user",
    "http_user",
    "http_user_and_session",
    "strict_ordering",
]


class Who(WebsocketConsumer):
    def connect(self, message: Any, **kwargs: Any) -> None:
        self.send(text=json.dumps(seen(message, "class")))

    def receive(self, text: str | None = None, bytes: bytes | None = None, **kwargs: Any) -> None:
        self.send(text=json.dumps(seen(self.message, "class")))


class Stream(WebsocketConsumer):
    def connect(self, message: Any, **kwargs: Any) -> None:
        self.tell(**kwargs)

    def receive(self, text: str | None = None, bytes: bytes | None = None, **kwargs: Any) -> None:
        self.tell(**kwargs)

    def tell(self, *, multiplexer: Any, **kwargs: Any) -> None:
        multiplexer.send(seen(self.message, multiplexer.stream))


class Streams(WebsocketDemultiplexer):
    consumers = {  # noqa: RUF012
        name: type(f"Stream_{name}", (Stream,), {name: True}) for name in ATTRIBUTES
    }

    # As in the examples of 1.x: without **kwargs.
    def connection_groups(self) -> list[str]:  # type: ignore[override]
        return ["streams"]


def change_password(message: Any) -> None:
    user = get_user_model().objects.get(username=message["user"])
    user.set_password("changed")
    user.save()
    mark(f"password {message['user']}")


routing = [
    *[
        route(channel, decorator(tell), path=f"^/who/{name}/$")
        for name, pair in DECORATORS.items()
        for channel, decorator in zip(("websocket.connect", "websocket.receive"), pair, strict=True)
    ],
    *[Who.as_route(attrs={name: True}, path=f"^/class/{name}/$") for name in ATTRIBUTES],
]
