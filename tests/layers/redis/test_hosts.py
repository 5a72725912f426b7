"""What a project may write in ``hosts``, and what becomes of it. Nothing is connected to."""

import asyncio
from typing import Any

import pytest
import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel

from djchan.exceptions import InvalidChannelLayer
from djchan.layers.redis.engine import RedisEngine
from djchan.layers.redis.hosts import SENTINEL_TIMEOUT, SOCKET_TIMEOUT, Hosts

GOOD: list[tuple[Any, Any, dict[str, Any]]] = [
    (None, redis.Connection, {"host": "localhost", "port": 6379}),
    ([("cache", 6380)], redis.Connection, {"host": "cache", "port": 6380}),
    ([("[::1]", 6380)], redis.Connection, {"host": "::1", "port": 6380}),
    ([["cache", "6380"]], redis.Connection, {"host": "cache", "port": 6380}),
    ([{"address": ("cache", 6380)}], redis.Connection, {"host": "cache", "port": 6380}),
    ([{"address": "redis://cache"}], redis.Connection, {"host": "cache"}),
    (
        [{"address": ("cache", 6380), "db": 8, "password": "pass"}],
        redis.Connection,
        {"host": "cache", "port": 6380, "db": 8, "password": "pass"},
    ),
    ([{"host": "cache", "db": 1}], redis.Connection, {"host": "cache", "port": 6379, "db": 1}),
    ([" REDIS://cache:6380/0\n"], redis.Connection, {"host": "cache", "port": 6380, "db": 0}),
    (
        ["redis://user:pass@cache:6380/2"],
        redis.Connection,
        {"host": "cache", "port": 6380, "db": 2, "username": "user", "password": "pass"},
    ),
    (["redis://[::1]:6380/0"], redis.Connection, {"host": "::1", "port": 6380}),
    (["rediss://cache:6380"], redis.SSLConnection, {"host": "cache", "port": 6380}),
    (
        ["unix:///run/redis.sock?db=3"],
        redis.UnixDomainSocketConnection,
        {"path": "/run/redis.sock", "db": 3},
    ),
]


IDS = [str(hosts) for hosts, _, _ in GOOD]


@pytest.mark.parametrize(("hosts", "kind", "facts"), GOOD, ids=IDS)
def test_what_a_connection_is_made_of(hosts: Any, kind: type, facts: dict[str, Any]):
    connection = Hosts(hosts).connection()

    assert type(connection) is kind
    for fact, value in facts.items():
        assert getattr(connection, fact) == value, fact
    assert connection.socket_timeout == SOCKET_TIMEOUT


@pytest.mark.parametrize(("hosts", "kind", "facts"), GOOD, ids=IDS)
@pytest.mark.asyncio
async def test_what_an_async_connection_is_made_of(hosts: Any, kind: type, facts: dict[str, Any]):
    connection = Hosts(hosts).aconnection()

    assert type(connection).__name__ == kind.__name__
    for fact, value in facts.items():
        assert getattr(connection, fact) == value, fact


def test_connection_kwargs_reach_the_connection():
    connection = Hosts(
        None, connection_kwargs={"socket_timeout": 20, "username": "u", "client_name": "n"}
    ).connection()

    assert (connection.socket_timeout, connection.username) == (20, "u")
    assert connection.client_name == "n"


@pytest.mark.parametrize("hosts", [None, ["redis://cache"]])
def test_what_the_links_rely_on_is_so(hosts: Any):
    connection = Hosts(hosts).connection()

    assert connection.protocol == 2
    assert connection.encoder.decode_responses is False
    assert connection.retry.get_retries() == 0


@pytest.mark.parametrize(
    ("name", "value"), [("protocol", 3), ("decode_responses", True), ("retry_on_timeout", True)]
)
def test_nobody_can_change_what_the_links_rely_on(name: str, value: Any):
    for hosts, kwargs in (
        ([f"redis://cache?{name}={value}"], {}),
        ([{"address": ("cache", 6379), name: value}], {}),
        (None, {name: value}),
    ):
        with pytest.raises(InvalidChannelLayer, match=f"{name} in .* has no effect"):
            Hosts(hosts, connection_kwargs=kwargs)


