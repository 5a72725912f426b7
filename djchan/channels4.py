"""Layers for a project whose consumers are all those of Channels 4: in place of channels_redis.

Only the BACKEND changes. ``"djchan"`` need not be in INSTALLED_APPS, and the entry has no ROUTING:
both are for consumers that run in workers (docs/howto/channels-4.md)::

    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "djchan.channels4.RedisLayer",
            "CONFIG": {"hosts": [("127.0.0.1", 6379)]},
        }
    }

While tests run (``djchan.test_mode``), each of them is in memory.
"""

from typing import Any

from djchan.layers.base import BaseChannelLayer
from djchan.layers.channels4 import Channels4Layer
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.redis import RedisChannelLayer, RedisSentinelChannelLayer
from djchan.test_mode import CONFIG, test_mode


class RedisLayer(Channels4Layer):
    """Takes the CONFIG of ``djchan.layers.redis.RedisChannelLayer``."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(_not_live(RedisChannelLayer(*args, **options)))


class RedisSentinelLayer(Channels4Layer):
    """Takes the CONFIG of ``djchan.layers.redis.RedisSentinelChannelLayer``."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(_not_live(RedisSentinelChannelLayer(*args, **options)))


class InMemoryLayer(Channels4Layer):
    """Takes the CONFIG of ``djchan.layers.inmemory.InMemoryChannelLayer``; for one process."""

    def __init__(self, **options: Any) -> None:
        super().__init__(InMemoryChannelLayer(**options))


def _not_live(layer: BaseChannelLayer) -> BaseChannelLayer:
    """``layer``, or while tests run one in memory with its limits."""
    if test_mode.layers() == CONFIG:
        return layer
    in_memory = InMemoryChannelLayer()
    in_memory.follow(layer)
    return in_memory
