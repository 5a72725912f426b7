"""Requests of Daphne whose headers have not all arrived, and the time that they have.

``request_bounds`` reports the begin and the end of each. Twisted closes a connection that is
silent, but not one that sends a line now and then. They are kept in the order in which they began,
so one timer, for the oldest, is enough, and a request whose headers come at once costs none.
"""

import asyncio
from collections.abc import Callable, Hashable


class HeadersWait:
    """``seconds``: for the headers of a request, None without a limit. ``end(request)``: is called
    when that is over."""

    def __init__(self, seconds: float | None, end: Callable[[Hashable], object]) -> None:
        self._seconds = seconds
        self._end = end
        self._begun: dict[Hashable, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, request: Hashable) -> None:
        """The first line of ``request`` is here."""
        if self._seconds is None:
            return
        loop = asyncio.get_running_loop()
        self._begun[request] = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._look, self._seconds)

    def over(self, request: Hashable) -> None:
        """All headers are here, or the client has left."""
        self._begun.pop(request, None)

    def _look(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        for request, begun in list(self._begun.items()):
            left = begun + seconds - loop.time()
            if left > 0:
                self._timer = loop.call_later(left, self._look, seconds)
                return
            del self._begun[request]
            self._end(request)
