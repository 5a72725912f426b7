"""The deliveries of one channel by source, in round-robin order. No I/O happens here.

Sources take turns; all deliveries without a source count as one source::

    add ──► the queue of its source ──┐   the source had none: to the end of the ring
    add at the head (given back) ─────┤   (at the head: its turn is next)
                                      └─ take ──► the same share of each; a source with more goes
                                                  to the end of the ring, an empty one leaves it

A quiet source waits for at most one share of each other source, however much these hold.
"""

from collections import deque
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

NO_SOURCE = "-"


class Item(Protocol):
    """The attributes of a delivery that are used here."""

    source: str
    frames: int

    @property
    def size(self) -> int: ...


T = TypeVar("T", bound=Item)


class RoundRobin(Generic[T]):
    """The sources of one channel. ``plain``: its queue of deliveries without a source."""

    __slots__ = ("_held", "_plain", "_queues", "_ring")

    def __init__(self, plain: deque[T]) -> None:
        self._plain = plain
        self._queues: dict[str, deque[T]] = {}
        self._held: dict[str, tuple[int, int]] = {}  # Messages and bytes.
        self._ring: deque[str] = deque()

    def __len__(self) -> int:
        """How many sources wait."""
        return len(self._queues)

    def __iter__(self) -> Iterator[T]:
        for source in sorted(self._queues):
            yield from self._queues[source]

    def held(self, source: str) -> tuple[int, int]:
        """Messages and bytes of the source that wait here."""
        return self._held.get(source, (0, 0))

    def add(self, delivery: T, *, head: bool) -> None:
        source = delivery.source
        queue = self._queues.setdefault(source, deque())
        if not queue:
            if head:
                self._ring.appendleft(source)
            else:
                self._ring.append(source)
            if len(self._queues) == 1:
                self._ring = deque((source, NO_SOURCE))
        if head:
            queue.appendleft(delivery)
        else:
            queue.append(delivery)
        self._count(delivery, 1)

    def take(self, wanted: int) -> list[T]:
        """Up to ``wanted`` deliveries, of each source in turn the same share."""
        taken: list[T] = []
        while self._queues and len(taken) < wanted:
            turn = [self._ring.popleft() for _ in range(min(wanted - len(taken), len(self._ring)))]
            many = len(turn)
            if NO_SOURCE in turn and not self._plain:
                # It needs no share, so another source gets it.
                if many == wanted - len(taken) and self._ring:
                    turn.append(self._ring.popleft())
                else:
                    many = max(1, many - 1)
            share = (wanted - len(taken)) // many
            for source in turn:
                queue = self._plain if source == NO_SOURCE else self._queues[source]
                part = [queue.popleft() for _ in range(min(share, len(queue)))]
                taken += part
                if source != NO_SOURCE:
                    for delivery in part:
                        self._count(delivery, -1)
                if queue or source == NO_SOURCE:
                    self._ring.append(source)
                else:
                    del self._queues[source]
        while self._plain and len(taken) < wanted:
            taken.append(self._plain.popleft())
        return taken

    def next(self) -> T | None:
        """The delivery whose turn is next; it stays in its queue."""
        if not self._queues:
            return self._plain[0] if self._plain else None
        for source in list(self._ring)[:2]:
            queue = self._plain if source == NO_SOURCE else self._queues[source]
            if queue:
                return queue[0]
        return None

    def head(self, source: str) -> T | None:
        queue = self._queues.get(source)
        return queue[0] if queue else None

    def take_head(self, source: str) -> T:
        delivery = self._queues[source].popleft()
        self._count(delivery, -1)
        if not self._queues[source]:
            del self._queues[source]
            self._ring.remove(source)
        return delivery

    def _count(self, delivery: T, sign: int) -> None:
        messages, size = self.held(delivery.source)
        messages += sign * delivery.frames
        if messages:
            self._held[delivery.source] = messages, size + sign * delivery.size
        else:
            self._held.pop(delivery.source, None)
