"""What a layer says about its channels: capacity, expiry, delivery, sizes, its clock. No I/O.

From the CONFIG of an entry in CHANNEL_LAYERS; on to ``layers.effects`` and the interface,
which ask for each message.
"""

import math
import re
import time
from collections.abc import Callable, Iterable, Mapping
from fnmatch import translate
from typing import Any, TypeGuard

from djchan import names
from djchan.exceptions import InvalidChannelLayer, InvalidMessage
from djchan.layers import codec

AT_LEAST_ONCE = "at-least-once"
AT_MOST_ONCE = "at-most-once"

# Seconds until a message expires that may be lost anyway: as everything did in Channels 1.x.
LOSSY_EXPIRY = 60.0

SOCKET_LIFE = 86400

MIB = 1024 * 1024
INBOX_BYTES = 64 * MIB

# Seconds that an operation may be repeated at most: the layer remembers its answer for a minute
# (operations.REMEMBERED), and a try that began in time may take a while.
LONGEST_RETRY = 30.0

PatternMap = Mapping[Any, Any] | None


class Policy:
    """What holds for the channels of one layer.

    ``capacity``: messages a channel holds before a direct send gets ChannelFull.
    ``expiry``: seconds after which a message nobody took is not run any more but kept as a
    dead letter; None: never (at-most-once channels: 60).
    ``channel_capacity``, ``channel_expiry``, ``delivery``: the same (and ``"at-least-once"``
    or ``"at-most-once"``) per channel: a dict of glob or compiled pattern to value; the
    first match counts, and a process-local name is matched up to its ``!``.
    ``max_bytes``, ``channel_max_bytes``: bytes of messages that a channel holds before the same
    happens as at its capacity. ``total_bytes``: of all that waits in the layer, is parked, or is
    delayed. ``dead_letter_bytes``: of all dead letters; the oldest of the channel with the most go.
    ``group_expiry``: seconds a socket may live (0: no limit; None: a day). A socket is a member
    for as long as it lives. A plain channel is one for ever, or, where this is set, for so many
    seconds after it was added last: nobody else would take a dead one out.
    ``max_message_size``: bytes of one encoded message.
    ``overflow``: how many times its capacity a channel holds of what consumers send before
    more is parked beside it. ``inbox_bytes``: of group messages and replies that wait for one
    interface process before more are dropped, and their sockets told.
    ``send_retry``, ``stream_retry``: seconds for which an operation whose answer was lost is
    repeated: a direct send; a receive, or a part of a response.
    """

    def __init__(
        self,
        *,
        expiry: float | None = None,
        group_expiry: int | None = None,
        capacity: int = 100,
        channel_capacity: PatternMap = None,
        channel_expiry: PatternMap = None,
        delivery: PatternMap | str = None,
        max_message_size: int = codec.MAX_MESSAGE_SIZE,
        overflow: int = 10,
        inbox_bytes: int = INBOX_BYTES,
        max_bytes: int = 64 * MIB,
        channel_max_bytes: PatternMap = None,
        total_bytes: int = 512 * MIB,
        dead_letter_bytes: int = 128 * MIB,
        send_retry: float = 2.0,
        stream_retry: float = 15.0,
    ) -> None:
        self.expiry: float | None = None if expiry is None else _positive("expiry", expiry)
        if group_expiry:
            _positive("group_expiry", group_expiry)
        self.group_expiry = SOCKET_LIFE if group_expiry is None else group_expiry
        self.member_ttl = int((group_expiry or 0) * 1000)  # Of a plain channel, ms; 0: none.
        self.capacity = _whole("capacity", capacity)
        self.channel_capacity = channel_capacity or {}
        self.max_message_size = _whole("max_message_size", max_message_size)
        self.overflow = _whole("overflow", overflow)
        self.inbox_bytes = _whole("inbox_bytes", inbox_bytes)
        self.max_bytes = _whole("max_bytes", max_bytes)
        self.total_bytes = _whole("total_bytes", total_bytes)
        self.dead_letter_bytes = _whole("dead_letter_bytes", dead_letter_bytes)
        self.send_retry = _retry("send_retry", send_retry)
        self.stream_retry = _retry("stream_retry", stream_retry)
        if isinstance(delivery, str):
            delivery = {"*": delivery}
        self._capacities = _Patterns("channel_capacity", self.channel_capacity, _whole)
        self._max_bytes = _Patterns("channel_max_bytes", channel_max_bytes or {}, _whole)
        self._expiries = _Patterns("channel_expiry", channel_expiry or {}, _positive)
        self._deliveries = _Patterns("delivery", delivery or {}, _delivery)
        self._clock_offset = 0.0

    def capacity_of(self, channel: str) -> int:
        found = self._capacities.find(channel)
        return self.capacity if found is None else int(found)

    def max_bytes_of(self, channel: str) -> int:
        """Bytes of messages that ``channel`` holds."""
        found = self._max_bytes.find(channel)
        return self.max_bytes if found is None else int(found)

    def why_full(self, result: str, channel: str) -> str:
        """Why a send to ``channel`` was refused: value, limit, setting and remedy."""
        if result == "full:bytes":
            return (
                f"The channel {channel!r} holds {self.max_bytes_of(channel)} bytes of messages or "
                "more, its max_bytes. Run more workers for it (and see that a route names it), or "
                "raise max_bytes or channel_max_bytes in the layer's CONFIG."
            )
        if result == "full:share":
            return (
                f"The channel {channel!r} has no more room for this source: with 'fair' under "
                f"INTERFACE one may hold as much as is free of capacity "
                f"({self.capacity_of(channel)} messages) and max_bytes "
                f"({self.max_bytes_of(channel)} bytes). Run more workers for it, or raise capacity "
                "or channel_capacity in the layer's CONFIG."
            )
        if result == "full:total":
            return (
                f"The layer holds {self.total_bytes} bytes of messages or more, its total_bytes, "
                f"so {channel!r} takes none. Run more workers (layer.usage() says what waits "
                "where), or raise total_bytes in the layer's CONFIG."
            )
        return (
            f"The channel {channel!r} holds {self.capacity_of(channel)} messages, its capacity. "
            "Run more workers for it (and see that a route names it), or raise capacity or "
            "channel_capacity in the layer's CONFIG."
        )

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
        # Nobody but its process reads a process-local channel, and that may be gone.
        return "!" in channel or bool(self._deliveries.find(channel) == AT_MOST_ONCE)

    def now(self) -> int:
        """The layer's clock, ms since the epoch (the same for every host)."""
        return int(time.time() * 1000 + self._clock_offset)

    def set_clock(self, now: int) -> None:
        """``now``: what the engine's clock just said."""
        self._clock_offset = now - time.time() * 1000

    def follow(self, other: "Policy") -> None:
        """Let the same hold as for ``other``, but for its clock."""
        for name in vars(Policy()):
            if name != "_clock_offset":
                setattr(self, name, getattr(other, name))

    def encode(self, message: Any) -> bytes:
        if not isinstance(message, dict):
            raise InvalidMessage(f"A message is a dict, not {message!r:.80}.")
        return codec.encode(message, self.max_message_size)

    # ------------------------- what asgiref 1.x's BaseChannelLayer called these

    def get_capacity(self, channel: str) -> int:
        return self.capacity_of(channel)

    def valid_channel_name(self, name: object, receive: bool = False) -> bool:
        """True, or InvalidChannelName (a TypeError)."""
        return bool(names.check_channel(name, receive=receive))

    def valid_channel_names(self, found: Iterable[object], receive: bool = False) -> bool:
        return all(self.valid_channel_name(name, receive) for name in found)

    def valid_group_name(self, name: object) -> bool:
        """True, or InvalidGroupName (a TypeError)."""
        return bool(names.check_group(name))

    def non_local_name(self, name: str) -> str:
        """The name without the local part of a process-local channel."""
        return names.non_local(name)


