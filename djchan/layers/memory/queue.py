"""One channel in memory: its deliveries, and the limits that a sender may reach."""

import itertools
from collections import deque
from collections.abc import Iterator
from typing import Literal, NamedTuple

from djchan import names
from djchan.layers.memory.turns import RoundRobin
from djchan.layers.operations import STARTED

HEAD = 24  # Bytes of an entry in Redis besides its names and its payload.
NUMBERED = ("websocket.", "http.")  # How the channels begin that numbered deliveries are on.


Full = Literal["full", "full:bytes", "full:total", "full:share"]


class QueueLimits(NamedTuple):
    """Messages and bytes of a channel, and bytes of the layer; 0: none."""

    messages: int
    bytes: int = 0
    total: int = 0


class Delivery:
    """An entry of a channel. ``frames`` is its weight in messages.

    ``channel`` is the queue of ``name``: of ``prefix!local`` the part ``prefix!``.
    """

    __slots__ = (
        "attempt",
        "channel",
        "done",
        "expires",
        "frames",
        "keep",
        "name",
        "owner",
        "payload",
        "seq",
        "source",
        "started",
    )

    def __init__(
        self,
        channel: str,
        payload: bytes,
        frames: int = 1,
        *,
        expires: int = 0,
        keep: bool = True,
        owner: tuple[str, str] | None = None,
        source: str = "",
        seq: int = 0,
    ) -> None:
        self.name = channel
        self.channel = names.non_local(channel)
        self.payload = payload
        self.frames = frames
        self.expires = expires
        self.keep = keep
        self.owner = owner
        self.seq = seq
        self.source = source
        self.attempt = 1
        self.done = 0
        self.started = False  # Parts of its response are out already.

    @property
    def size(self) -> int:
        """Bytes, as Redis counts those of an entry: with its head and names."""
        owner = 0 if self.owner is None else len(self.owner[0]) + 1 + len(self.owner[1])
        owner += len(str(self.seq)) + 1 if self.seq else 0
        source = len(self.source) + 1 if self.source else 0
        return HEAD + len(self.name) + source + owner + len(self.payload)

    @property
    def is_suspect(self) -> bool:
        return self.attempt > 1

    @property
    def begun(self) -> int:
        """As Leased.done."""
        return STARTED if self.started else self.done


class Queue:
    """The deliveries of one channel. ``size`` counts messages and ``bytes`` their bytes;
    ``expires`` 0 is never."""

    __slots__ = (
        *("bytes", "deliveries", "expires", "parked", "parked_bytes", "size", "suspects"),
        "turns",
    )

    def __init__(self) -> None:
        self.deliveries: deque[Delivery] = deque()
        self.suspects: deque[Delivery] = deque()
        self.parked: deque[Delivery] = deque()  # Neither in ``size`` nor in ``bytes``.
        self.size = self.bytes = self.parked_bytes = 0
        self.expires = 0
        self.turns: RoundRobin[Delivery] = RoundRobin(self.deliveries)

    def add(self, delivery: Delivery, *, head: bool) -> None:
        if delivery.source and not delivery.is_suspect:
            self.turns.add(delivery, head=head)
            return
        side = self.suspects if delivery.is_suspect else self.deliveries
        if head:
            side.appendleft(delivery)
        else:
            side.append(delivery)

    def __iter__(self) -> Iterator[Delivery]:
        """All of them, in no order."""
        return itertools.chain(self.deliveries, self.turns, self.suspects, self.parked)

    @property
    def is_empty(self) -> bool:
        return not (self.deliveries or self.turns or self.suspects or self.parked)