def test_describe_tells_no_password():
    hosts = Hosts(["redis://user:secret@cache:6380/2?password=secret"])

    assert hosts.describe() == "redis://cache:6380/2"


class TestNoRetryInsideRedisPy:
    """redis-py repeats up to ten times by default what may have been applied."""

    @pytest.mark.parametrize("hosts", [hosts for hosts, _, _ in GOOD], ids=IDS)
    def test_on_a_connection(self, hosts: Any):
        assert Hosts(hosts).connection().retry.get_retries() == 0

    @pytest.mark.parametrize("hosts", [hosts for hosts, _, _ in GOOD], ids=IDS)
    @pytest.mark.asyncio
    async def test_on_an_async_connection(self, hosts: Any):
        assert Hosts(hosts).aconnection().retry.get_retries() == 0

    def test_on_a_connection_to_the_master(self):
        hosts = Hosts(None, services=["main"])
        connection = hosts.connection()

        assert connection.retry.get_retries() == 0
        for sentinel in connection.connection_pool.sentinel_manager.sentinels:
            assert sentinel.connection_pool.make_connection().retry.get_retries() == 0

    @pytest.mark.asyncio
    async def test_on_an_async_connection_to_the_master(self):
        hosts = Hosts(None, services=["main"])
        connection = hosts.aconnection()

        assert connection.retry.get_retries() == 0
        for sentinel in connection.connection_pool.sentinel_manager.sentinels:
            assert sentinel.connection_pool.make_connection().retry.get_retries() == 0


class TestSentinel:
    def test_where_the_sentinels_are(self):
        hosts = Hosts([("one", 26379), ("two", 26380)], services=["main"])
        connection = hosts.connection()

        assert type(connection) is redis.sentinel.SentinelManagedConnection
        kwargs = [
            sentinel.connection_pool.connection_kwargs
            for sentinel in connection.connection_pool.sentinel_manager.sentinels
        ]
        assert [(each["host"], each["port"]) for each in kwargs] == [("one", 26379), ("two", 26380)]
        # A sentinel that is gone must not hold up the one that answers.
        assert {each["socket_timeout"] for each in kwargs} == {SENTINEL_TIMEOUT}
        assert {each["socket_connect_timeout"] for each in kwargs} == {SENTINEL_TIMEOUT}

    def test_sentinel_kwargs_go_to_the_sentinels_only(self):
        connection = Hosts(
            None, services=["main"], sentinel_kwargs={"password": "theirs"}
        ).connection()

        (sentinel,) = connection.connection_pool.sentinel_manager.sentinels
        assert sentinel.connection_pool.connection_kwargs["password"] == "theirs"
        assert connection.password is None

    @pytest.mark.parametrize("services", [[], ["one", "two"]])
    def test_one_master_only(self, services: list[str]):
        with pytest.raises(InvalidChannelLayer, match="services in the layer's CONFIG names one"):
            Hosts(None, services=services)

    def test_a_url_is_not_a_sentinel(self):
        with pytest.raises(InvalidChannelLayer, match="is not a sentinel: give"):
            Hosts(["redis://one"], services=["main"])

    def test_each_event_loop_asks_sentinels_over_connections_of_its_own(self):
        hosts = Hosts(None, services=["main"])

        async def pool() -> Any:
            return hosts.aconnection().connection_pool.sentinel_manager

        with asyncio.Runner() as one, asyncio.Runner() as other:
            assert one.run(pool()) is one.run(pool())
            assert one.run(pool()) is not other.run(pool())


def test_connections_are_not_counted():
    """redis-py's own pool refuses the hundred-and-first that was ever made."""
    hosts = Hosts(None)

    assert len([hosts.connection() for _ in range(300)]) == 300


@pytest.mark.parametrize("prefix", ["", "a{b", "a}b", b"bytes", None])
def test_a_prefix_is_text_without_braces(prefix: Any):
    with pytest.raises(InvalidChannelLayer, match="prefix in the layer's CONFIG"):
        RedisEngine(prefix=prefix)
