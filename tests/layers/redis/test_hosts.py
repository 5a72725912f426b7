"""What a project may write in ``hosts``, and what becomes of it. Nothing is connected to."""

import asyncio
import ssl
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


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        ("redis://cache", "not a text that begins with 'redis://'"),
        ([], "is a list of URLs"),
        ({"cache": 6379}, "is a list of URLs .* not a dict with the keys cache"),
        (7, "is a list of URLs .* not a value of type int"),
        (["http://cache"], "a text that begins with 'http://' in hosts is not a server"),
        (["cache:6379"], "a text without a scheme in hosts is not a server: give redis://"),
        ([("cache",)], r"a tuple \(str\) in hosts is not a server"),
        ([("cache", "six")], "is not a server"),
        ([("cache", 70000)], "is not a server"),
        ([(6379, "cache")], "is not a server"),
        ([("u:p@cache", 6379)], "is not a server"),
        ([b"redis://cache"], "a value of type bytes in hosts is not a server"),
        ([None], "a value of type NoneType"),
        ([{"port": 6379}], "a dict with the keys port in hosts is not a server"),
        (["redis://cache:six/0"], "URL in hosts .* has a host or port that cannot be read"),
        (["redis://cache:0/0"], "has port 0"),
        (["redis://[::1/0"], "has a host or port that cannot be read"),
        (["redis://:pass/0"], "has a host or port that cannot be read"),
        (["redis://user@/0"], "has no host"),
        (["redis://cache/mine"], "has a database that is no number"),
        (["redis://:p#w@cache/0"], "has # anywhere, or @ behind its path.*percent-encoded"),
        (["redis://:p?w@cache/0"], "has # anywhere, or @ behind its path"),
        (["redis://:p/w@cache/0"], "has # anywhere, or @ behind its path"),
        (["unix://"], "has no path of a socket"),
        (["redis://cache?socket_keepalive=1&socket_timeout=x"], "Invalid value for 'socket_time"),
        (["redis://cache?virtual_host=x"], "'virtual_host' in the URL 'redis://cache' is no"),
        (["rediss://cache?ssl_cert_reqs=CERT_NONE"], "ssl_cert_reqs in .* is one of 'none'"),
        ([{"address": "redis://cache", "nonsense": 1}], "'nonsense' in hosts is no option"),
        (["redis://one", "redis://two"], "names 2 servers, but a layer lives on one"),
    ],
    ids=str,
)
def test_refused_in_words(hosts: Any, words: str):
    with pytest.raises(InvalidChannelLayer, match=words):
        Hosts(hosts)


@pytest.mark.parametrize("timeout", [0.5, 5])
def test_a_timeout_that_a_waiting_read_would_meet_is_refused(timeout: float):
    with pytest.raises(InvalidChannelLayer, match="socket_timeout in connection_kwargs is"):
        Hosts(None, connection_kwargs={"socket_timeout": timeout})
    with pytest.raises(InvalidChannelLayer, match="socket_timeout in the URL 'redis://cache'"):
        Hosts([f"redis://u:secret@cache?socket_timeout={timeout}"])


def test_connection_kwargs_reach_the_connection():
    connection = Hosts(
        None, connection_kwargs={"socket_timeout": 20, "username": "u", "client_name": "n"}
    ).connection()

    assert (connection.socket_timeout, connection.username) == (20, "u")
    assert connection.client_name == "n"


@pytest.mark.parametrize(
    "hosts", [None, ["redis://cache?protocol=3&decode_responses=true&retry_on_timeout=true"]]
)
def test_nobody_can_change_what_the_links_rely_on(hosts: Any):
    connection = Hosts(
        hosts,
        connection_kwargs={"protocol": 3, "decode_responses": True, "retry_on_timeout": True},
    ).connection()

    assert connection.protocol == 2
    assert connection.encoder.decode_responses is False
    assert connection.retry.get_retries() == 0