class _Patterns:
    """Values by channel pattern, remembered per name (bounded).

    ``check``: raises InvalidChannelLayer for a value that cannot be used, which it is given with
    the name of its place. None is no value.
    """

    def __init__(
        self, option: str, patterns: object, check: Callable[[str, object], object]
    ) -> None:
        if not isinstance(patterns, Mapping):
            raise InvalidChannelLayer(
                f"{option} in the layer's CONFIG is a dict of patterns of channel names, not a "
                f"{type(patterns).__name__}."
            )
        for key, value in patterns.items():
            if not isinstance(key, str | re.Pattern):
                raise InvalidChannelLayer(
                    f"{option} in the layer's CONFIG has the key {key!r:.80}: a key is a text such "
                    'as "http.*", or a compiled pattern.'
                )
            if value is not None:
                check(f"{option}[{key!r:.80}]", value)
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


def _positive(option: str, value: object) -> Any:
    if not _is_number(value) or value <= 0:
        raise InvalidChannelLayer(
            f"{option} in the layer's CONFIG must be a number above 0, not {value!r:.80}."
        )
    return value


def _whole(option: str, value: object) -> int:
    if not _is_number(value) or value < 1:
        raise InvalidChannelLayer(
            f"{option} in the layer's CONFIG must be a whole number above 0, not {value!r:.80}."
        )
    return int(value)


def _is_number(value: object) -> TypeGuard[float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)


def _delivery(option: str, value: object) -> None:
    if value not in (AT_LEAST_ONCE, AT_MOST_ONCE):
        raise InvalidChannelLayer(
            f"{option} in the layer's CONFIG is {AT_LEAST_ONCE!r} or {AT_MOST_ONCE!r}, not "
            f"{value!r:.80}."
        )


def _retry(option: str, seconds: Any) -> float:
    value = float(_positive(option, seconds))
    if value > LONGEST_RETRY:
        raise InvalidChannelLayer(
            f"{option} in the layer's CONFIG is {value:g} seconds; the limit is {LONGEST_RETRY:g}, "
            "since the layer remembers what it answered for a minute."
        )
    return value
