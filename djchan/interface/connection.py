"""What every connection has: its record at the layer, numbered deliveries, its end.

From ``application``, which makes one for each socket or request; on to ``layers.local``,
which takes deliveries and brings answers. The two kinds are ``websocket_connection`` and
``http_connection``.

The record outlives the coroutine that the server runs for the connection (Daphne cancels
it ten seconds after the socket closed, and at shutdown): it ends when the layer has
answered all that was said for it.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Protocol

import msgspec

from djchan import names
from djchan.interface.journal import Journal
from djchan.interface.options import InterfaceOptions
from djchan.interface.pace import Budget
from djchan.interface.served import Served
from djchan.interface.sources import Sources
from djchan.interface.spool import Storage
from djchan.interface.turns import Turns
from djchan.layers import codec
from djchan.layers.operations import Body, EndBody, Grant, Push, Record, SendResult

Replies = list[dict[str, Any]]


class Layer(Protocol):
    """What the interface asks of a channel layer."""

    @property
    def group_expiry(self) -> int: ...

    @property
    def max_message_size(self) -> int: ...

    @property
    def total_bytes(self) -> int: ...

    def capacity_of(self, channel: str) -> int: ...

    def max_bytes_of(self, channel: str) -> int: ...

    def why_full(self, result: str, channel: str) -> str: ...

    def now(self) -> int: ...

    def local(self) -> Any: ...


class ChannelLimits(NamedTuple):
    """The limits that apply where a delivery is queued; 0: no limit."""

    capacity: int  # Messages on its channel.
    max_bytes: int  # Bytes on its channel.
    total: int  # Bytes in the layer.


NO_LIMITS = ChannelLimits(0, 0, 0)


class Local(Protocol):
    """What the interface asks of an event loop's end of the layer: layers.local."""

    @property
    def id(self) -> str: ...

    @property
    def available(self) -> bool: ...

    @property
    def down_since(self) -> float | None: ...

    @property
    def trouble(self) -> str: ...

    async def start(self) -> None: ...

    async def stop(self, grace: float) -> None: ...

    def new_connection(self, handler: Any) -> str: ...

    def begin(self, connection: str) -> None: ...

    def submit(
        self, effect: Push | Record | Body | EndBody | Grant, done: Callable[[SendResult], None]
    ) -> None: ...

    def leave_groups(self, connection: str) -> None: ...

    def cut(self, connection: str) -> None: ...

    def forget(self, connection: str) -> None: ...


class Host(Protocol):
    """What a connection asks of the interface it belongs to."""

    layer: Layer
    options: InterfaceOptions
    journal: Journal
    served: Served
    sources: Sources
    turns: Turns[Any]  # Of the disconnects that are under way.
    outgoing: Budget  # Of all responses.
    mailboxes: Budget  # Of frames that are not answered.
    handshakes: set["Connection"]  # That no consumer has accepted yet.
    chunks: Turns[Any]  # Of chunks of request bodies on their way.
    storage: Storage  # For the bodies of all requests.
    draining: bool
    connections: set["Connection"]

    def limits(self, channel: str) -> "ChannelLimits": ...

    def changed(self) -> None: ...

    def frames_wait(self, size: int) -> None:
        """So many more bytes wait for the client of a socket."""

    def make_room(self) -> None: ...


