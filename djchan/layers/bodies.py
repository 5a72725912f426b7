"""Reading a request's body: asking its interface for the next chunk, and counting those that came.

``layers.base`` asks here when it receives on a body's channel. The interface puts chunks there only
when they are asked for (``interface.upload``). A chunk has its number: one that was put for an
earlier run of the request is not taken for this run's.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping

from djchan.layers import codec
from djchan.layers.operations import Tell

PREFIX = "http.request.body."
AGAIN = 2.0  # Seconds until a chunk that did not come is asked for again.
READERS = 1024  # Bodies of one layer that are read at a time; a further one makes the oldest anew.


def channel_of(process: str, connection: str) -> str:
    """The channel on which the body of this connection's request comes."""
    return f"{PREFIX}{process}?{connection}"


def is_body(channel: str) -> bool:
    return channel.startswith(PREFIX)


class Readers:
    """How far this process has read each body. ``clock``: seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._places: OrderedDict[str, _Place] = OrderedDict()

    def begin(self, channel: str) -> None:
        """Another run of the request reads its body: from the first chunk on."""
        self._places.pop(channel, None)

    def questions(self, channels: Iterable[str]) -> dict[str, Tell]:
        """The questions for the interfaces, by channel: for those of ``channels`` that carry a
        body whose next chunk was not asked for, or did not come."""
        now = self._clock()
        found = {}
        for channel in filter(is_body, channels):
            place = self._places.pop(channel, None) or _Place()
            self._places[channel] = place  # The youngest again.
            if len(self._places) > READERS:
                self._places.popitem(last=False)
            if now - place.asked_at >= AGAIN:
                place.asked_at = now
                found[channel] = _question(channel, place.order)
        return found

    def took(self, channel: str, message: Mapping[str, object]) -> bool:
        """Whether ``message`` is the chunk that was asked for, or the end."""
        place = self._places.get(channel)
        if message.get("closed"):
            self.begin(channel)
        elif place is not None:
            if message.get("order", place.order) != place.order:
                return False
            place.order += 1
            place.asked_at = -math.inf
        return True

    def last(self, channel: str, message: Mapping[str, object]) -> Tell | None:
        """The acknowledgment for the interface if ``message`` was the last chunk."""
        if message.get("more_content") or message.get("closed"):
            return None
        place = self._places.pop(channel, None)
        return None if place is None else _question(channel, place.order)


class _Place:
    """``order``: of the chunk that is wanted next."""

    __slots__ = ("asked_at", "order")

    def __init__(self) -> None:
        self.order = 0
        self.asked_at = -math.inf


def _question(channel: str, order: int) -> Tell:
    process, _, connection = channel.removeprefix(PREFIX).partition("?")
    return Tell(process, codec.encode_entry(codec.ASKED, connection, order))
