"""Say which messages wait on channels that no route takes: nobody will ever run them.

From ``djchan.worker``'s own thread, at its start and now and then, and from ``check --deploy``;
on to the log, once for each channel. A send cannot say it: who sends (a page, a shell, another
project) need not have the routing, and the worker for it may come later.
"""

import logging
from collections.abc import Container, Mapping

from djchan.layers.engine import Link
from djchan.layers.operations import Waiting
from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))

_MOST = 100  # Channels that are named, so that a flood of names is no flood of lines.
# Those of the protocols have consumers by default, or are not sent where nobody serves them.
_PROTOCOLS = ("http.", "websocket.")


def unrouted(waiting: Mapping[str, int], routed: Container[str]) -> dict[str, int]:
    """Those of ``waiting`` (channel -> messages) that routes could take, and none does."""
    return {
        channel: number
        for channel, number in waiting.items()
        if number > 0
        and channel not in routed
        # One reader's own, which is no matter of a route.
        and not set("!?") & set(channel)
        and not channel.startswith(_PROTOCOLS)
    }


class Lookout:
    """``routed``: all channels of the routing; ``interval``: seconds between two looks."""

    def __init__(self, link: Link, routed: Container[str], *, interval: float, alias: str) -> None:
        self._link = link
        self._routed = routed
        self._interval = interval
        self._alias = alias
        self._next = 0.0
        self._named: set[str] = set()

    def look(self, now: float) -> None:
        """Say it, if it is time to (monotonic, seconds). Raises BrokerError."""
        if now < self._next:
            return
        self._next = now + self._interval
        (waiting,) = self._link.perform(Waiting())
        for channel, number in sorted(unrouted(waiting, self._routed).items()):
            if channel in self._named or len(self._named) >= _MOST:
                continue
            self._named.add(channel)
            logger.warning(
                "Messages wait on %r (%d), which no route of CHANNEL_LAYERS[%r] takes: nobody will "
                "run them, and it fills up (ChannelFull). Add a route for it to the ROUTING, or "
                "send to another name; unless workers of another project take it.",
                channel,
                number,
                self._alias,
                extra={"channel": channel},
            )
