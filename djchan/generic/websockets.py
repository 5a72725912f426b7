"""Class-based consumers of WebSockets, of JSON ones, and of several streams on one socket.

From ``djchan.dispatch``, one message of a socket at a time; on to the project's ``connect``,
``receive`` and ``disconnect``, and back to the socket through its reply channel.

::

    websocket.connect ────► raw_connect ─────► joins connection_groups, connect()
    websocket.receive ────► raw_receive ─────► receive(text= or bytes=), or receive(content)
    websocket.disconnect ─► raw_disconnect ──► leaves connection_groups, disconnect()

A demultiplexer hands each frame to the consumer of its stream, and connect and disconnect to
all of them; they answer through the ``multiplexer`` that they are given. Nothing of this is
kept on a class: the same consumer may serve a stream, a route of its own, and other streams.

``connect``, ``receive``, ``disconnect`` and ``connection_groups`` are made to be overridden, with
parameters for what a route or a demultiplexer adds. ``*args: Any, **kwargs: Any`` says so to type
checkers: any signature may take its place.
"""

import json
import logging
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from djchan import strict_json
from djchan.auth import channel_and_http_session_user_from_http, channel_session_user_from_http
from djchan.channel import Channel, Group
from djchan.exceptions import (
    BrokerRefused,
    BrokerUnavailable,
    ConsumeLater,
    DenyConnection,
    InvalidFrame,
    SendNotAvailableOnDemultiplexer,
)
from djchan.generic.base import BaseConsumer
from djchan.log import escaping
from djchan.message import Message
from djchan.outbox import current
from djchan.sessions import enforce_ordering
from djchan.utils import name_that_thing

logger = escaping(logging.getLogger(__name__))


class WebsocketConsumer(BaseConsumer):
    """One class for the three messages of a WebSocket.

    ``groups``: what every socket joins at connect and leaves at disconnect.
    ``http_user``: ``message.user`` is who was logged in when the socket connected;
    ``http_user_and_session``: ``message.http_session`` as well. Both bring the channel session.
    ``strict_ordering``: decorates with ``enforce_ordering``.
    """

    method_mapping: ClassVar[dict[str, str]] = {
        "websocket.connect": "raw_connect",
        "websocket.receive": "raw_receive",
        "websocket.disconnect": "raw_disconnect",
    }

    http_user = False
    http_user_and_session = False
    strict_ordering = False
    slight_ordering = False  # Refused: a name of Channels 0.x.

    groups: Iterable[str] | None = None

    def get_handler(self, message: Message, **kwargs: Any) -> Callable[..., Any]:
        """The method for ``message``, inside the decorators that the attributes ask for."""
        if self.slight_ordering and not self.strict_ordering:
            raise ValueError(
                f"Remove slight_ordering = True from {name_that_thing(type(self))}: connect "
                "always comes first. For the order of all frames there is strict_ordering."
            )
        self.path = message["path"]
        if self.http_user or self.http_user_and_session:
            self.channel_session_user = True
        handler = super().get_handler(message, **kwargs)
        if self.http_user_and_session:
            handler = channel_and_http_session_user_from_http(handler)
        elif self.http_user:
            handler = channel_session_user_from_http(handler)
        if self.strict_ordering:
            handler = enforce_ordering(handler)
        return handler

    def connection_groups(self, *args: Any, **kwargs: Any) -> Iterable[str]:
        """The names of the groups that this socket is in from connect to disconnect."""
        return self.groups or ()

    def raw_connect(self, message: Message, **kwargs: Any) -> None:
        for name in self.connection_groups(**kwargs):
            Group(name, channel_layer=message.channel_layer).add(message.reply_channel)
        self.connect(message, **kwargs)

    def connect(self, message: Message, *args: Any, **kwargs: Any) -> None:
        """Accept the socket. What overrides this accepts, refuses or closes by itself."""
        message.reply_channel.send({"accept": True})

    def raw_receive(self, message: Message, **kwargs: Any) -> None:
        # A key that is there with None means the same as one that is not.
        text = message.get("text")
        if text is not None:
            self.receive(text=text, **kwargs)
        else:
            self.receive(bytes=message["bytes"], **kwargs)

    def receive(self, *args: Any, **kwargs: Any) -> None:
        """Take a frame. It is given as the keyword argument ``text`` or ``bytes``."""

    def raw_disconnect(self, message: Message, **kwargs: Any) -> None:
        for name in self.connection_groups(**kwargs):
            Group(name, channel_layer=message.channel_layer).discard(message.reply_channel)
        self.disconnect(message, **kwargs)

    def disconnect(self, message: Message, *args: Any, **kwargs: Any) -> None:
        """The socket is gone, or was refused."""

    def send(
        self, text: str | None = None, bytes: bytes | None = None, close: bool | int = False
    ) -> None:
        """Send a frame; with ``close`` (True, or a code) the socket is closed behind it."""
        self.message.reply_channel.send(_frame(text, bytes, close))

    @classmethod
    def group_send(
        cls,
        name: str,
        text: str | None = None,
        bytes: bytes | None = None,
        close: bool | int = False,
    ) -> None:
        """``send`` to all sockets of a group of the default layer."""
        Group(name).send(_frame(text, bytes, close))

    def close(self, status: bool | int = True) -> None:
        """Close the socket, with a code if ``status`` is one."""
        self.message.reply_channel.send({"close": status})


