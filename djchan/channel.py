"""``Channel`` and ``Group``: what a project sends with.

From consumers, views, signals, shells, Celery; on to the outbox of the running consumer, or
at once to the layer when there is none. A send copies and checks its message, so that a
mistake is raised on the line that made it.

::

    Channel("thumbnails").send({"id": 7})          one message to one channel
    Group("room-7").add(message.reply_channel)     this socket belongs to the group
    Group("room-7").send({"text": "hello"})        one message to each member

Inside a consumer all of these happen together when it returns, or not at all.
"""

import warnings
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn

from django.db import transaction

from djchan import DEFAULT_CHANNEL_LAYER
from djchan.asgi import channel_layers
from djchan.exceptions import InvalidMessage, NoReplyChannel
from djchan.layers import frames
from djchan.layers.base import BaseChannelLayer
from djchan.layers.codec import decode, encode
from djchan.layers.effects import MAX_DELAY, Words
from djchan.layers.frames import RESPONSE, SOCKET
from djchan.names import reply_kind
from djchan.outbox import current


class Channel:
    """A channel by ``name``, on ``channel_layer`` or on the layer of ``alias``.

    The name is checked when something is sent to it.
    """

    # What answers go to, whatever the name is (a test's client has one of its own); not public.
    _answers = ""

    def __init__(
        self,
        name: str | bytes,
        alias: str = DEFAULT_CHANNEL_LAYER,
        channel_layer: Any = None,
    ) -> None:
        self.name = name.decode("ascii") if isinstance(name, bytes) else name
        self._alias = alias
        self._given_layer = channel_layer

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<Channel {self.name}>"

    @property
    def channel_layer(self) -> Any:
        """The layer that was given, or the one of the alias."""
        return self._given_layer or channel_layers[self._alias]

    def send(
        self,
        content: dict[str, Any],
        immediately: bool = False,
        *,
        on_commit: bool | str = False,
        delay: float | timedelta | None = None,
    ) -> None:
        """Send ``content``; inside a consumer, when it returns.

        ``immediately``: now, before all that waits in the outbox.
        ``on_commit``: when the transaction of the default database (or of the database that
        this names) commits; never when it is rolled back.
        ``delay``: how long after that a worker may get it, a timedelta or seconds.

        Raises TypeError (not a dict, a value that cannot travel, a bad name, what the client of
        a reply channel cannot be sent), ValueError (a delay on a reply channel, or one that is
        not finite); and when it goes out at once: ChannelFull, OutcomeUnknown.
        """
        layer, word = self._word(content, delay)
        if on_commit:
            _on_commit(on_commit, partial(_send, layer, word, immediately, channel=self.name))
        else:
            _send(layer, word, immediately, channel=self.name)

    async def asend(
        self,
        content: dict[str, Any],
        immediately: bool = False,
        *,
        delay: float | timedelta | None = None,
    ) -> None:
        """``send`` for async code. (A transaction is synchronous, and so is on_commit.)"""
        layer, word = self._word(content, delay)
        await _asend(layer, word, immediately, channel=self.name)

    def _word(
        self, content: Any, delay: float | timedelta | None
    ) -> tuple[BaseChannelLayer, Words]:
        if not isinstance(content, dict):
            raise TypeError(
                f"A message is a dict, not {type(content).__name__}: {content!r:.80} "
                f"cannot be sent to the channel {self.name!r}."
            )
        _refuse_reserved(content)
        kind = self._answers or reply_kind(self.name)
        if kind:
            _refuse_reply(kind, content, self.name)
        layer = _unwrapped(self.channel_layer)
        seconds = 0 if delay is None else _seconds(delay)
        return layer, layer.word(self.name, content, delay=seconds)


