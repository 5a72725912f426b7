"""What a layer says about its channels: capacity, expiry, delivery, sizes, its clock. No I/O.

From the CONFIG of an entry in CHANNEL_LAYERS; on to ``layers.effects`` and the interface,
which ask for each message.
"""

import re
import time
from collections.abc import Mapping
from fnmatch import translate
from typing import Any

from djchan import names
from djchan.exceptions import InvalidChannelLayer
from djchan.layers import codec

AT_LEAST_ONCE = "at-least-once"
AT_MOST_ONCE = "at-most-once"

# Seconds until a message expires that may be lost anyway: as everything did in Channels 1.x.
LOSSY_EXPIRY = 60.0

INBOX_BYTES = 64 * 1024 * 1024

PatternMap = Mapping[Any, Any] | None


class Policy:
    """What holds for the channels of one layer.

    ``capacity``: messages a channel holds before a direct send gets ChannelFull.
    ``expiry``: seconds after which a message nobody took is not run any more but kept as a
    dead letter; None: never (at-most-once channels: 60).
    ``channel_capacity``, ``channel_expiry``, ``delivery``: the same (and ``"at-least-once"``
    or ``"at-most-once"``) per channel: a dict of glob or compiled pattern to value; the
    first match counts, and a process-local name is matched up to its ``!``.
    ``group_expiry``: seconds a socket may live (0: no limit); membership has no age limit.
    ``max_message_size``: bytes of one encoded message.
    ``overflow``: how many times its capacity a channel holds of what consumers send before
    more is parked beside it. ``inbox_bytes``: of group messages and replies that wait for one
    interface process before more are dropped, and their sockets told.
    """

    def __init__(
        self,
        *,
        expiry: float | None = None,
        group_expiry: int = 86400,
        capacity: int = 100,
        channel_capacity: PatternMap = None,
        channel_expiry: PatternMap = None,
        delivery: PatternMap | str = None,
        max_message_size: int = codec.MAX_MESSAGE_SIZE,
        overflow: int = 10,
        inbox_bytes: int = INBOX_BYTES,
    ) -> None:
        self.expiry: float | None = _positive("expiry", expiry, optional=True)
        self.group_expiry = group_expiry
        self.capacity = int(_positive("capacity", capacity) or 0)
        self.channel_capacity = channel_capacity or {}
        self.max_message_size = int(_positive("max_message_size", max_message_size) or 0)
        self.overflow = int(_positive("overflow", overflow) or 0)
        self.inbox_bytes = int(_positive("inbox_bytes", inbox_bytes) or 0)
        if isinstance(delivery, str):
            delivery = {"*": delivery}
        for value in (delivery or {}).values():
            if value not in (AT_LEAST_ONCE, AT_MOST_ONCE):
                raise InvalidChannelLayer(
                    f"delivery is {AT_LEAST_ONCE!r} or {AT_MOST_ONCE!r}, not {value!r}."
                )
        self._capacities = _Patterns(self.channel_capacity)
        self._expiries = _Patterns(channel_expiry or {})
        self._deliveries = _Patterns(delivery or {})
        self._clock_offset = 0.0

    def capacity_of(self, channel: str) -> int:
        found = self._capacities.find(channel)
        return self.capacity if found is None else int(found)

    def limit_of(self, channel: str) -> int:
        """Messages a channel holds of what consumers send before more is parked."""
        return self.overflow * self.capacity_of(channel)

    def expiry_of(self, channel: str) -> float | None:
        """Seconds until a message on ``channel`` expires; None: never."""
        found = self._expiries.find(channel)
        if found is not None:
            return float(found)
        if self.expiry is not None:
            return self.expiry
        return LOSSY_EXPIRY if self.at_most_once(channel) else None

    def at_most_once(self, channel: str) -> bool:
        return bool(self._deliveries.find(channel) == AT_MOST_ONCE)

    def now(self) -> int:
        """The layer's clock, ms since the epoch (the same for every host)."""
        return int(time.time() * 1000 + self._clock_offset)

    def set_clock(self, now: int) -> None:
        """``now``: what the engine's clock just said."""
        self._clock_offset = now - time.time() * 1000

    def encode(self, message: Any) -> bytes:
        return codec.encode(message, self.max_message_size)


class _Patterns:
    """Values by channel pattern, remembered per name (bounded)."""

    def __init__(self, patterns: Mapping[Any, Any]) -> None:
        self._patterns = [
            (re.compile(translate(key)) if isinstance(key, str) else key, value)
            for key, value in patterns.items()
        ]
        self._known: dict[str, Any] = {}

    def find(self, channel: str) -> Any:
        if not self._patterns:
            return None
        name = names.non_local(channel)
        if name not in self._known:
            if len(self._known) > 1000:
                self._known.clear()
            self._known[name] = next(
                (value for pattern, value in self._patterns if pattern.match(name)), None
            )
        return self._known[name]


def _positive(option: str, value: Any, *, optional: bool = False) -> Any:
    if value is None and optional:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise InvalidChannelLayer(
            f"{option} in the layer's CONFIG must be a number above 0, not {value!r}."
        )
    return value
