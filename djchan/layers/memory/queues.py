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
from collections import Counter
from collections.abc import Iterator

from djchan.layers.memory.bells import Bells
from djchan.layers.memory.queue import NUMBERED, Delivery, Full, Queue, QueueLimits


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
        self._delayed: Counter[str] = Counter()  # Channel -> bytes of what is due.
        self.stored = 0  # Bytes of what waits, is parked, or is due.

    def clear(self) -> None:
        for part in (self._queues, self._due, self._expiring, self._suspected, self._parking):
            part.clear()
        self._delayed.clear()
        self.stored = 0

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
        return None if queue is None else queue.turns.next()

    def reached(self, channel: str, limits: QueueLimits) -> Full | None:
        """Which limit the channel, or the layer, is at, so that it admits nothing.

        A delivery may overshoot: were it to fit whole, one larger than a limit would never
        leave its mailbox.
        """
        queue = self._queues.get(channel)
        messages, size = (0, 0) if queue is None else (queue.size, queue.bytes)
        if 0 < limits.messages <= messages:
            return "full"
        if 0 < limits.bytes <= size:
            return "full:bytes"
        return "full:total" if 0 < limits.total <= self.stored else None

    def is_new(self, channel: str, source: str, limits: QueueLimits) -> bool:
        """Whether the source holds nothing of the channel, and few others do: what these have had
        put back does not keep it out."""
        turns = self._queue(channel).turns
        if turns.held(source)[0]:
            return False
        return not limits.messages or len(turns) < limits.messages

    def exceeds_share(self, channel: str, source: str, limits: QueueLimits) -> bool:
        """Whether the source holds as much of the channel as is free: half of it, alone."""
        queue = self._queues.get(channel)
        if queue is None:
            return False
        messages, size = queue.turns.held(source)
        return bool(messages) and (
            0 < limits.messages <= queue.size + messages or 0 < limits.bytes <= queue.bytes + size
        )

    def has_room_beside(self, channel: str, limits: QueueLimits, *, most: int) -> bool:
        """Whether something may be parked: ``most`` times the messages, once the bytes of a
        channel, twice those of the layer."""
        queue = self._queues.get(channel)
        messages, size = (0, 0) if queue is None else (len(queue.parked), queue.parked_bytes)
        return (
            (not limits.messages or messages < most * limits.messages)
            and (not limits.bytes or size < limits.bytes)
            and (not limits.total or self.stored < 2 * limits.total)
        )

    def delays_too_much(self, channel: str, limits: QueueLimits) -> Full | None:
        """As ``reached``, of what is due."""
        if 0 < limits.bytes <= self._delayed[channel]:
            return "full:bytes"
        return "full:total" if 0 < limits.total <= self.stored else None

    def usage(self) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
        """Bytes that wait, are parked and are due, by channel."""
        queues = [(name, each) for name, each in self._queues.items() if not each.expires]
        return (
            {name: queue.bytes for name, queue in queues if queue.bytes},
            {name: queue.parked_bytes for name, queue in queues if queue.parked_bytes},
            {name: size for name, size in self._delayed.items() if size},
        )

    def append(self, delivery: Delivery) -> None:
        queue = self._queue(delivery.channel)
        queue.add(delivery, head=False)
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
        queue.add(delivery, head=True)
        self._came(queue, delivery)

    def take(self, channel: str, wanted: int) -> list[Delivery]:
        """Up to ``wanted`` off the channel; its sources take turns."""
        queue = self._queues.get(channel)
        if queue is None:
            return []
        return [self._went(channel, queue, delivery) for delivery in queue.turns.take(wanted)]

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

    def take_expired(self, channel: str, source: str, now: int) -> list[Delivery]:
        """Take what has expired off the head of the channel, and of its queue of ``source``.

        What was run before does not expire.
        """
        taken: list[Delivery] = []
        while (queue := self._queues.get(channel)) is not None and queue.deliveries:
            head = queue.deliveries[0]
            if not 0 < head.expires <= now:
                break
            taken.append(self._went(channel, queue, queue.deliveries.popleft()))
        while source and (queue := self._queues.get(channel)) is not None:
            first = queue.turns.head(source)
            if first is None or not 0 < first.expires <= now:
                break
            taken.append(self._went(channel, queue, queue.turns.take_head(source)))
        return taken

    def parked(self, channel: str) -> int:
        return len(self._queues[channel].parked) if channel in self._parking else 0

    def park(self, delivery: Delivery) -> None:
        """Keep ``delivery`` beside its channel, which is over its limit."""
        queue = self._queue(delivery.channel)
        queue.parked.append(delivery)
        queue.parked_bytes += delivery.size
        self.stored += delivery.size
        self._parking.add(delivery.channel)

    def move_up(self, channel: str, count: int) -> None:
        """Append up to ``count`` of what is parked to the channel itself."""
        if channel not in self._parking:
            return
        queue = self._queues[channel]
        parked = queue.parked
        for _ in range(min(count, len(parked))):
            delivery = parked.popleft()
            queue.parked_bytes -= delivery.size
            self.stored -= delivery.size
            self.append(delivery)
        if not parked:
            self._parking.discard(channel)

    def ring_again(self, channels: tuple[str, ...]) -> None:
        """Ring for what waits on ``channels``: who was rung for it may have gone."""
        for channel in channels:
            queue = self._queues.get(channel)
            if queue is not None:
                waiting = len(queue.deliveries) + sum(1 for _ in queue.turns)
                self._bells.ring_for(channel, times=waiting)
        self.ring_for_odd()
        self.ring_for_due()

    def ring_for_due(self) -> None:
        """Ring one bell if something is due later: whoever was to wait for it may not."""
        if self._due:
            self._bells.ring_for_due()

    def ring_for_odd(self) -> None:
        """Ring one bell of each channel that has a suspect, or something parked."""
        for channel in (*self._suspected, *self._parking):
            self._bells.ring_for(channel)

    def delay(self, delivery: Delivery, due: int) -> None:
        """Append ``delivery`` to its channel at ``due`` (ms since the epoch)."""
        self._serial += 1
        self._delayed[delivery.channel] += delivery.size
        self.stored += delivery.size
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
            delivery = heapq.heappop(self._due)[2]
            self._delayed[delivery.channel] -= delivery.size
            self.stored -= delivery.size
            self.append(delivery)

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

    def numbered(self) -> Iterator[Delivery]:
        """The deliveries of sockets and requests that wait here."""
        sockets = [queue for name, queue in self._queues.items() if name.startswith(NUMBERED)]
        return itertools.chain(
            *sockets,
            (each for _, _, each in self._due if each.channel.startswith(NUMBERED)),
        )

    def _queue(self, channel: str) -> Queue:
        queue = self._queues.get(channel)
        if queue is None:
            queue = self._queues[channel] = Queue()
        return queue

    def _came(self, queue: Queue, delivery: Delivery) -> None:
        queue.size += delivery.frames
        if not queue.expires:
            queue.bytes += delivery.size
            self.stored += delivery.size
        if delivery.is_suspect:
            self._suspected.add(delivery.channel)
            self._bells.ring_all_for(delivery.channel)
        else:
            self._bells.ring_for(delivery.channel)

    def _went(self, channel: str, queue: Queue, delivery: Delivery) -> Delivery:
        queue.size -= delivery.frames
        if not queue.expires:
            queue.bytes -= delivery.size
            self.stored -= delivery.size
        if queue.is_empty:
            self._queues.pop(channel, None)
        return delivery