class Connection:
    """The record of one connection. Subclasses are handlers of ``layers.local``."""

    __slots__ = (
        "_common",
        "_dead",
        "_host",
        "_local",
        "_loop",
        "_owner",
        "_process",
        "_push",
        "_source",
        "answered_frames",
        "answered_seq",
        "name",
    )

    def __init__(self, host: Host, local: Local) -> None:
        self._host = host
        self._local = local
        self._loop = asyncio.get_running_loop()
        self._process = local.id
        self._owner: tuple[str, str] | None = None  # Of its deliveries, once there was one.
        self._push: Push | None = None  # The delivery that is not yet answered.
        self._common = _EMPTY
        self._source = ""
        self._dead = False
        self.answered_seq = self.answered_frames = 0
        self.name = local.new_connection(self)
        host.connections.add(self)

    # -------------------------------------------------- what subclasses are asked

    @property
    def idle(self) -> bool:
        """Nothing is under way that a client waits for."""
        raise NotImplementedError

    @property
    def settled(self) -> bool:
        """All it had to say is enqueued, its end with it."""
        raise NotImplementedError

    @property
    def is_sending(self) -> bool:
        """Whether its client has yet to read the rest of a response that has begun."""
        return False

    @property
    def lasts(self) -> bool:
        """It has no end of its own: when this process ends, it has to be told to leave."""
        raise NotImplementedError

    def leave(self) -> None:
        """This process ends: shut down when what its client had sent is answered."""
        raise NotImplementedError

    def shut_down(self) -> None:
        """This process ends: tell the client now, and enqueue the end."""
        raise NotImplementedError

    def on_replies(self, replies: Replies) -> None:
        """Messages for its client."""
        raise NotImplementedError

    def _is_in_flight(self, seq: int) -> bool:
        """Whether the delivery ``seq`` was handed on and not answered."""
        raise NotImplementedError

    # ------------------------------------------------------- for the local process

    def unanswered(self) -> Push | None:
        """The delivery to send again, after the layer lost its state."""
        return self._push

    def copy(self) -> Push:
        """Another copy of that delivery, marked as possibly run.

        It is sent whatever its channel holds: it was admitted before.
        """
        push = self._push
        assert push is not None
        payload = codec.send_again(push.payload)
        self._push = push._replace(payload=payload, capacity=0, max_bytes=0, total=0)
        return self._push

    def on_progress(self, seq: int, frames: int, replies: Replies) -> None:
        """So many frames of the delivery in flight are answered: it is not sent again from them."""
        push = self._push
        if push is None or frames <= self.answered_frames or not self._is_in_flight(seq):
            return
        self.answered_seq, self.answered_frames = seq - 1, frames
        self._push = push._replace(done=frames)
        if replies:
            self.on_replies(replies)

    def on_asked(self, order: int) -> None:
        """The reader of its body wants the chunk ``order``, and those behind it."""

    def record(self) -> Record | None:
        """What the layer sends for it if this process dies."""
        return None

    # ------------------------------------------------------------- for subclasses

    kind: ClassVar[str]  # The first part of its reply channel.

    @property
    def reply_channel(self) -> str:
        return names.reply_channel(self.kind, self._process, self.name)

    def _log(self, cause: str, message: str, *args: object, level: int = logging.WARNING) -> None:
        """Count ``cause``, and log it now and then, with this connection's reply channel."""
        fields = {"connection": self.reply_channel}
        self._host.journal.say(cause, message, *args, level=level, extra=fields)

    def _deliver(
        self,
        channel: str,
        seq: int,
        frames: list[bytes],
        *,
        limits: ChannelLimits,
        expires: int = 0,
        if_served: bool = False,
        last: bool = False,
        done: Callable[[SendResult], None],
    ) -> None:
        """Enqueue the delivery ``seq``; ``expires`` is the layer's clock, ms; 0: never."""
        payload = codec.encode_envelope(
            codec.Envelope(
                codec.VERSION,
                self.name,
                channel,
                self._host.layer.now(),
                expires,
                self._process,
                self.name,
                seq,
                self._common,
                [msgspec.Raw(frame) for frame in frames],
            )
        )
        owner = self._owner
        if owner is None:
            owner = self._owner = (self._process, self.name)
            self._local.begin(self.name)
        # By place, which is quicker: expires and keep; owner, last, limit and done; source, seq.
        capacity, max_bytes, total = limits
        push = Push(
            channel, payload, capacity, len(frames), if_served,
            0, True, owner, last, 0, 0, max_bytes, total, self._host.sources.tag(self._source), seq,
        )  # fmt: skip
        self._push = push
        self._local.submit(push, done)

    def _aside(self, channel: str, frame: msgspec.Raw) -> bytes:
        """The envelope of a disconnect that is none of its numbered deliveries."""
        return codec.encode_envelope(
            codec.Envelope(
                codec.VERSION,
                f"{self._process}.{self.name}.disconnect",
                channel,
                self._host.layer.now(),
                0,
                "",
                "",
                0,
                self._common,
                [frame],
            )
        )

    def _finish(self) -> None:
        """The record has ended: nobody will say or hear anything of it any more."""
        self._push = None
        self._host.connections.discard(self)
        self._local.forget(self.name)
        self._host.changed()


_EMPTY = msgspec.Raw(codec.encode({}))
