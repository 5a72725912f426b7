"""The channel layers that CHANNEL_LAYERS names: options to an engine.

From ``djchan.asgi``, which passes a project's CONFIG; on to ``layers.base`` for what a
layer does and ``engine`` for where it lives.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from djchan.exceptions import InvalidChannelLayer
from djchan.layers.base import BaseChannelLayer
from djchan.layers.redis.engine import RedisEngine
from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))

# Options of asgi_redis that there is nothing to say to any more, and why.
_SETTLED = {
    "stats_prefix": "the layer's statistics lie under its prefix",
    "sentinel_refresh_interval": "Sentinel is asked at each new connection",
}


class RedisChannelLayer(BaseChannelLayer):
    """A layer on one Redis (7.0 or newer) or Valkey (7.2 or newer).

    ``hosts``: a list with one URL (``redis://``, ``rediss://``, ``unix://``) or ``(host,
    port)``. ``prefix``: what keeps layers that share a server apart. ``connection_kwargs``
    go to redis-py. ``stats_prefix`` is asgi_redis's, and means nothing here. The rest as in
    BaseChannelLayer.
    """

    def __init__(
        self,
        hosts: Sequence[Any] | None = None,
        *,
        prefix: str = "djchan",
        connection_kwargs: Mapping[str, Any] | None = None,
        stats_prefix: str | None = None,
        **options: Any,
    ) -> None:
        _say_settled(stats_prefix=stats_prefix)
        engine = RedisEngine(hosts, prefix=prefix, connection_kwargs=connection_kwargs)
        super().__init__(engine=engine, **options)


class RedisSentinelChannelLayer(BaseChannelLayer):
    """A layer on the master that Sentinel names.

    ``hosts``: the sentinels, ``(host, port)`` each. ``services``: a list with the name of
    the master. ``sentinel_kwargs`` go to the connections to the sentinels. ``stats_prefix``
    and ``sentinel_refresh_interval`` are asgi_redis's, and mean nothing here.
    """

    def __init__(
        self,
        hosts: Sequence[Any] | None = None,
        *,
        services: Sequence[str] | None = None,
        prefix: str = "djchan",
        connection_kwargs: Mapping[str, Any] | None = None,
        sentinel_kwargs: Mapping[str, Any] | None = None,
        stats_prefix: str | None = None,
        sentinel_refresh_interval: float | None = None,
        **options: Any,
    ) -> None:
        _say_settled(stats_prefix=stats_prefix, sentinel_refresh_interval=sentinel_refresh_interval)
        if not _is_list_of_names(services):
            raise InvalidChannelLayer(
                f"services in the layer's CONFIG is {services!r}; it is a list with the name of "
                'the master that the sentinels watch: ["mymaster"]. It is not looked for, since '
                "a second one would make another layer."
            )
        engine = RedisEngine(
            hosts,
            prefix=prefix,
            connection_kwargs=connection_kwargs,
            services=services,
            sentinel_kwargs=sentinel_kwargs,
        )
        super().__init__(engine=engine, **options)


def _is_list_of_names(given: object) -> bool:
    if not isinstance(given, list | tuple) or not given:
        return False
    return all(isinstance(name, str) and name for name in given)


def _say_settled(**given: Any) -> None:
    for option, value in given.items():
        if value is not None:
            logger.warning(
                "%s in the layer's CONFIG has no effect: %s. Take it out.", option, _SETTLED[option]
            )
