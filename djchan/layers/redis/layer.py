"""The channel layers that CHANNEL_LAYERS names: options to an engine.

From ``djchan.asgi``, which passes a project's CONFIG; on to ``layers.base`` for what a
layer does and ``engine`` for where it lives.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from djchan.layers.base import BaseChannelLayer
from djchan.layers.redis.engine import RedisEngine


class RedisChannelLayer(BaseChannelLayer):
    """A layer on one Redis (7.0 or newer) or Valkey (7.2 or newer).

    ``hosts``: a list with one URL (``redis://``, ``rediss://``, ``unix://``) or ``(host,
    port)``. ``prefix``: what keeps layers that share a server apart. ``connection_kwargs``
    go to redis-py. The rest as in BaseChannelLayer.
    """

    def __init__(
        self,
        hosts: Sequence[Any] | None = None,
        *,
        prefix: str = "djchan",
        connection_kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        engine = RedisEngine(hosts, prefix=prefix, connection_kwargs=connection_kwargs)
        super().__init__(engine=engine, **options)


class RedisSentinelChannelLayer(BaseChannelLayer):
    """A layer on the master that Sentinel names.

    ``hosts``: the sentinels, ``(host, port)`` each. ``services``: a list with the name of
    the master. ``sentinel_kwargs`` go to the connections to the sentinels.
    """

    def __init__(
        self,
        hosts: Sequence[Any] | None = None,
        *,
        services: Sequence[str],
        prefix: str = "djchan",
        connection_kwargs: Mapping[str, Any] | None = None,
        sentinel_kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        engine = RedisEngine(
            hosts,
            prefix=prefix,
            connection_kwargs=connection_kwargs,
            services=services,
            sentinel_kwargs=sentinel_kwargs,
        )
        super().__init__(engine=engine, **options)
