"""Where Redis is: the ``hosts`` of a layer's CONFIG to connections. Connects to nothing.

From ``layer``, with what a project wrote; on to ``links``, which ask for one connection at
a time and keep it.

``retry`` is off on all of them: redis-py would repeat a command whose answer got lost, up
to ten times, and double what it does.
"""

import asyncio
import ipaddress
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from djchan.exceptions import InvalidChannelLayer
from djchan.layers.redis.sentinels import AsyncSentinel, Sentinel

Host = str | tuple[str, int]

# Longer than any blocking command (5 s), so that only a dead connection times out.
SOCKET_TIMEOUT = 12.0
CONNECT_TIMEOUT = 3.0
SENTINEL_TIMEOUT = 1.0  # All of them are asked, those that are gone too.
SHORTEST_TIMEOUT = 5.0

_NO_RETRY: Any = Retry(NoBackoff(), 0)
_NO_ASYNC_RETRY: Any = AsyncRetry(NoBackoff(), 0)


class Hosts:
    """Makes connections to the one Redis (or Sentinel's master) that ``hosts`` names.

    ``hosts``: a list with one URL (``redis://``, ``rediss://``, ``unix://``) or ``(host,
    port)``; with ``services``, the sentinels. ``connection_kwargs`` go to redis-py.
    """

    def __init__(
        self,
        hosts: Sequence[Any] | None,
        *,
        connection_kwargs: Mapping[str, Any] | None = None,
        services: Sequence[str] | None = None,
        sentinel_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.kwargs = _connection_kwargs(connection_kwargs)
        self.sentinel_kwargs = {
            "socket_timeout": SENTINEL_TIMEOUT,
            "socket_connect_timeout": SENTINEL_TIMEOUT,
            **(sentinel_kwargs or {}),
        }
        self.run = ""  # Of the server that the newest connection has found.
        self.services = services
        self.is_sentinel = services is not None
        self.hosts = _hosts(hosts, sentinel=self.is_sentinel)
        if services is not None and len(services) != 1:
            raise InvalidChannelLayer(
                f"services in the layer's CONFIG names one master, not {list(services)!r}: a layer "
                "lives on one Redis. Configure one layer for each."
            )
        self._pool = self._new_pool(redis, _NO_RETRY)
        # Seconds for one exchange of an event loop, which counts them itself.
        self.timeout: float | None = self._pool.connection_kwargs.get("socket_timeout")
        # Sentinel clients keep connections of their own, which belong to one event loop.
        self._apools: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = (
            weakref.WeakKeyDictionary()
        )

    def connection(self) -> Any:
        """A new ``redis.Connection``, not yet connected."""
        return _new_connection(self._pool)

    def aconnection(self) -> Any:
        """A new ``redis.asyncio.Connection`` of the running loop, not yet connected."""
        loop = asyncio.get_running_loop()
        pool = self._apools.get(loop)
        if pool is None:
            pool = self._apools[loop] = self._new_pool(redis.asyncio, _NO_ASYNC_RETRY)
        return _new_connection(pool, socket_timeout=None)

    def settle(self) -> None:
        """Who was connected needs the sentinels no more: close what was kept for them."""
        if self.is_sentinel:
            for sentinel in self._pool.sentinel_manager.sentinels:
                sentinel.connection_pool.disconnect(inuse_connections=False)

    async def asettle(self) -> None:
        if self.is_sentinel:
            pool = self._apools[asyncio.get_running_loop()]
            for sentinel in pool.sentinel_manager.sentinels:
                await sentinel.connection_pool.disconnect(inuse_connections=False)

    def describe(self) -> str:
        """Where this is, for people: without passwords."""
        return ", ".join(_public(host) for host in self.hosts)

    @property
    def is_far(self) -> bool:
        """Whether it, or a sentinel, is on another machine."""
        if self.is_sentinel:
            return any(not _is_here(str(host[0])) for host in self.hosts)
        kwargs = self._pool.connection_kwargs
        return "path" not in kwargs and not _is_here(kwargs.get("host", "localhost"))

    @property
    def has_tls(self) -> bool:
        return issubclass(self._pool.connection_class, redis.SSLConnection)

    @property
    def asks_who(self) -> bool:
        """Whether connections name themselves, by a password or a certificate."""
        kwargs = self._pool.connection_kwargs
        names = ("password", "credential_provider", "ssl_certfile")
        return any(kwargs.get(name) for name in names)

    def _new_pool(self, library: Any, no_retry: Any) -> Any:
        """A pool of redis-py, of which only the settings of its connections are used."""
        ours = {"retry": no_retry, "protocol": 2, "decode_responses": False}
        kwargs = {**self.kwargs, **ours}
        if self.services is not None:
            kind = Sentinel if library is redis else AsyncSentinel
            sentinel = kind(
                self.hosts, sentinel_kwargs={**self.sentinel_kwargs, "retry": no_retry}, **kwargs
            )
            return sentinel.master_for(self.services[0], **kwargs).connection_pool
        host = self.hosts[0]
        if isinstance(host, tuple):
            return library.ConnectionPool(host=host[0], port=host[1], **kwargs)
        if host.startswith("unix:"):
            del kwargs["socket_keepalive"]  # For TCP; a unix socket's connection refuses it.
        try:
            pool = library.ConnectionPool.from_url(host, **kwargs)
        except ValueError as error:
            raise InvalidChannelLayer(f"{_public(host)!r} in hosts: {error}") from error
        # In redis-py what the URL says goes before what it was called with.
        pool.connection_kwargs.update(ours)
        _check_timeout(pool.connection_kwargs.get("socket_timeout"), f"the URL {_public(host)!r}")
        return pool


def _new_connection(pool: Any, **other: Any) -> Any:
    # Not pool.make_connection(): it counts every connection it ever made and refuses the
    # hundred-and-first.
    return pool.connection_class(**{**pool.connection_kwargs, **other})


def _hosts(hosts: Sequence[Any] | None, *, sentinel: bool) -> list[Host]:
    if hosts is None:
        return [("localhost", 26379 if sentinel else 6379)]
    if isinstance(hosts, str | bytes) or not isinstance(hosts, Sequence) or not hosts:
        raise InvalidChannelLayer(
            f"hosts in the layer's CONFIG is a list of URLs or (host, port) pairs, not {hosts!r}."
        )
    found = [_host(host, sentinel=sentinel) for host in hosts]
    if len(found) > 1 and not sentinel:
        raise InvalidChannelLayer(
            f"hosts names {len(found)} servers, but a layer lives on one: it commits a consumer's "
            "work as a whole. Configure one layer for each server, or name one Sentinel service."
        )
    return found


def _host(host: Any, *, sentinel: bool) -> Host:
    if isinstance(host, Mapping) and "address" in host and len(host) == 1:
        host = host["address"]
    if isinstance(host, str) and not sentinel:
        if host.partition("://")[0] in ("redis", "rediss", "unix"):
            return host
    elif isinstance(host, Sequence) and not isinstance(host, str) and len(host) == 2:
        name, port = host
        # A port from the environment is text.
        if isinstance(name, str) and str(port).isdecimal() and 0 < int(port) < 65536:
            return name, int(port)
    raise InvalidChannelLayer(
        f"{host!r} in hosts is "
        + (
            "not a sentinel: give (host, port)."
            if sentinel
            else "not a server: give redis://host:port/db, rediss://…, unix:///… or (host, port)."
        )
    )


def _connection_kwargs(given: Mapping[str, Any] | None) -> dict[str, Any]:
    kwargs: dict[str, Any] = {
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "socket_keepalive": True,
        **(given or {}),
    }
    _check_timeout(kwargs["socket_timeout"], "connection_kwargs")
    return kwargs


def _check_timeout(timeout: float | None, where: str) -> None:
    if timeout is not None and timeout <= SHORTEST_TIMEOUT:
        raise InvalidChannelLayer(
            f"socket_timeout in {where} is {timeout:g}; reading waits for up to "
            f"{SHORTEST_TIMEOUT:g} seconds, so it must be longer than that (the default is "
            f"{SOCKET_TIMEOUT:g})."
        )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _public(host: Host) -> str:
    if isinstance(host, tuple):
        return f"{host[0]}:{host[1]}"
    scheme, _, rest = host.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"
