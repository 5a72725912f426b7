"""The proxy loses answers to what was done, and does the rest it is told."""

import time
from collections.abc import Iterator

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.chaos.proxy import Proxy
from tests.support.servers import Server
from tests.support.waiting import wait_for


@pytest.fixture
def proxy(redis_server: Server) -> Iterator[Proxy]:
    redis_server.start()
    redis_server.flush()
    proxy = Proxy(redis_server.port, seed=1)
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture
def client(proxy: Proxy) -> Iterator[redis.Redis]:
    with redis.Redis(
        port=proxy.port,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=3,
        single_connection_client=True,
    ) as client:
        client.ping()
        yield client


def test_it_passes_things_on(client: redis.Redis) -> None:
    client.set("key", "v" * 300_000)
    assert client.get("key") == b"v" * 300_000


def test_an_answer_is_lost_after_the_request_was_applied(
    proxy: Proxy, client: redis.Redis, redis_server: Server
) -> None:
    proxy.lose(b"INCR")
    client.set("other", 1)
    with pytest.raises(redis.ConnectionError):
        client.incr("counter")
    assert redis_server.command("GET", "counter") == b"$1\r\n1\r\n"
    assert client.incr("counter") == 2
    assert proxy.lost == 1 and proxy.disarm() == 0


def test_the_answer_to_a_blocking_request_is_waited_for(
    proxy: Proxy, client: redis.Redis, redis_server: Server
) -> None:
    proxy.lose(b"LPOP")
    redis_server.command("RPUSH", "list", "a", "b")
    with pytest.raises(redis.ConnectionError):
        client.blpop(["list"], timeout=2)
    assert redis_server.command("LLEN", "list") == b":1\r\n"


def test_a_short_answer_is_not_lost_where_a_long_one_is_wanted(
    proxy: Proxy, client: redis.Redis
) -> None:
    client.set("key", "v" * 100)
    proxy.lose(b"GET", least=50)
    assert client.get("none") is None
    with pytest.raises(redis.ConnectionError):
        client.get("key")
    assert client.get("key") == b"v" * 100


def test_disarmed_it_loses_no_more(proxy: Proxy, client: redis.Redis) -> None:
    proxy.lose(b"GET", 3)
    assert proxy.disarm() == 3
    client.get("none")
    assert proxy.lost == 0


def test_lossy_loses_some(proxy: Proxy, client: redis.Redis) -> None:
    proxy.lossy(0.3)
    answered = 0
    for _ in range(60):
        try:
            client.incr("counter")
        except redis.ConnectionError:
            continue
        answered += 1
    assert proxy.disarm() == 0
    # Not only those of INCR: connecting asks things, too.
    assert proxy.lost > 5 and 5 < answered < 55
    assert answered < int(client.get("counter") or 0)


def test_cut_and_refuse(proxy: Proxy, client: redis.Redis) -> None:
    proxy.cut()
    with pytest.raises(redis.ConnectionError):
        client.ping()
    assert client.ping()
    proxy.refuse(True)
    for _ in range(2):
        with pytest.raises(redis.ConnectionError):
            client.ping()
    proxy.refuse(False)
    assert client.ping()


def test_hold_and_slow(proxy: Proxy, client: redis.Redis) -> None:
    proxy.slow(0.1)
    began = time.monotonic()
    assert client.ping()
    assert time.monotonic() - began >= 0.2
    proxy.slow(0)
    proxy.hold()
    client.connection.send_command("SET", "held", "1")  # type: ignore[union-attr]
    assert not client.connection.can_read(timeout=0.2)  # type: ignore[union-attr]
    proxy.release()
    wait_for(
        lambda: client.connection.can_read(timeout=0.1),  # type: ignore[union-attr]
        timeout=5,
        what="the answer passes",
    )
    assert client.connection.read_response() == b"OK"  # type: ignore[union-attr]


def test_without_a_server_there_is_no_connection(proxy: Proxy) -> None:
    proxy.target = 1
    client = redis.Redis(port=proxy.port, retry=Retry(NoBackoff(), 0))
    with client, pytest.raises(redis.ConnectionError):
        client.ping()