BAD_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"ssl": True}, "ssl in connection_kwargs has no effect .* write rediss://"),
    ({"max_conections": 10}, "'max_conections' in connection_kwargs is no option"),
    ({"max_connections": 10}, "max_connections in connection_kwargs has no effect: djchan makes"),
    ({"parser_class": object}, "parser_class in connection_kwargs has no effect"),
    ({"socket_timout": 20}, "is socket_timeout meant"),
    ({"socket_timeout": "30"}, "socket_timeout in connection_kwargs is a number of seconds"),
    ({"socket_timeout": True}, "is a number of seconds, or None, not True"),
    ({"socket_timeout": float("nan")}, "is a number of seconds, or None, not nan"),
    ({"socket_connect_timeout": -1}, "socket_connect_timeout in .* is a number of seconds"),
    ({"health_check_interval": "30"}, "health_check_interval in .* is a number of seconds; 0"),
    ({"health_check_interval": None}, "health_check_interval in .* is a number of seconds; 0"),
    ({"db": "mine"}, "db in connection_kwargs is the number of a database"),
    ({"db": -1}, "db in connection_kwargs is the number of a database"),
    ({"socket_keepalive": "yes"}, "socket_keepalive in connection_kwargs is True or False"),
    ({"username": 7}, "username in connection_kwargs is a text, or None, not a int"),
    ({"password": ["S3CRET"]}, "password in connection_kwargs is a text, or None, not a list"),
    ({"password": "S3CRET", "credential_provider": 7}, "cannot be used"),
    ({"ssl_certfile": "/nowhere"}, "'ssl_certfile' in connection_kwargs is no option"),
]


@pytest.mark.parametrize(("kwargs", "words"), BAD_OPTIONS, ids=str)
def test_an_option_that_cannot_be_used_is_refused_when_settings_are_read(
    kwargs: dict[str, Any], words: str
):
    with pytest.raises(InvalidChannelLayer, match=words) as caught:
        Hosts(None, connection_kwargs=kwargs)

    assert "S3CRET" not in str(caught.value)


@pytest.mark.parametrize("kwargs", ["S3CRET", ["S3CRET"], 7])
@pytest.mark.parametrize("where", ["connection_kwargs", "sentinel_kwargs"])
def test_options_are_a_dict(kwargs: Any, where: str):
    with pytest.raises(InvalidChannelLayer, match=f"{where} is a dict of options") as caught:
        Hosts(None, services=["main"], **{where: kwargs})

    assert "S3CRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"ssl_certfile": "/nowhere"}, "cannot be used .*(No such file|FileNotFound)"),
        ({"ssl_ca_certs": "/nowhere"}, "cannot be used .*(No such file|FileNotFound)"),
        ({"ssl_ca_certs": __file__}, "cannot be used"),
        ({"ssl_ciphers": "nonsense"}, "cannot be used"),
        ({"ssl_cert_reqs": "CERT_NONE"}, "ssl_cert_reqs in connection_kwargs is one of 'none'"),
        ({"ssl_check_hostname": "no"}, "ssl_check_hostname in connection_kwargs is True or False"),
    ],
    ids=str,
)
def test_what_is_wrong_with_tls_is_found_when_settings_are_read(kwargs: Any, words: str):
    with pytest.raises(InvalidChannelLayer, match=words):
        Hosts(["rediss://cache"], connection_kwargs=kwargs)


def test_what_tls_takes_is_taken():
    for value in (None, "none", "optional", "required", ssl.CERT_NONE):
        assert Hosts(["rediss://cache"], connection_kwargs={"ssl_cert_reqs": value}).has_tls
    assert Hosts(None, services=["main"], connection_kwargs={"ssl": True}).has_tls
    assert not Hosts(None, connection_kwargs={"ssl": False}).has_tls


def test_options_of_sentinels_are_those_of_a_client():
    Hosts(None, services=["main"], sentinel_kwargs={"ssl": True, "username": "u"})
    with pytest.raises(InvalidChannelLayer, match="'nonsense' in sentinel_kwargs is no option"):
        Hosts(None, services=["main"], sentinel_kwargs={"nonsense": 1})
    with pytest.raises(InvalidChannelLayer, match="give them once for all sentinels"):
        Hosts([{"address": ("one", 26379), "password": "S3CRET"}], services=["main"])


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