class JsonWebsocketConsumer(WebsocketConsumer):
    """Frames are text, and the text is JSON. What is neither raises InvalidFrame: it is logged,
    now and then, and the socket stays open."""

    def raw_receive(self, message: Message, **kwargs: Any) -> None:
        text = message.get("text")
        if text is None:
            raise InvalidFrame("It takes JSON in text frames, and this one has no text.")
        try:
            content = self.decode_json(text)
        except json.JSONDecodeError as error:
            raise InvalidFrame(f"This is no JSON: {error.msg} at character {error.pos}.") from error
        except RecursionError as error:
            raise InvalidFrame("This JSON is nested too deeply.") from error
        self.receive(content, **kwargs)

    def receive(self, *args: Any, **kwargs: Any) -> None:
        """Take the content of a frame, the first argument."""

    def send(self, content: Any, close: bool | int = False) -> None:  # type: ignore[override]
        """Send ``content`` as JSON."""
        super().send(text=self.encode_json(content), close=close)

    @classmethod
    def decode_json(cls, text: str) -> Any:
        return strict_json.loads(text)

    @classmethod
    def encode_json(cls, content: Any) -> str:
        return strict_json.dumps(content)

    @classmethod
    def group_send(  # type: ignore[override]
        cls, name: str, content: Any, close: bool | int = False
    ) -> None:
        """``send`` to all sockets of a group of the default layer."""
        super().group_send(name, text=cls.encode_json(content), close=close)


class WebsocketMultiplexer:
    """How the consumer of a ``stream`` sends: each payload in an envelope with its stream."""

    def __init__(self, stream: str, reply_channel: Channel) -> None:
        self.stream = stream
        self.reply_channel = reply_channel

    def send(self, payload: Any) -> None:
        """Send ``payload`` to the socket, on this stream."""
        self.reply_channel.send(self.encode(self.stream, payload))

    @classmethod
    def encode_json(cls, content: Any) -> str:
        return strict_json.dumps(content)

    @classmethod
    def encode(cls, stream: str, payload: Any) -> dict[str, Any]:
        """The message that carries ``payload`` on ``stream``."""
        return {"text": cls.encode_json({"stream": stream, "payload": payload})}

    @classmethod
    def group_send(cls, name: str, stream: str, payload: Any, close: bool | int = False) -> None:
        """Send ``payload`` to all sockets of a group of the default layer, on ``stream``."""
        message = cls.encode(stream, payload)
        if close:
            message["close"] = close
        Group(name).send(message)


