"""A message on ``asgi.delay``, checked. No I/O happens here.

From ``delay.consumer`` and ``delay.worker``; back with what it asks for, or a ValueError that
says what is wrong with it.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from djchan import names
from djchan.exceptions import InvalidChannelName
from djchan.layers import effects

CHANNEL = "asgi.delay"
MAX_DELAY = effects.MAX_DELAY * 1000  # ms


class DelayRequest(NamedTuple):
    """``content`` is to be sent to ``channel`` in ``delay`` milliseconds (at least 0)."""

    channel: str
    content: dict[str, Any]
    delay: float


def read(message: Mapping[str, Any]) -> DelayRequest:
    """What a message on ``asgi.delay`` asks for. Raises ValueError."""
    missing = [key for key in ("channel", "content", "delay") if key not in message]
    if missing:
        raise ValueError(
            f"A message on {CHANNEL} has the keys 'channel', 'content' and 'delay'; this one lacks "
            f"{', '.join(map(repr, missing))}."
        )
    channel, content, delay = message["channel"], message["content"], message["delay"]
    if isinstance(channel, bytes):
        channel = channel.decode("latin-1")
    try:
        names.check_channel(channel)
    except InvalidChannelName as error:
        raise ValueError(str(error)) from error
    if not isinstance(content, dict):
        raise ValueError(f"The 'content' of a message on {CHANNEL} is a dict, not {content!r:.80}.")
    if isinstance(delay, bool) or not isinstance(delay, int | float) or not math.isfinite(delay):
        raise ValueError(
            f"The 'delay' of a message on {CHANNEL} is a number of milliseconds, not {delay!r:.80}."
        )
    if delay > MAX_DELAY:
        raise ValueError(f"The 'delay' of a message on {CHANNEL} is at most 100 years: {delay!r}.")
    return DelayRequest(channel, content, max(delay, 0))
