"""The parts of WebSocket messages that have arrived before their ends. No I/O happens here.

``bounds`` counts every part that autobahn keeps. One socket may keep a whole message
(``max_message_size``); together they may keep ``limit`` bytes. Beyond it the socket with the most
is closed, and not the one that sends: clients that begin large messages and never end them would
otherwise lock the others out.
"""

from typing import Any, TypeAlias

Socket: TypeAlias = Any  # Any hashable thing.


class Incoming:
    """``limit``: bytes of all sockets. ``used``: those that are kept now."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._sizes: dict[Socket, int] = {}

    def add(self, socket: Socket, size: int) -> Socket | None:
        """``socket`` keeps ``size`` more bytes. Answers which socket has to be closed, if any."""
        self.used += size
        self._sizes[socket] = self._sizes.get(socket, 0) + size
        if self.used <= self.limit:
            return None
        return max(self._sizes, key=self._sizes.__getitem__)

    def drop(self, socket: Socket) -> None:
        """``socket`` keeps nothing any more."""
        self.used -= self._sizes.pop(socket, 0)
