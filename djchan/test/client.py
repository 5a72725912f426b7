"""``Client``: sends messages and runs their consumers, one by one, in the test's thread.

From a project's tests; on to ``djchan.dispatch``, which runs the consumer as in a worker, and
back with what it returned, what it raised, and what it sent::

    send() ──► channel ──► consume(): find ──► dispatch ──► what it sent, on its channels
                                                  │
    receive() ◄── reply channel ◄─────────────────┘

A test wants to see what a worker would only log: what the consumer raises is raised here, but
for a ChannelSocketException, which acts on the socket. What it had sent before is sent all
the same, and nothing when it raised ConsumeLater, as in a worker. A message that comes before
its turn, to a consumer that minds, waits (``test.turns``).
"""

import copy
import inspect
import secrets
import string
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async

from djchan import DEFAULT_CHANNEL_LAYER, outbox
from djchan.asgi import channel_layers
from djchan.channel import Group
from djchan.databases import close_stale_connections
from djchan.dispatch import Found, Run, run
from djchan.exceptions import DenyConnection
from djchan.layers.effects import Words
from djchan.layers.operations import Push
from djchan.message import Message
from djchan.outcomes import Outcome
from djchan.sessions import OutOfTurn
from djchan.signals import consumer_finished, consumer_started
from djchan.test.turns import turns_of
from djchan.utils import name_that_thing

_NOTHING: Mapping[str, Any] = {}


def in_thread(name: str) -> Callable[..., Coroutine[object, object, Any]]:
    """A method that awaits the method ``name``, in the thread of ``sync_to_async``."""

    async def call(self: object, *args: object, **kwargs: object) -> object:
        return await sync_to_async(getattr(self, name))(*args, **kwargs)

    call.__name__ = f"a{name}"
    return call


class Client:
    """A client of the layer ``alias``, with a reply channel of its own.

    ``reply_channel``: its name; a plain channel, that ``receive()`` reads.
    """

    def __init__(self, alias: str = DEFAULT_CHANNEL_LAYER) -> None:
        self.alias = alias
        self.reply_channel = alias + "".join(secrets.choice(string.ascii_letters) for _ in range(5))

    @property
    def channel_layer(self) -> Any:
        """The layer of the alias, as it is now."""
        return channel_layers[self.alias]

    def get_next_message(self, channel: str) -> Message | None:
        """Take the next message off ``channel``; None when there is none."""
        return next_message(self.channel_layer, channel)

    def get_consumer_by_channel(self, channel: str) -> Any:
        """The consumer of a message with an empty ``text`` on ``channel``, or None."""
        match = self.channel_layer.router.match(Message({"text": ""}, channel, self.channel_layer))
        return None if match is None else match[0]

    def send(self, to: str, content: Mapping[str, Any] = _NOTHING) -> None:
        """Send ``content`` to the channel ``to``, with our reply channel if it names none."""
        sent = copy.deepcopy(dict(content))
        sent.setdefault("reply_channel", self.reply_channel)
        self.channel_layer.send(to, sent)

    def consume(self, channel: str, fail_on_none: bool = True) -> Any:
        """Run the consumer of the next message on ``channel``; what it returned.

        For a class-based consumer that is its instance; for one with ``enforce_ordering``
        None when the message came too early: it is back on its channel when its turn has come.
        Raises AssertionError (with ``fail_on_none``) when there is no message, or no route for
        it; and what the consumer raises, DenyConnection and ConsumeLater among it.
        """
        message = self.get_next_message(channel)
        if message is None:
            if fail_on_none:
                raise AssertionError(f"There is no message on the channel {channel!r}.")
            return None
        match = self.channel_layer.router.match(message)
        if match is None:
            if fail_on_none:
                raise AssertionError(
                    f"No consumer for a message on {channel!r}: no route matches "
                    f"{message.content!r:.200}."
                )
            return None
        consumer, kwargs = match
        turns = turns_of(message)
        message.early = turns.is_early(message)
        watched = _Watched(consumer)
        with _connections_kept():
            ran = run(message, Found(watched, kwargs, False), sender=type(self))
        if watched.early:
            turns.park(message)
            return None
        try:
            return self._settle(ran, watched)
        finally:
            if ran.outcome is not Outcome.LATER:
                turns.passed(message)

    def send_and_consume(
        self, channel: str, content: Mapping[str, Any] = _NOTHING, fail_on_none: bool = True
    ) -> Any:
        """``send``, then ``consume``."""
        self.send(channel, content)
        return self.consume(channel, fail_on_none=fail_on_none)

    def receive(self) -> Any:
        """The content of the next message on our reply channel; None when there is none."""
        message = self.get_next_message(self.reply_channel)
        return None if message is None else message.content

    def join_group(self, group_name: str) -> None:
        """Make our reply channel a member of a group."""
        Group(group_name, channel_layer=self.channel_layer).add(self.reply_channel)

    # For tests that are coroutines.
    asend = in_thread("send")
    aconsume = in_thread("consume")
    asend_and_consume = in_thread("send_and_consume")
    areceive = in_thread("receive")
    ajoin_group = in_thread("join_group")

    def _settle(self, ran: Run, watched: "_Watched") -> Any:
        words, error = ran.words, watched.error
        if ran.outcome is Outcome.DENIED:
            # The test sees the exception; the close frame is for a browser.
            words = words[: watched.sent]
            error = error or DenyConnection("The Origin is not one of ALLOWED_HOSTS.")
        if words:
            self.channel_layer.channel_layer.apply([_admitted(word) for word in words])
        if error is not None and ran.outcome is not Outcome.INTERRUPTED:
            raise error
        return ran.value


class _Watched:
    """A consumer, with what it raised kept for the test to see."""

    def __init__(self, consumer: Callable[..., Any]) -> None:
        self._consumer = consumer
        # For the log: it is the consumer that is spoken of.
        self.__module__, _, self.__name__ = name_that_thing(consumer).rpartition(".")
        self.any_origin = getattr(consumer, "any_origin", False)
        self.error: BaseException | None = None
        self.early = False  # The message came before its turn, and was not run.
        self.sent = 0  # Words that it had sent when it raised.

    def __call__(self, message: Message, **kwargs: Any) -> Any:
        try:
            value = self._consumer(message, **kwargs)
            return async_to_sync(_finish)(value) if inspect.isawaitable(value) else value
        except OutOfTurn:
            self.early = True
        except BaseException as error:
            self.error = error
            running = outbox.current()
            self.sent = len(running.words) if running is not None else 0
            raise


async def _finish(value: Awaitable[object]) -> object:
    return await value


def next_message(channel_layer: Any, channel: str) -> Message | None:
    """The next message on ``channel``, taken off it, or None."""
    name, content = channel_layer.receive([channel])
    return None if name is None else Message(content, name, channel_layer)


def _admitted(word: Words) -> Words:
    # A consumer's commit is not refused by a full channel.
    return word._replace(capacity=0) if isinstance(word, Push) else word


@contextmanager
def _connections_kept() -> Iterator[None]:
    """No database connection is closed between messages: the test goes on using them."""
    signals = [
        signal
        for signal in (consumer_started, consumer_finished)
        if signal.disconnect(close_stale_connections)
    ]
    try:
        yield
    finally:
        for signal in signals:
            signal.first.append(close_stale_connections)
