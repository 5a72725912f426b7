"""Requests of Daphne whose headers have not all arrived, and the time that they have.

``request_bounds`` reports the begin and the end of each. Twisted closes a connection that is
silent, but not one that sends a line now and then. They are kept in the order in which they began,
so one timer, for the oldest, is enough, and a request whose headers come at once costs none.
"""

import asyncio
import time
from collections.abc import Callable


class HeadersWait:
    """``seconds``: for the headers of a request, None without a limit. ``end(request)``: is called
    when that is over."""

    def __init__(self, seconds: float | None, end: Callable[[object], object]) -> None:
        self._seconds = seconds
        self._end = end
        # By id: the hash of a request of Daphne is a function in Python.
        self._begun: dict[int, tuple[object, float]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, request: object) -> None:
        """The first line of ``request`` is here."""
        if self._seconds is None:
            return
        self._begun[id(request)] = request, time.monotonic()
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._seconds, self._look, self._seconds)

    def over(self, request: object) -> None:
        """All headers are here, or the client has left."""
        self._begun.pop(id(request), None)

    def _look(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        for key, (request, begun) in list(self._begun.items()):
            left = begun + seconds - time.monotonic()
            if left > 0:
                self._timer = loop.call_later(left, self._look, seconds)
                return
            del self._begun[key]
            self._end(request)
