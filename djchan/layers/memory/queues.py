"""Channels, delayed deliveries and dead letters in memory. No I/O happens here.

From ``layers.memory.engine``, which decides; on to the ``Bells`` of who waits for work.

::

      append ──► queue ──take──► (the caller's lease)
                 ▲   ▲               │
    delay ─► due ┘   └───put_back────┘

Each delivery that enters a queue rings one idle bell.
"""

import heapq
import itertools
from collections import deque

from djchan.layers.memory.bells import Bells

DEAD_LETTERS = 1000  # Kept per channel; the oldest go.


class Delivery:
    """What lies on a channel. ``frames`` is its weight in messages."""

    __slots__ = ("attempt", "channel", "done", "expires", "frames", "keep", "payload", "started")

    def __init__(
        self,
        channel: str,
        payload: bytes,
        frames: int = 1,
        *,
        expires: int = 0,
        keep: bool = True,
    ) -> None:
        self.channel = channel
        self.payload = payload
        self.frames = frames
        self.expires = expires
        self.keep = keep
        self.attempt = 1
        self.done = 0
        self.started = False  # Parts of its response are out already.


class Queue:
    """The deliveries of one channel. ``size`` counts messages; ``expires`` 0 is never."""

    __slots__ = ("deliveries", "expires", "size")

    def __init__(self) -> None:
        self.deliveries: deque[Delivery] = deque()
        self.size = 0
        self.expires = 0


class Queues:
    def __init__(self, bells: Bells) -> None:
        self._bells = bells
        self._queues: dict[str, Queue] = {}  # An empty channel is not in here.
        self._due: list[tuple[int, int, Delivery]] = []  # Heap: when (ms), serial, what.
        self._serial = itertools.count()
        self._expiring: list[tuple[int, str]] = []  # Heap: a time to look, channel.
        self._dead: dict[str, deque[tuple[str, int, bytes]]] = {}

    def clear(self) -> None:
        self._queues.clear()
        self._due.clear()
        self._expiring.clear()
        self._dead.clear()

    def size(self, channel: str) -> int:
        """Messages (not deliveries) waiting on the channel."""
        queue = self._queues.get(channel)
        return queue.size if queue is not None else 0

    def is_full(self, channel: str, capacity: int) -> bool:
        """Whether the channel admits nothing. ``capacity`` 0 is no limit.

        A delivery of many frames may overshoot: were it to fit whole, one larger than
        the capacity would never leave its mailbox.
        """
        return 0 < capacity <= self.size(channel)

    def append(self, delivery: Delivery) -> None:
        queue = self._queue(delivery.channel)
        queue.deliveries.append(delivery)
        queue.size += delivery.frames
        self._bells.ring_for(delivery.channel)

    def append_expiring(self, delivery: Delivery, expires: int) -> None:
        """Append; the whole channel vanishes at ``expires``, unless more comes."""
        queue = self._queue(delivery.channel)
        if not queue.expires or expires < queue.expires:
            heapq.heappush(self._expiring, (expires, delivery.channel))
        queue.expires = expires
        self.append(delivery)

    def put_back(self, delivery: Delivery) -> None:
        queue = self._queue(delivery.channel)
        queue.deliveries.appendleft(delivery)
        queue.size += delivery.frames
        self._bells.ring_for(delivery.channel)

    def take(self, channel: str) -> Delivery | None:
        queue = self._queues.get(channel)
        if queue is None:
            return None
        delivery = queue.deliveries.popleft()
        queue.size -= delivery.frames
        if not queue.deliveries:
            del self._queues[channel]
        return delivery

    def take_expired(self, channel: str, now: int) -> list[Delivery]:
        """Take what has expired off the head of the channel.

        What was run before does not expire.
        """
        taken: list[Delivery] = []
        while (queue := self._queues.get(channel)) is not None:
            head = queue.deliveries[0]
            if head.attempt > 1 or not 0 < head.expires <= now:
                break
            delivery = self.take(channel)
            assert delivery is not None
            taken.append(delivery)
        return taken

    def ring_again(self, channels: tuple[str, ...]) -> None:
        """Ring for what waits on ``channels``: who was rung for it may have gone."""
        for channel in channels:
            queue = self._queues.get(channel)
            if queue is not None:
                self._bells.ring_for(channel, times=len(queue.deliveries))

    def delay(self, delivery: Delivery, due: int) -> None:
        """Append ``delivery`` to its channel at ``due`` (ms since the epoch)."""
        heapq.heappush(self._due, (due, next(self._serial), delivery))
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
            else:
                heapq.heappush(self._expiring, (queue.expires, channel))

    def bury(self, delivery: Delivery, reason: str, now: int) -> None:
        letters = self._dead.setdefault(delivery.channel, deque(maxlen=DEAD_LETTERS))
        letters.appendleft((reason, now, delivery.payload))

    def dead_letters(self, channel: str, count: int) -> list[tuple[str, int, bytes]]:
        """Newest first, at most ``count``."""
        return list(itertools.islice(self._dead.get(channel, ()), count))

    def _queue(self, channel: str) -> Queue:
        queue = self._queues.get(channel)
        if queue is None:
            queue = self._queues[channel] = Queue()
        return queue
