"""Where Redis is: the ``hosts`` of a layer's CONFIG to connections. Connects to nothing.

From ``layer``, with what a project wrote (read in ``addresses`` and ``options``); on to
``links``, which ask for one connection at a time and keep it.

``retry`` is off on all of them: redis-py would repeat a command whose answer got lost, up
to ten times, and double what it does.
"""

import asyncio
import ipaddress
import socket
import ssl
import weakref
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from djchan.exceptions import InvalidChannelLayer
from djchan.layers.redis import addresses, options
from djchan.layers.redis.passwords import passwords_in
from djchan.layers.redis.sentinels import AsyncSentinel, Sentinel

# Longer than any blocking command (5 s), so that only a dead connection times out.
SOCKET_TIMEOUT = 12.0
CONNECT_TIMEOUT = 3.0
SENTINEL_TIMEOUT = 1.0  # All of them are asked, those that are gone too.
# Seconds of silence, between two probes, and probes, where the system knows them: so that
# firewalls do not forget a connection that waits, and one whose host is gone is noticed.
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}

_NO_RETRY: Any = Retry(NoBackoff(), 0)
_NO_ASYNC_RETRY: Any = AsyncRetry(NoBackoff(), 0)
_UNUSABLE = (redis.RedisError, TypeError, ValueError, AttributeError, OSError)


