"""``Message``: what a consumer receives.

From ``djchan.dispatch`` (and the test client), which makes one for each message of a
delivery; on to the router and the consumer. One is made per message at full speed, so it
holds what it was given and makes its channels when they are asked for.
"""

import copy
import time
from collections.abc import ItemsView, KeysView, ValuesView
from functools import cached_property
from typing import Any

from djchan import outbox
from djchan.channel import Channel, Group, MissingReplyChannel
from djchan.exceptions import MissingDecorator
from djchan.layers.frames import RESPONSE, SOCKET
from djchan.signals import consumer_finished, consumer_started

# What a reply to a message of these channels reaches.
_ANSWERS = {
    "http.request": RESPONSE,
    "websocket.connect": SOCKET,
    "websocket.receive": SOCKET,
    "websocket.disconnect": SOCKET,
}


class _SetByDecorator:
    """An attribute that a decorator sets on the message. Until then, reading it raises."""

    def __init__(self, remedy: str) -> None:
        self._remedy = remedy

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, message: "Message | None", owner: type) -> Any:
        if message is None:
            return self
        raise MissingDecorator(
            f"message.{self._name} is not there, for the consumer of {message._channel_name!r} "
            f"lacks the decorator that sets it: {self._remedy}."
        )


class Message:
    """One message, with the channel it came from.

    ``content``: its dict, which decorators may change. ``channel``: where it came from.
    ``reply_channel``: the Channel that reaches its client; where there is none, one that is false
    and raises NoReplyChannel when it is used. ``channel_layer``: as
    given. ``id``: text, the same at every run of this message. ``attempt``: 1 at its first
    run; one more for each run that may have begun before: its worker died, or was told to stop
    and did not wait, Redis lost its state or may have, it raised ConsumeLater. ``redelivered``:
    attempt > 1, so its consumer may have run before, in whole or in part.

    Decorators set more: ``channel_session``, ``http_session``, ``user``. Without its decorator
    each of these raises MissingDecorator (an AttributeError), which names it.
    """

    # True while this run is the last that ConsumeLater can have; not public.
    __doomed__ = False
    # When its consumer was called (monotonic), where it is to be logged; not public.
    began = 0.0
    # True in a test that sent it before the one in front of it; not public.
    early = False

    # Instances have their own; the type checker sees plain attributes.
    channel_session: Any = _SetByDecorator(
        "@channel_session of djchan.sessions; on a class-based consumer, channel_session = True"
    )
    http_session: Any = _SetByDecorator(
        "@http_session of djchan.sessions for http.request and websocket.connect, or "
        "@channel_and_http_session for all messages of a socket; on a class-based consumer, "
        "http_user_and_session = True"
    )
    user: Any = _SetByDecorator(
        "of djchan.auth, @channel_session_user_from_http for websocket.connect and "
        "@channel_session_user for the other messages of a socket, or @http_session_user for "
        "http.request; on a class-based consumer, http_user = True"
    )

    def __init__(
        self,
        content: dict[str, Any],
        channel_name: Any,
        channel_layer: Any,
        *,
        id: str = "",
        attempt: int = 1,
    ) -> None:
        self.content = content
        self.channel_layer = channel_layer
        self.id = id
        self.attempt = attempt
        self._channel_name = channel_name

    @cached_property
    def channel(self) -> Channel:
        return Channel(self._channel_name, channel_layer=self.channel_layer)

    @cached_property
    def reply_channel(self) -> Channel:
        name = self.content.get("reply_channel")
        if not name:
            return MissingReplyChannel(self._channel_name)
        channel = Channel(name, channel_layer=self.channel_layer)
        channel._answers = _ANSWERS.get(self._channel_name, "")
        return channel

    @property
    def redelivered(self) -> bool:
        return self.attempt > 1

    def log_fields(self) -> dict[str, object]:
        """The fields of a log record that names this message."""
        fields: dict[str, object] = {
            "channel": self._channel_name,
            "message_id": self.id,
            "attempt": self.attempt,
        }
        connection = self.content.get("reply_channel")
        if connection:
            fields["connection"] = connection
        if self.began:
            fields["duration"] = time.monotonic() - self.began
        return fields

    def __repr__(self) -> str:
        return f"<Message {self.id or '-'} on {self._channel_name}>"

    # No __iter__, __len__, __delitem__: as in Channels 1.x, a message is no dict.

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.content[key] = value

    def __contains__(self, key: str) -> bool:
        return key in self.content

    def keys(self) -> KeysView[str]:
        return self.content.keys()

    def values(self) -> ValuesView[Any]:
        return self.content.values()

    def items(self) -> ItemsView[str, Any]:
        return self.content.items()

    def get(self, key: str, default: Any = None) -> Any:
        return self.content.get(key, default)

    def copy(self) -> "Message":
        """Another Message with a copy of the content, without what decorators set."""
        return self.__class__(
            copy.deepcopy(self.content),
            self._channel_name,
            self.channel_layer,
            id=self.id,
            attempt=self.attempt,
        )


class PendingMessageStore:
    """Channels 1.x's name for the outbox, for code that sends the consumer signals by hand.

    Between ``consumer_started`` and ``consumer_finished`` sends wait; at the latter they go
    out. Where ``djchan.dispatch`` runs the consumer its own outbox is open, whose end is the
    commit, and the signals change nothing.
    """

    retry_time = outbox.RETRY_TIME
    retry_interval = outbox.RETRY_INTERVAL

    def prepare(self, **kwargs: Any) -> None:
        """Let sends wait from now on."""
        running = outbox.current()
        if running is None or running.by_hand:
            outbox.begin_by_hand()

    @property
    def active(self) -> bool:
        """Whether sends wait now."""
        return outbox.current() is not None

    def append(self, sender: Channel | Group, message: dict[str, Any]) -> None:
        """Let ``sender.send(message)`` wait."""
        sender.send(message)

    def send_and_flush(self, **kwargs: Any) -> None:
        """Send what waits, and let sends go out at once again.

        A message whose channel stays full for ``retry_time`` seconds is logged as lost; those
        behind it are sent.
        """
        running = outbox.current()
        if running is not None and running.by_hand:
            outbox.end_by_hand(
                running, retry_time=self.retry_time, retry_interval=self.retry_interval
            )


pending_message_store = PendingMessageStore()
consumer_started.first.append(pending_message_store.prepare)
consumer_finished.first.append(pending_message_store.send_and_flush)
