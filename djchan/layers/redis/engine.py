"""The engine over Redis or Valkey (``layers.engine``): makes links, keeps nothing else.

From ``layer``, with the parsed hosts; on to ``links``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from djchan.exceptions import InvalidChannelLayer
from djchan.layers.redis import commands
from djchan.layers.redis.async_links import RedisAsyncLink, RedisInboxReader
from djchan.layers.redis.hosts import Hosts
from djchan.layers.redis.links import RedisLink


class RedisEngine:
    local_only = False
    entry_size = staticmethod(len)

    def __init__(
        self,
        hosts: Sequence[Any] | None = None,
        *,
        prefix: str = "djchan",
        connection_kwargs: Mapping[str, Any] | None = None,
        services: Sequence[str] | None = None,
        sentinel_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(prefix, str) or not prefix or set("{}") & set(prefix):
            raise InvalidChannelLayer(
                f"prefix in the layer's CONFIG is text without braces, not {prefix!r}: it is the "
                "hash tag that keeps a layer's keys in one slot."
            )
        self.hosts = Hosts(
            hosts,
            connection_kwargs=connection_kwargs,
            services=services,
            sentinel_kwargs=sentinel_kwargs,
        )
        self.name = prefix
        self.base = commands.base_of(prefix)

    @property
    def history(self) -> str:
        return self.hosts.run

    def link(self, name: str) -> RedisLink:
        return RedisLink(self.hosts, self.base, name)

    def alink(self, name: str) -> RedisAsyncLink:
        return RedisAsyncLink(self.hosts, self.base, name)

    def inbox(self, process: str) -> RedisInboxReader:
        return RedisInboxReader(self.alink(f"inbox {process}"), self.base, process)
