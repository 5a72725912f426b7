"""Whose an entry of a process's inbox is. No I/O happens here.

From ``layers.local``, which reads the inbox by cursor; on to the connections, as handlers::

    ANSWER, PROGRESS, REPLY, PART ──► the connection that the entry names
    GROUP, GAP ─────────────────────► the group's members among ours, each
    ADD, DISCARD ───────────────────► the membership

What the layer limits (messages of groups, and replies) is counted in bytes as it is taken, so
that the next beat can say how much of it is gone.
"""

import logging
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from djchan.exceptions import DjchanError
from djchan.layers import codec
from djchan.layers.membership import Membership
from djchan.layers.operations import Push, Record
from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))

T = TypeVar("T")


class Handler(Protocol):
    """One connection, as its process's inbox sees it; called on the event loop."""

    answered_seq: int  # The highest seq that was answered; 0: none.
    answered_frames: int  # Of the delivery behind that one.

    def on_answer(
        self, seq: int, replies: list[dict[str, Any]], status: str, consumer: str = ""
    ) -> None:
        """Delivery ``seq`` has ended; ``status`` is one of codec's.

        ``consumer``: the name of the one that returned from a request without a response.
        """

    def on_progress(self, seq: int, frames: int, replies: list[dict[str, Any]]) -> None:
        """So many frames of delivery ``seq`` are answered, with these replies since the last."""

    def on_replies(self, replies: list[dict[str, Any]]) -> None:
        """Messages from elsewhere: other consumers, groups. Shared: not to be changed."""

    def on_part(self, seq: int, token: int, index: int, reply: dict[str, Any], size: int) -> None:
        """Part ``index`` of the response to ``seq``, by the run with this ``token``; its
        ``size`` in the store, bytes."""

    def on_asked(self, order: int) -> None:
        """The reader of a request's body has all chunks before ``order``."""

    def on_gap(self, group: str) -> None:
        """Messages of ``group`` were dropped because this process fell behind."""

    def on_dead(self) -> None:
        """The layer gave this process up: the connection cannot go on."""

    def unanswered(self) -> Push | None:
        """The delivery in flight, to be sent again after the layer lost its state."""
        ...

    def copy(self) -> Push:
        """Another copy of it, marked as possibly run."""
        ...

    def record(self) -> Record | None:
        """What the layer keeps for the day this process dies, unless it is settled."""
        ...


class Inbox:
    """``on_leaving``: called when the process may have a group to leave. ``on_late``: called
    with a connection that is over, when somebody wants its request's body. ``size``: the bytes of
    an entry in the store, as the engine says."""

    def __init__(
        self,
        on_leaving: Callable[[], None],
        size: Callable[[bytes], int] = len,
        *,
        on_late: Callable[[str], None] = lambda connection: None,
    ) -> None:
        self.handlers: dict[str, Handler] = {}
        self.membership = Membership()
        self.read = 0  # Bytes of group messages and replies.
        self._on_leaving = on_leaving
        self._on_late = on_late
        self._size = size

    def take(self, data: bytes) -> None:
        """Apply one entry."""
        entry = codec.decode(data)
        kind = entry[0]
        handlers = self.handlers
        if kind == codec.ANSWER:
            handler = handlers.get(entry[1])
            if handler is not None:
                handler.on_answer(*entry[2:6])
        elif kind == codec.PROGRESS:
            handler = handlers.get(entry[1])
            if handler is not None:
                handler.on_progress(entry[2], entry[3], entry[4])
        elif kind == codec.REPLY:
            self.read += self._size(data)
            handler = handlers.get(entry[1])
            if handler is not None:
                handler.on_replies(entry[2])
            else:
                logger.debug("A reply to the closed connection %s was dropped.", entry[1])
        elif kind == codec.GROUP:
            self.read += self._size(data)
            replies = [entry[2]]
            for connection in self.membership.members(entry[1]):
                call(handlers[connection].on_replies, replies)
        elif kind == codec.ADD:
            if entry[2] in handlers:
                self.membership.add(entry[1], entry[2])
            else:
                self.membership.refuse(entry[1])
                self._on_leaving()
        elif kind == codec.DISCARD:
            self.membership.discard(entry[1], entry[2])
            self._on_leaving()
        elif kind == codec.PART:
            handler = handlers.get(entry[1])
            if handler is not None:
                seq, token, index, reply = entry[2:6]
                handler.on_part(seq, token, index, reply, self._size(data))
        elif kind == codec.GAP:
            for connection in self.membership.members(entry[1]):
                call(handlers[connection].on_gap, entry[1])
        elif kind == codec.ASKED:
            self.read += self._size(data)
            handler = handlers.get(entry[1])
            if handler is not None:
                handler.on_asked(entry[2])
            else:
                self._on_late(entry[1])
        else:
            logger.warning("An inbox entry of unknown kind %r was dropped.", kind)


def call(function: Callable[..., T], *arguments: Any) -> T | None:
    """Call a handler; what it raises is its own trouble, not its process's."""
    try:
        return function(*arguments)
    except DjchanError as error:
        logger.error("%s", error)
    except Exception:
        logger.exception("A connection failed to take what came for it.")
    return None