class WebsocketDemultiplexer(JsonWebsocketConsumer):
    """Several consumers on one socket, each with a stream of its own.

    ``consumers``: the name of a stream to its consumer, a class or a function. A frame is
    ``{"stream": name, "payload": dict}``; its consumer finds the payload, as JSON, in
    ``message["text"]``. Each is called with the keyword argument ``multiplexer`` too.
    """

    consumers: ClassVar[dict[str, Any]] = {}
    multiplexer_class: type[WebsocketMultiplexer] = WebsocketMultiplexer

    def connect(self, message: Message, *args: Any, **kwargs: Any) -> None:
        """Accept the socket and connect every stream, in their order; any may refuse it."""
        message.reply_channel.send({"accept": True})
        try:
            for stream, consumer in self.consumers.items():
                self._call(stream, consumer, message, kwargs)
        except DenyConnection:
            # A socket is refused before it is open, and our own accept is in the way.
            running = current()
            if running is not None:
                layer = getattr(message.channel_layer, "channel_layer", message.channel_layer)
                running.forget_replies(message.reply_channel.name, layer)
            raise

    def receive(self, content: Any, *args: Any, **kwargs: Any) -> None:
        """Hand a frame to the consumer of its stream, and to no other."""
        if not isinstance(content, dict) or "stream" not in content or "payload" not in content:
            raise InvalidFrame(
                "A multiplexed frame is a JSON object with the keys stream and payload, "
                f"not {content!r:.80}."
            )
        stream, payload = content["stream"], content["payload"]
        # Compared, not looked up: a client may send what cannot be a key.
        found = [each for each in self.consumers.items() if each[0] == stream]
        if not found:
            raise InvalidFrame(
                f"{name_that_thing(type(self))} has no stream {stream!r:.80}; in its consumers "
                f"are: {', '.join(map(repr, self.consumers)) or 'none'}."
            )
        if not isinstance(payload, dict):
            raise InvalidFrame(
                f"The payload of a multiplexed frame is a JSON object, not {payload!r:.80} "
                f"(stream {stream!r})."
            )
        # The message's own content, as in Channels 1.x; when it is run again, it is read anew.
        self.message.content["text"] = self.encode_json(payload)
        self._call(*found[0], self.message, kwargs)

    def disconnect(self, message: Message, *args: Any, **kwargs: Any) -> None:
        """Disconnect every stream, also when that of another raises."""
        errors: list[Exception] = []
        for stream, consumer in self.consumers.items():
            try:
                self._call(stream, consumer, message, kwargs)
            except (ConsumeLater, BrokerUnavailable, BrokerRefused):
                raise  # The whole message comes again.
            except Exception as error:
                errors.append(error)
        for other in errors[1:]:
            logger.error("Error in another stream at the same disconnect:", exc_info=other)
        if errors:
            raise errors[0]

    def send(self, *args: Any, **kwargs: Any) -> None:
        """Not here: a frame needs its stream."""
        _refuse_send()

    @classmethod
    def group_send(cls, *args: Any, **kwargs: Any) -> None:
        """Not here: a frame needs its stream."""
        raise SendNotAvailableOnDemultiplexer(
            "A demultiplexer cannot tell the stream: call group_send(name, stream, payload) of "
            f"its multiplexer_class, {name_that_thing(cls.multiplexer_class)}."
        )

    def _call(self, stream: str, consumer: Any, message: Message, kwargs: dict[str, Any]) -> None:
        """Call the consumer of one stream."""
        multiplexer = self.multiplexer_class(stream, message.reply_channel)
        # Its own dict, so that no consumer sees what another was given.
        kwargs = {**kwargs, "multiplexer": multiplexer}
        if not (isinstance(consumer, type) and hasattr(consumer, "send")):
            consumer(message, **kwargs)
            return
        # What its send() makes has no stream. The instance that runs is kept from it, not its
        # class; and since it runs while it is made, that is done in between.
        made: Any = consumer.__new__(consumer, message, **kwargs)
        made.send = _refuse_send
        made.__init__(message, **kwargs)


def _frame(text: str | None, binary: bytes | None, close: bool | int) -> dict[str, Any]:
    message: dict[str, Any] = {"close": close} if close else {}
    if text is not None:
        message["text"] = text
    elif binary is not None:
        message["bytes"] = binary
    else:
        raise ValueError("A frame needs text or bytes; to close the socket alone, call close().")
    return message


def _refuse_send(*args: Any, **kwargs: Any) -> None:
    raise SendNotAvailableOnDemultiplexer(
        "On a multiplexed socket a frame needs its stream: send with the multiplexer that the "
        "consumer got as keyword argument, multiplexer.send(payload)."
    )
