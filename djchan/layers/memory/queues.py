"""Channels and delayed deliveries in memory. No I/O happens here.

From ``layers.memory.effects`` and ``layers.memory.leases``, which decide; on to the ``Bells``
of who waits for work.

::

      append ──► queue ─────take────► (the caller's lease)
                 ▲ ▲ ▲                     │
     park ► parked │ └───────put_back──────┤
     delay ─► due ─┘                       │ after a crash
                   └──► suspects ◄─────────┘
                           └─take_suspect─► (one per worker)

A delivery that enters a queue rings one idle bell; a suspect rings all of its channel,
since the one that is rung may belong to a worker that has a suspect already.
"""

import heapq
import itertools
from collections import deque

from djchan import names
from djchan.layers.memory.bells import Bells
from djchan.layers.operations import STARTED

NUMBERED = ("websocket.", "http.")  # How the channels begin that numbered deliveries are on.


class Delivery:
    """What lies on a channel. ``frames`` is its weight in messages.

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
    ) -> None:
        self.name = channel
        self.channel = names.non_local(channel)
        self.payload = payload
        self.frames = frames
        self.expires = expires
        self.keep = keep
        self.owner = owner
        self.attempt = 1
        self.done = 0
        self.started = False  # Parts of its response are out already.

    @property
    def is_suspect(self) -> bool:
        return self.attempt > 1

    @property
    def begun(self) -> int:
        """As Leased.done."""
        return STARTED if self.started else self.done


class Queue:
    """The deliveries of one channel. ``size`` counts messages; ``expires`` 0 is never."""

    __slots__ = ("deliveries", "expires", "parked", "size", "suspects")

    def __init__(self) -> None:
        self.deliveries: deque[Delivery] = deque()
        self.suspects: deque[Delivery] = deque()
        self.parked: deque[Delivery] = deque()  # Not in ``size``.
        self.size = 0
        self.expires = 0

    def side(self, delivery: Delivery) -> deque[Delivery]:
        return self.suspects if delivery.is_suspect else self.deliveries


class Queues:
    def __init__(self, bells: Bells) -> None:
        self._bells = bells
        self._queues: dict[str, Queue] = {}  # An empty channel is not in here.
        self._due: list[tuple[int, int, Delivery]] = []  # Heap: when (ms), serial, what.
        self._serial = 0  # Of what was delayed last.
        self._expiring: list[tuple[int, str]] = []  # Heap: a time to look, channel.
        # What a claim has to look at besides; nearly always empty.
        self._suspected: set[str] = set()
        self._parking: set[str] = set()

    def clear(self) -> None:
        for part in (self._queues, self._due, self._expiring, self._suspected, self._parking):
            part.clear()

    def size(self, channel: str) -> int:
        """Messages (not deliveries) waiting on the channel."""
        queue = self._queues.get(channel)
        return queue.size if queue is not None else 0

    def sizes(self) -> dict[str, int]:
        """Channel to messages waiting on it."""
        return {
            channel: queue.size
            for channel, queue in self._queues.items()
            if queue.size and not queue.expires
        }

    def vanishes(self, channel: str) -> bool:
        """Whether it is a channel of raw bytes (Body): what is in it is no message."""
        queue = self._queues.get(channel)
        return queue is not None and queue.expires > 0

    def oldest(self, channel: str) -> Delivery | None:
        """What is at the head of the channel, and stays there."""
        queue = self._queues.get(channel)
        return queue.deliveries[0] if queue is not None and queue.deliveries else None

    def is_full(self, channel: str, capacity: int) -> bool:
        """Whether the channel admits nothing. ``capacity`` 0 is no limit.

        A delivery of many frames may overshoot: were it to fit whole, one larger than
        the capacity would never leave its mailbox.
        """
        return 0 < capacity <= self.size(channel)

    def append(self, delivery: Delivery) -> None:
        queue = self._queue(delivery.channel)
        queue.side(delivery).append(delivery)
        self._came(queue, delivery)

    def append_expiring(self, delivery: Delivery, expires: int) -> None:
        """Append; the whole channel vanishes at ``expires``, unless more comes."""
        queue = self._queue(delivery.channel)
        if not queue.expires or expires < queue.expires:
            heapq.heappush(self._expiring, (expires, delivery.channel))
        queue.expires = expires
        self.append(delivery)

    def put_back(self, delivery: Delivery) -> None:
        queue = self._queue(delivery.channel)
        queue.side(delivery).appendleft(delivery)
        self._came(queue, delivery)

    def take(self, channel: str) -> Delivery | None:
        queue = self._queues.get(channel)
        if queue is None or not queue.deliveries:
            return None
        return self._went(channel, queue, queue.deliveries.popleft())

    def take_suspect(self, channels: tuple[str, ...]) -> Delivery | None:
        """The first of the first of ``channels`` that has one."""
        if not self._suspected:
            return None
        for channel in channels:
            if channel in self._suspected:
                queue = self._queues[channel]
                suspect = queue.suspects.popleft()
                if not queue.suspects:
                    self._suspected.discard(channel)
                return self._went(channel, queue, suspect)
        return None

    def take_expired(self, channel: str, now: int) -> list[Delivery]:
        """Take what has expired off the head of the channel.

        What was run before does not expire.
        """
        taken: list[Delivery] = []
        while (queue := self._queues.get(channel)) is not None and queue.deliveries:
            head = queue.deliveries[0]
            if not 0 < head.expires <= now:
                break
            taken.append(self._went(channel, queue, queue.deliveries.popleft()))
        return taken

    def parked(self, channel: str) -> int:
        return len(self._queues[channel].parked) if channel in self._parking else 0

    def park(self, delivery: Delivery) -> None:
        """Keep ``delivery`` beside its channel, which is over its limit."""
        self._queue(delivery.channel).parked.append(delivery)
        self._parking.add(delivery.channel)

    def move_up(self, channel: str, count: int) -> None:
        """Append up to ``count`` of what is parked to the channel itself."""
        if channel not in self._parking:
            return
        parked = self._queues[channel].parked
        for _ in range(min(count, len(parked))):
            self.append(parked.popleft())
        if not parked:
            self._parking.discard(channel)

    def ring_again(self, channels: tuple[str, ...]) -> None:
        """Ring for what waits on ``channels``: who was rung for it may have gone."""
        for channel in channels:
            queue = self._queues.get(channel)
            if queue is not None:
                self._bells.ring_for(channel, times=len(queue.deliveries))
        self.ring_for_odd()

    def ring_for_odd(self) -> None:
        """Ring one bell of each channel that has a suspect, or something parked."""
        for channel in (*self._suspected, *self._parking):
            self._bells.ring_for(channel)

    def delay(self, delivery: Delivery, due: int) -> None:
        """Append ``delivery`` to its channel at ``due`` (ms since the epoch)."""
        self._serial += 1
        heapq.heappush(self._due, (due, self._serial, delivery))
        if self._due[0][2] is delivery:
            # Whoever sleeps until the former next one has to look again.
            self._bells.ring_for_due(delivery.channel)

    def next_due(self) -> int:
        """When the next delayed delivery is due, ms since the epoch; 0: none."""
        return self._due[0][0] if self._due else 0

    def promote(self, now: int) -> None:
        """Move what is due to its channel."""
        while self._due and self._due[0][0] <= now:
            self.append(heapq.heappop(self._due)[2])

    def expire(self, now: int) -> None:
        """Drop the channels whose time is over."""
        while self._expiring and self._expiring[0][0] <= now:
            _, channel = heapq.heappop(self._expiring)
            queue = self._queues.get(channel)
            if queue is None or not queue.expires:
                continue
            if queue.expires <= now:
                del self._queues[channel]
                self._suspected.discard(channel)
                self._parking.discard(channel)
            else:
                heapq.heappush(self._expiring, (queue.expires, channel))

    def owned_by(self, process: str) -> set[str]:
        """The connections of ``process`` that have a numbered delivery waiting here."""
        sockets = [queue for name, queue in self._queues.items() if name.startswith(NUMBERED)]
        waiting = itertools.chain(
            *((*queue.deliveries, *queue.suspects, *queue.parked) for queue in sockets),
            (each for _, _, each in self._due if each.channel.startswith(NUMBERED)),
        )
        return {each.owner[1] for each in waiting if each.owner and each.owner[0] == process}

    def _queue(self, channel: str) -> Queue:
        queue = self._queues.get(channel)
        if queue is None:
            queue = self._queues[channel] = Queue()
        return queue

    def _came(self, queue: Queue, delivery: Delivery) -> None:
        queue.size += delivery.frames
        if delivery.is_suspect:
            self._suspected.add(delivery.channel)
            self._bells.ring_all_for(delivery.channel)
        else:
            self._bells.ring_for(delivery.channel)

    def _went(self, channel: str, queue: Queue, delivery: Delivery) -> Delivery:
        queue.size -= delivery.frames
        if not (queue.deliveries or queue.suspects or queue.parked):
            del self._queues[channel]
        return delivery
