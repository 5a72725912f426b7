"""What one connection has to say and in which order. No I/O happens here.

From the connection, which puts encoded frames in; on to the connection again, which takes
deliveries out and hands them to the layer. At most one delivery is in flight; the frames
behind it wait and then go together::

                 put                 next                    answer(seq)
    frame ───────────► waiting ───────────────► in flight ───────────────► gone
                          ▲                        │
                          └────────── again ───────┘   (not enqueued: the channel was full)

A delivery holds frames of one channel, so a batch ends where the channel changes. Bounded
in frames and bytes; the last frame (a socket's disconnect) has a place of its own.
"""

from collections import deque
from typing import NamedTuple

from djchan.interface.pace import Budget


class Delivery(NamedTuple):
    seq: int
    channel: str
    frames: list[bytes]


class Mailbox:
    """``frames``, ``size`` (bytes): what may wait; ``batch``: frames of one delivery; ``total``: of
    the bytes that all mailboxes hold, with those of the deliveries in flight."""

    __slots__ = (
        "_batch",
        "_bytes",
        "_ended",
        "_frames",
        "_last",
        "_limit",
        "_size",
        "_total",
        "_waiting",
        "in_flight",
        "seq",
    )

    def __init__(self, *, frames: int, size: int, batch: int, total: Budget) -> None:
        self._total = total
        self._frames = frames
        self._size = size
        self._batch = self._limit = batch
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._bytes = 0
        self._ended = False  # The last frame was put in.
        self._last: tuple[str, bytes] | None = None
        self.in_flight: Delivery | None = None
        self.seq = 0  # Of the last delivery that was made.

    def __len__(self) -> int:
        """Frames that wait, the last one with them."""
        return len(self._waiting) + (self._last is not None)

    @property
    def nearly_full(self) -> bool:
        """Three quarters are taken: time to stop reading, where that is possible."""
        return (
            4 * len(self._waiting) >= 3 * self._frames
            or 4 * self._bytes >= 3 * self._size
            or 4 * self._total.used >= 3 * self._total.limit
        )

    def put(self, channel: str, frame: bytes) -> bool:
        """Take ``frame``; False when there is no room for it (it is not taken then).

        An empty mailbox takes a frame of any size: one alone cannot be split.
        """
        waiting = self._waiting
        size = len(frame)
        if (
            self._ended
            or self._total.used + size > self._total.limit
            or (waiting and (len(waiting) >= self._frames or self._bytes + size > self._size))
        ):
            return False
        waiting.append((channel, frame))
        self._bytes += size
        self._total.used += size
        return True

    def put_last(self, channel: str, frame: bytes) -> None:
        """Take the frame after which nothing comes; there always is room for it."""
        if self._ended:
            raise ValueError("This mailbox has its last frame already.")
        self._ended = True
        self._last = (channel, frame)
        self._total.used += len(frame)

    def next(self) -> Delivery | None:
        """The next delivery, now in flight; None while one is, or when nothing waits."""
        if self.in_flight is not None:
            return None
        waiting = self._waiting
        if waiting:
            channel, frame = waiting.popleft()
            frames = [frame]
            self._bytes -= len(frame)
            while waiting and waiting[0][0] == channel and len(frames) < self._limit:
                frame = waiting.popleft()[1]
                self._bytes -= len(frame)
                frames.append(frame)
        elif self._last is not None:
            (channel, frame), self._last = self._last, None
            frames = [frame]
        else:
            return None
        self.seq += 1
        self.in_flight = Delivery(self.seq, channel, frames)
        return self.in_flight

    def answer(self, seq: int) -> bool:
        """Release the delivery in flight, if it is the one numbered ``seq``."""
        if self.in_flight is None or self.in_flight.seq != seq:
            return False
        self._total.used -= sum(map(len, self.in_flight.frames))
        self.in_flight = None
        if self._limit < self._batch:
            self._limit = min(self._limit * 2, self._batch)
        return True

    def again(self) -> None:
        """The delivery in flight was not enqueued: its frames wait again, at the front.

        The next one holds half as many: a channel with little room takes a few at a time.
        """
        delivery = self.in_flight
        if delivery is None:
            raise ValueError("No delivery is in flight.")
        self._limit = max(1, len(delivery.frames) // 2)
        self._waiting.extendleft((delivery.channel, frame) for frame in reversed(delivery.frames))
        self._bytes += sum(map(len, delivery.frames))
        self.in_flight = None
        # Nobody has seen this number, so the next delivery may carry it.
        self.seq -= 1

    def drop(self, channel: str | None = None) -> int:
        """Forget what waits (of ``channel``), but not the last frame; how many that were."""
        kept = deque(item for item in self._waiting if channel is not None and item[0] != channel)
        dropped = len(self._waiting) - len(kept)
        self._waiting = kept
        size = sum(len(frame) for _, frame in kept)
        self._total.used -= self._bytes - size
        self._bytes = size
        return dropped

    def close(self) -> None:
        """Forget everything: the connection is over."""
        if self._last is not None:
            self._total.used -= len(self._last[1])
            self._last = None
        if self.in_flight is not None:
            self.answer(self.in_flight.seq)
        self.drop()
