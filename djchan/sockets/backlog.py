"""Frames of one client that its view has not taken yet: a bounded queue. No I/O happens here.

From ``socket``, which puts in what the server read and stops reading while it is ``full``;
on to the view's ``receive_…``.
"""

from collections import deque

Frame = str | bytes


class Backlog:
    """``frames``, ``size``: what it holds before it is full. The last one put in may overshoot."""

    __slots__ = ("_frames", "_limit", "_size", "_size_limit")

    def __init__(self, *, frames: int, size: int) -> None:
        self._limit = frames
        self._size_limit = size
        self._frames: deque[Frame] = deque()
        self._size = 0

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def size(self) -> int:
        """Bytes that wait; of text, characters."""
        return self._size

    @property
    def full(self) -> bool:
        return len(self._frames) >= self._limit or self._size >= self._size_limit

    def put(self, frame: Frame) -> None:
        self._frames.append(frame)
        self._size += len(frame)

    def take(self) -> Frame:
        """The oldest one. Raises IndexError when there is none."""
        frame = self._frames.popleft()
        self._size -= len(frame)
        return frame

    def clear(self) -> None:
        self._frames.clear()
        self._size = 0
