"""A layer as Channels 4 knows one: coroutines, ``group_send``, a channel for each consumer.

From Channels 4's consumers (through ``channels.layers.get_channel_layer()``) in the server's
process; on to the same queues, groups and inboxes that djchan's workers use, and back
through ``layers.local``.

::

    AsyncWebsocketConsumer ── new_channel() ──► "specific.<process>!<local>" ──► _Mailbox
            ▲                                                                      │
            └──────────────────────────── receive() ◄──────────────────────────────┘

Both worlds share groups. Channels 4 wants a ``"type"`` in each message, which names the
method that gets it; a message to a socket of djchan has ``accept``, ``text``, ``bytes`` and
``close`` only. So a message without a type reaches a Channels 4 consumer with the type
``"djchan.message"`` (its method is ``djchan_message``), and a message with one reaches a
socket without it. One message for both is ``{"type": "room.message", "text": "hello"}``.

A channel lives as long as the task that asked for it: a server runs each connection's
application in a task of its own. What an event loop has of the layer is closed when the loop
shuts down its asynchronous generators, as ``asyncio.run`` does at its end.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any

import channels.exceptions

from djchan import names
from djchan.exceptions import BrokerError, ChannelFull, ProcessGone
from djchan.layers import codec
from djchan.layers.base import BaseChannelLayer
from djchan.layers.effects import Words
from djchan.layers.local import LocalProcess
from djchan.layers.loops import PerLoop
from djchan.layers.operations import Push, Record, SendResult
from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))

MESSAGE_TYPE = "djchan.message"
RECEIVE = 5.0  # Seconds that one look at a plain channel blocks.
GOODBYE = 1.0  # Seconds that saying goodbye may take at the end of a loop.


class Channels4ChannelFull(ChannelFull, channels.exceptions.ChannelFull):  # type: ignore[misc]
    """The channel is at its capacity; nothing was sent."""


class Channels4Layer:
    """Channels 4's coroutine API over ``layer``; one object serves all event loops."""

    ChannelFull = Channels4ChannelFull
    extensions = ("groups", "flush")

    def __init__(self, layer: BaseChannelLayer) -> None:
        self.layer = layer
        self.expiry = layer.expiry
        self.group_expiry = layer.group_expiry
        self.capacity = layer.capacity
        self.channel_capacity = layer.channel_capacity
        self._loops: PerLoop[_Loop] = PerLoop(lambda: _Loop(layer.local()), self._end)

    # -------------------------------------------------------------- channels

    async def new_channel(self, prefix: str = "specific") -> str:
        """The name of a new channel of this process, which lives as long as this task.

        Raises a BrokerError when the layer does not answer.
        """
        here = self._loops.get()
        await here.local.start()
        mailbox = _Mailbox(self.layer.capacity_of(f"{prefix}.{here.local.id}!"))
        connection = here.local.new_connection(mailbox)
        name = names.check_channel(names.reply_channel(prefix, here.local.id, connection))
        mailbox.name = name
        here.mailboxes[name] = mailbox
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(partial(_forget, here, name, connection))
        return name

    async def receive(self, channel: str) -> dict[str, Any]:
        """Wait for the next message on a channel that ``new_channel`` made, or on a plain one.

        From a plain channel it is taken for good: what becomes of it is not djchan's to know.
        Raises ProcessGone when the layer gave this process, and so the channel, up.
        """
        here = self._loops.get()
        if names.split_local(channel) is None:
            return await self._receive_plain(channel)
        mailbox = here.mailboxes.get(channel)
        if mailbox is None:
            raise ValueError(
                f"{channel!r} is not a channel of this event loop: receive() takes a name that "
                "new_channel() returned in a task that still runs, or a plain channel."
            )
        return await mailbox.get()

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        """Send one message. Raises ChannelFull, TypeError (name, message), OutcomeUnknown."""
        word = self.layer.word(channel, self._checked(message, channel))
        results = await self._apply([word])
        for result in results:
            if result.startswith("full"):
                raise self.ChannelFull(self.layer.why_full(result, channel))

    # ---------------------------------------------------------------- groups

    async def group_add(self, group: str, channel: str) -> None:
        await self._apply([self.layer.add_word(group, channel)])

    async def group_discard(self, group: str, channel: str) -> None:
        await self._apply([self.layer.discard_word(group, channel)])

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Send to every member, of both worlds; a full member is skipped and counted."""
        await self._apply([self.layer.group_word(group, self._checked(message))])

    # ------------------------------------------------------------------ ends

    async def flush(self) -> None:
        """Remove every message, group and process of this layer."""
        await asyncio.to_thread(self.layer.flush)

    async def close_pools(self) -> None:
        """Close whatever this event loop has of the layer."""
        await self._loops.end()

    # ----------------------------------------------------------------- names

    def valid_channel_name(self, name: Any, receive: bool = False) -> bool:
        """True; raises TypeError for a name that is not valid."""
        names.check_channel(name, receive=receive)
        return True

    def valid_group_name(self, name: Any) -> bool:
        """True; raises TypeError for a name that is not valid."""
        names.check_group(name)
        return True

    require_valid_channel_name = valid_channel_name
    require_valid_group_name = valid_group_name

    # --------------------------------------------------------------- private

    def _checked(self, message: Any, channel: str = "") -> dict[str, Any]:
        if not isinstance(message, dict):
            raise TypeError(f"A message is a dict, not {type(message).__name__}.")
        if channel.startswith(("websocket.send.", "http.response.")):
            return {key: value for key, value in message.items() if key != "type"}
        return message

    async def _apply(self, words: Sequence[Words]) -> Sequence[SendResult]:
        if self._loops.peek() is not None:
            return await self.layer.aapply(words)
        # No channel was made on this loop; async_to_sync makes one for a single call. A
        # thread with one of the layer's open connections is cheaper than a new connection.
        return await asyncio.to_thread(self.layer.apply, words)

    async def _end(self, here: "_Loop") -> None:
        try:
            async with asyncio.timeout(GOODBYE):
                await here.local.stop()
                await self.layer.aclose()
        except (BrokerError, TimeoutError) as error:
            logger.warning("The Channels 4 face could not say goodbye: %r", error)

    async def _receive_plain(self, channel: str) -> dict[str, Any]:
        wanted = (names.check_channel(channel, receive=True),)
        while (got := await self.layer.apop(wanted, RECEIVE)) is None:
            pass
        envelope = codec.decode_envelope(got[1])
        return _typed({**codec.decode(envelope.common), **codec.decode(envelope.frames[0])})


class _Loop:
    """What one event loop has of a layer."""

    def __init__(self, local: LocalProcess) -> None:
        self.local = local
        self.mailboxes: dict[str, _Mailbox] = {}


class _Mailbox:
    """The messages that one Channels 4 consumer has not received yet.

    A ``layers.inbox.Handler`` that never has a delivery of its own, only what is sent to it.
    """

    answered_seq = 0
    answered_frames = 0

    def __init__(self, capacity: int) -> None:
        self.name = ""
        self.dropped = 0  # Messages that its capacity had no room for.
        self.gaps = 0  # Times that messages of a group did not even reach this process.
        self._capacity = capacity
        self._messages: deque[dict[str, Any]] = deque()
        self._dead = False
        self._changed = asyncio.Event()

    async def get(self) -> dict[str, Any]:
        while not self._messages:
            if self._dead:
                raise ProcessGone
            self._changed.clear()
            await self._changed.wait()
        # The same object lies in the mailboxes of all members of a group.
        return _typed(_copied(self._messages.popleft()))

    def on_replies(self, replies: list[dict[str, Any]]) -> None:
        for reply in replies:
            if len(self._messages) < self._capacity:
                self._messages.append(reply)
                continue
            self.dropped += 1
            if self.dropped == 1:
                logger.warning(
                    "The consumer of %s does not keep up: it has %d messages waiting, its "
                    "capacity (capacity or channel_capacity in the layer's CONFIG), and further "
                    "ones are dropped.",
                    self.name,
                    self._capacity,
                )
        self._changed.set()

    def on_dead(self) -> None:
        self._dead = True
        self._changed.set()

    def on_gap(self, group: str) -> None:
        self.gaps += 1
        if self.gaps == 1:
            logger.warning(
                "%s missed messages of the group %s, and may miss more: its process does not "
                "keep up with what is sent to it (inbox_bytes in the layer's CONFIG).",
                self.name,
                group,
            )

    def on_asked(self, order: int) -> None:
        """It has no body."""

    def on_answer(
        self, seq: int, replies: list[dict[str, Any]], status: str, consumer: str = ""
    ) -> None:
        self.on_replies(replies)

    def on_progress(self, seq: int, frames: int, replies: list[dict[str, Any]]) -> None:
        self.on_replies(replies)

    def on_part(self, seq: int, token: int, index: int, reply: dict[str, Any], size: int) -> None:
        self.on_replies([reply])

    def unanswered(self) -> Push | None:
        return None

    def copy(self) -> Push:
        raise NotImplementedError  # It has no delivery to be answered.

    def record(self) -> Record | None:
        return None


def _forget(here: _Loop, name: str, connection: str, task: object) -> None:
    here.mailboxes.pop(name, None)
    here.local.forget(connection)


def _typed(message: dict[str, Any]) -> dict[str, Any]:
    return message if "type" in message else {"type": MESSAGE_TYPE, **message}


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value
