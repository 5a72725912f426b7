"""How fast a response may come, and how slow its client may be. No I/O happens here.

For ``http_connection``. The run that sends a response in parts may have ``WINDOW`` bytes under way
(``layers.flow`` counts them there, as they are stored in the layer); here bytes are counted that
have left for the client, and more is granted::

    part, of so many bytes ──► the server's buffer ──► taken ──► half a window more? ──► Grant
"""

from typing import Protocol

from djchan.layers.operations import WINDOW


class ResponseListener(Protocol):
    """The listener for the progress of a response."""

    def on_taken(self, size: int) -> None:
        """The server has taken the content that was passed with this ``size``."""

    def on_broken(self) -> None:
        """The server takes nothing more."""

    def end_call(self) -> None:
        """Make the application return, which ends the response on a plain server."""


class Window:
    """``size``: bytes that may be under way."""

    __slots__ = ("_granted", "_size", "_taken")

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._granted = WINDOW

    def took(self, size: int) -> int:
        """The client has taken ``size`` bytes. Returns the new total to grant; 0: none yet.

        It grows by half a window at a time, so a fast stream does not cost a grant for each part.
        """
        self._taken += size
        total = self._taken + self._size
        if total - self._granted < max(1, self._size // 2):
            return 0
        self._granted = total
        return total


class Stall:
    """When to give up on a client that does not read: ``limit`` seconds after its last byte.

    ``look`` often enough: what is taken between two looks is found at the second.
    """

    __slots__ = ("_limit", "_since", "_taken")

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._taken = -1
        self._since = 0.0

    @property
    def pause(self) -> float:
        """Seconds between two checks."""
        return self._limit / 4

    def look(self, now: float, taken: int) -> bool:
        """Whether to give up, after the client has taken ``taken`` bytes in total."""
        if taken != self._taken:
            self._taken, self._since = taken, now
        return now - self._since >= self._limit


class Budget:
    """Bytes of all responses together that wait for their clients; ``limit`` of them at most."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def add(self, size: int) -> bool:
        """Count ``size`` more (or fewer) bytes; whether the total is within the limit."""
        self.used += size
        return size <= 0 or self.used <= self.limit