class MissingReplyChannel(Channel):
    """The reply channel of a message that has none. It is false, and its use raises NoReplyChannel.

    ``origin``: the channel of that message.
    """

    def __init__(self, origin: object) -> None:
        self._origin = origin

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return "(no reply channel)"

    def __repr__(self) -> str:
        return "<Channel (none)>"

    def __getattr__(self, name: str) -> NoReturn:
        # What Channel.__init__ would have set: every method of a channel needs one of these.
        if name not in ("name", "_alias", "_given_layer"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        raise NoReplyChannel(
            f"The message on {self._origin!r} has no reply channel, since nothing put one in. To "
            "answer a client from a channel of your own, send the name along: "
            '{"reply_channel": message.reply_channel.name}. If a message may come without one, '
            "ask first: if message.reply_channel."
        )


class Group:
    """A group by ``name``, on ``channel_layer`` or on the layer of ``alias``."""

    def __init__(
        self,
        name: str | bytes,
        alias: str = DEFAULT_CHANNEL_LAYER,
        channel_layer: Any = None,
    ) -> None:
        self.name = name.decode("ascii") if isinstance(name, bytes) else name
        self._alias = alias
        self._given_layer = channel_layer

    def __repr__(self) -> str:
        return f"<Group {self.name}>"

    @property
    def channel_layer(self) -> Any:
        """The layer that was given, or the one of the alias."""
        return self._given_layer or channel_layers[self._alias]

    def add(self, channel: "Channel | str") -> None:
        """Make ``channel`` a member; inside a consumer, when it returns.

        A socket is a member until it is closed or discarded. Adding twice is adding once.
        """
        layer = _unwrapped(self.channel_layer)
        _send(layer, layer.add_word(self.name, _name_of(channel)), False)

    def discard(self, channel: "Channel | str") -> None:
        """Let ``channel`` be no member; inside a consumer, when it returns."""
        layer = _unwrapped(self.channel_layer)
        _send(layer, layer.discard_word(self.name, _name_of(channel)), False)

    def send(
        self,
        content: dict[str, Any],
        immediately: bool = False,
        *,
        on_commit: bool | str = False,
    ) -> None:
        """Send ``content`` to every member; inside a consumer, when it returns.

        ``immediately`` and ``on_commit`` as for a Channel; an immediate send takes the adds
        and discards of this group that still wait along. Never ChannelFull: a full member is
        skipped and counted. Raises ValueError for what is not a dict.
        """
        layer, word = self._word(content)
        if on_commit:
            _on_commit(on_commit, partial(_send, layer, word, immediately, group=self.name))
        else:
            _send(layer, word, immediately, group=self.name)

    async def aadd(self, channel: "Channel | str") -> None:
        """``add`` for async code."""
        layer = _unwrapped(self.channel_layer)
        await _asend(layer, layer.add_word(self.name, _name_of(channel)), False)

    async def adiscard(self, channel: "Channel | str") -> None:
        """``discard`` for async code."""
        layer = _unwrapped(self.channel_layer)
        await _asend(layer, layer.discard_word(self.name, _name_of(channel)), False)

    async def asend(self, content: dict[str, Any], immediately: bool = False) -> None:
        """``send`` for async code."""
        layer, word = self._word(content)
        await _asend(layer, word, immediately, group=self.name)

    def _word(self, content: Any) -> tuple[BaseChannelLayer, Words]:
        # ValueError here and TypeError in Channel: as in Channels 1.x.
        if not isinstance(content, dict):
            raise ValueError(
                f"A message is a dict, not {type(content).__name__}: {content!r:.80} "
                f"cannot be sent to the group {self.name!r}."
            )
        _refuse_reserved(content)
        if not (len(content) == 1 and type(content.get("text")) is str):
            _refuse_frame(content)
        layer = _unwrapped(self.channel_layer)
        return layer, layer.group_word(self.name, content)


def _refuse_reserved(content: dict[str, Any]) -> None:
    """Raise InvalidMessage for a key that is the library's own.

    Projects re-send what a browser sent them; such a key must not come from there.
    """
    for key in content:
        if key == "original_channel" or (
            isinstance(key, str) and key.startswith("__") and key.endswith("__")
        ):
            raise InvalidMessage(
                f"The key {key!r} is reserved (as are __names__ and original_channel): leave it "
                "out of the message. If it came from a client, send only the keys you expect."
            )


def _refuse_reply(kind: str, content: Mapping[str, object], name: str) -> None:
    """Raise InvalidMessage for what the interface could not give to the client."""
    if kind == SOCKET and len(content) == 1 and type(content.get("text")) is str:
        return  # The way of nearly every reply.
    wrong = _wrong_reply(kind, content, name)
    # A lazy value becomes another one when it travels.
    if wrong and (wrong := _wrong_reply(kind, decode(encode(content)), name)):
        sentence = f"{wrong[0].upper()}{wrong[1:]}: {content!r:.80} cannot be sent."
        if name and not reply_kind(name):
            # Channels 1.x's test client gave back what it got, and tests count on that.
            warnings.warn(f"{sentence} A live site raises InvalidMessage here.", stacklevel=4)
            return
        raise InvalidMessage(sentence)


def _refuse_frame(content: Mapping[str, object]) -> None:
    """Raise InvalidMessage for what only sockets could be meant to get, and none could.

    Members of a group may be channels, whose messages are what the project likes. With "type"
    it is for consumers of Channels 4.
    """
    if "type" not in content and content.keys() <= frames.KEYS:
        _refuse_reply(SOCKET, content, "")


def _wrong_reply(kind: str, content: Mapping[str, object], name: str) -> str:
    if kind == RESPONSE:
        return frames.wrong_part(content)
    wrong = frames.wrong_frame(content) or frames.wrong_code(content.get("close"))
    return wrong or (frames.unknown_keys(content) if reply_kind(name) else "")


def _seconds(delay: object) -> float:
    """``delay`` in seconds. Raises TypeError and ValueError."""
    if isinstance(delay, timedelta):
        return delay.total_seconds()
    if isinstance(delay, bool) or not isinstance(delay, int | float):
        raise TypeError(f"delay is a timedelta or a number of seconds, not {delay!r:.80}.")
    if not delay <= MAX_DELAY:  # Nor is NaN.
        raise ValueError(f"delay is at most 100 years, in seconds, not {delay!r:.80}.")
    return max(delay, 0)


def _unwrapped(channel_layer: Any) -> BaseChannelLayer:
    """The layer itself, of a wrapper or of a layer."""
    layer: BaseChannelLayer = getattr(channel_layer, "channel_layer", channel_layer)
    return layer


def _name_of(channel: "Channel | str | bytes") -> str:
    if isinstance(channel, Channel):
        return channel.name
    return channel.decode("ascii") if isinstance(channel, bytes) else channel


def _on_commit(on_commit: bool | str, send: Callable[[], None]) -> None:
    transaction.on_commit(send, using=on_commit if isinstance(on_commit, str) else None)


def _send(
    layer: BaseChannelLayer,
    word: Words,
    immediately: bool,
    *,
    channel: str = "",
    group: str | None = None,
) -> None:
    """Hand ``word`` to the open outbox, or send it. What is full raises for a channel only."""
    outbox = current()
    if outbox is None:
        results = layer.apply([word])
    elif immediately:
        results = (outbox.immediately(word, layer, group=group),)
    else:
        outbox.add(word, layer)
        return
    _raise_for(layer, results, channel)


async def _asend(
    layer: BaseChannelLayer,
    word: Words,
    immediately: bool,
    *,
    channel: str = "",
    group: str | None = None,
) -> None:
    """``_send`` for an event loop."""
    outbox = current()
    if outbox is None:
        results = await layer.aapply([word])
    elif immediately:
        results = (await outbox.aimmediately(word, layer, group=group),)
    else:
        outbox.add(word, layer)
        return
    _raise_for(layer, results, channel)


def _raise_for(layer: BaseChannelLayer, results: Any, channel: str) -> None:
    # A group has no capacity of its own, and its members' is no business of the sender.
    layer.raise_for(
        [result for result in results if channel or not result.startswith("full")], channel
    )