class Hosts:
    """Makes connections to the one Redis (or Sentinel's master) that ``hosts`` names.

    ``hosts``: a list with one URL (``redis://``, ``rediss://``, ``unix://``), ``(host, port)``,
    or a dict with an ``address`` and options; with ``services``, the sentinels.
    ``connection_kwargs`` go to redis-py. Raises InvalidChannelLayer for all that it cannot use.
    """

    def __init__(
        self,
        hosts: Sequence[Any] | None,
        *,
        connection_kwargs: Mapping[str, Any] | None = None,
        services: Sequence[str] | None = None,
        sentinel_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.run = ""  # Of the server that the newest connection has found.
        self.services = services
        self.is_sentinel = services is not None
        if services is not None and len(services) != 1:
            raise InvalidChannelLayer(
                f"services in the layer's CONFIG names one master, not {list(services)!r}: a layer "
                "lives on one Redis. Configure one layer for each."
            )
        self.hosts = addresses.parse(hosts, sentinel=self.is_sentinel)
        self._check_options(connection_kwargs, sentinel_kwargs)
        self.kwargs = {
            "socket_timeout": SOCKET_TIMEOUT,
            "socket_connect_timeout": CONNECT_TIMEOUT,
            "socket_keepalive": True,
            "socket_keepalive_options": {
                getattr(socket, name): value
                for name, value in _KEEPALIVE.items()
                if hasattr(socket, name)
            },
            **(connection_kwargs or {}),
            **self.hosts[0].options,
        }
        self.kwargs = {**_unnamed(self.kwargs), **self.kwargs}
        self.sentinel_kwargs = {
            "socket_timeout": SENTINEL_TIMEOUT,
            "socket_connect_timeout": SENTINEL_TIMEOUT,
            **(sentinel_kwargs or {}),
        }
        url = self.hosts[0].url
        written = _options_of(url)
        self.passwords = passwords_in(self.kwargs, self.sentinel_kwargs, written, url=url)
        self._pool = self._first_pool()
        settings = self._pool.connection_kwargs
        # Seconds for one exchange of an event loop, which counts them itself.
        self.timeout: float | None = settings.get("socket_timeout")
        # Seconds of silence after which a connection is asked whether it lives; 0: it is not.
        self.health_check_interval: float = settings.get("health_check_interval") or 0
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
        pool = self._apools.get(asyncio.get_running_loop())
        if self.is_sentinel and pool is not None:
            for sentinel in pool.sentinel_manager.sentinels:
                await sentinel.connection_pool.disconnect(inuse_connections=False)

    def describe(self) -> str:
        """Where this is, for people: without passwords."""
        return ", ".join(each.public for each in self.hosts)

    @property
    def is_far(self) -> bool:
        """Whether it, or a sentinel, is on another machine."""
        if self.is_sentinel:
            return any(not _is_here(each.host) for each in self.hosts)
        kwargs = self._pool.connection_kwargs
        return "path" not in kwargs and not _is_here(kwargs.get("host", "localhost"))

    @property
    def has_tls(self) -> bool:
        """Whether all that is sent is encrypted, also what the sentinels are asked."""
        is_asked_safely = not self.is_sentinel or bool(self.sentinel_kwargs.get("ssl"))
        return is_asked_safely and issubclass(self._pool.connection_class, redis.SSLConnection)

    @property
    def asks_who(self) -> bool:
        """Whether connections name themselves, by a password or a certificate."""
        kwargs = self._pool.connection_kwargs
        names = ("password", "credential_provider", "ssl_certfile")
        return any(kwargs.get(name) for name in names)

    @property
    def names_user(self) -> bool:
        """Whether connections are those of a user of Redis's ACL, or may be."""
        kwargs = self._pool.connection_kwargs
        named = kwargs.get("username") not in (None, "", "default")
        return named or bool(kwargs.get("credential_provider"))

    @property
    def checks_certificate(self) -> bool:
        """Whether TLS makes sure that it is the right Redis, and so for the sentinels."""
        kwargs = [self._pool.connection_kwargs]
        if self.is_sentinel:
            kwargs.append(self.sentinel_kwargs)
        return all(
            each.get("ssl_cert_reqs", "required") in ("required", ssl.CERT_REQUIRED)
            and each.get("ssl_check_hostname", True)
            for each in kwargs
        )

    def _check_options(self, connection_kwargs: Any, sentinel_kwargs: Any) -> None:
        address = self.hosts[0]
        if self.is_sentinel or address.url.startswith("rediss:"):
            kinds: tuple[type, type] = (redis.SSLConnection, redis.asyncio.SSLConnection)
        elif address.url.startswith("unix:"):
            kinds = (redis.UnixDomainSocketConnection, redis.asyncio.UnixDomainSocketConnection)
        else:
            kinds = (redis.Connection, redis.asyncio.Connection)
        allowed = options.names_of(*kinds) - {"host", "port", "path"}
        if self.is_sentinel:
            allowed.add("ssl")
        given = {} if connection_kwargs is None else connection_kwargs
        options.check(given, where="connection_kwargs", allowed=allowed)
        if "socket_timeout" in given:
            options.check_timeout(given["socket_timeout"], "connection_kwargs", SOCKET_TIMEOUT)
        options.check(address.options, where="hosts", allowed=allowed)
        if "socket_timeout" in address.options:
            options.check_timeout(address.options["socket_timeout"], "hosts", SOCKET_TIMEOUT)
        written, where = _options_of(address.url), f"the URL {address.public!r}"
        options.check(written, where=where, allowed=allowed)
        if "socket_timeout" in written:
            options.check_timeout(written["socket_timeout"], where, SOCKET_TIMEOUT)
        if sentinel_kwargs is not None:
            clients = options.names_of(redis.Redis, redis.asyncio.Redis) - {"host", "port"}
            options.check(sentinel_kwargs, where="sentinel_kwargs", allowed=clients)

    def _new_pool(self, library: Any, no_retry: Any) -> Any:
        """A pool of redis-py, of which only the settings of its connections are used."""
        ours = {"retry": no_retry, "protocol": 2, "decode_responses": False}
        kwargs = {**self.kwargs, **ours}
        address = self.hosts[0]
        if self.services is not None:
            kind = Sentinel if library is redis else AsyncSentinel
            sentinel = kind(
                [(each.host, each.port) for each in self.hosts],
                sentinel_kwargs={**self.sentinel_kwargs, "retry": no_retry},
                **kwargs,
            )
            return sentinel.master_for(self.services[0], **kwargs).connection_pool
        kwargs.pop("ssl", None)  # False; what it would be is in the URL.
        if not address.url:
            return library.ConnectionPool(host=address.host, port=address.port, **kwargs)
        if address.url.startswith("unix:"):
            # For TCP; a unix socket's connection refuses them.
            del kwargs["socket_keepalive"], kwargs["socket_keepalive_options"]
        pool = library.ConnectionPool.from_url(address.url, **kwargs)
        # In redis-py what the URL says goes before what it was called with.
        pool.connection_kwargs.update(ours)
        return pool

    def _first_pool(self) -> Any:
        """Make a pool, and a connection of each kind, which connect to nothing: what cannot be
        made is refused now."""
        try:
            pool = self._new_pool(redis, _NO_RETRY)
            _new_connection(pool)
            of_a_loop = _new_connection(self._new_pool(redis.asyncio, _NO_ASYNC_RETRY))
            if getattr(of_a_loop, "ssl_context", None) is not None:
                of_a_loop.ssl_context.get()  # Reads the files of TLS.
            return pool
        except _UNUSABLE as error:
            self.passwords.scrub(error)
            problem = f"{type(error).__name__}: {error}"
        # Not in the handler: what redis-py raised is not kept as the cause.
        raise InvalidChannelLayer(
            f"The options for connections to Redis at {self.describe()} cannot be used "
            f"(connection_kwargs, or hosts, in the layer's CONFIG): {problem}"
        )


def _unnamed(given: Mapping[str, object]) -> dict[str, None]:
    """Options with which a connection does not begin by naming redis-py, unless ``given`` do.

    That would be two round trips, and redis-py would drop the error with which a server greets
    whom it does not let in.
    """
    names = {"driver_info", "lib_name", "lib_version"}
    if names & given.keys():
        return {}
    known = options.names_of(redis.Connection, redis.asyncio.Connection)
    return dict.fromkeys({"driver_info"} & known or names & known)


def _options_of(url: str) -> dict[str, Any]:
    """The options in the query of ``url``, as redis-py reads them."""
    names = parse_qs(urlsplit(url).query)
    if not names:
        return {}
    try:
        found = redis.connection.parse_url(url)  # type: ignore[no-untyped-call]
        return {name: found[name] for name in names}
    except ValueError as error:
        problem = str(error)  # It has the option's name, not its value.
    raise InvalidChannelLayer(f"The URL in hosts of the layer's CONFIG: {problem}")


def _new_connection(pool: Any, **other: Any) -> Any:
    # Not pool.make_connection(): it counts every connection it ever made and refuses the
    # hundred-and-first.
    return pool.connection_class(**{**pool.connection_kwargs, **other})


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
