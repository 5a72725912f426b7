"""The private servers do what the tests rely on."""

from collections.abc import Callable

from tests.support.servers import Server


def test_a_broker_is_empty_and_keeps_its_address(broker: Server) -> None:
    assert broker.command("DBSIZE") == b":0\r\n"
    url = broker.url
    assert broker.command("SET", "key", "value") == b"+OK\r\n"
    broker.restart()
    assert broker.url == url
    assert broker.command("DBSIZE") == b":0\r\n"


def test_a_broker_that_a_test_has_stopped_is_started_for_the_next(
    redis_server: Server,
) -> None:
    redis_server.stop()
    assert not redis_server.running()
    redis_server.start()
    assert redis_server.command("PING") == b"+PONG\r\n"


def test_a_durable_server_keeps_what_it_acknowledged(start_server: Callable[..., Server]) -> None:
    server = start_server("redis", durable=True)
    assert server.command("SET", "key", "value") == b"+OK\r\n"
    server.kill()
    server.start()
    assert server.command("GET", "key") == b"$5\r\nvalue\r\n"


def test_a_paused_server_can_be_removed(own_broker: Server) -> None:
    own_broker.pause()


def test_options_reach_the_server(start_server: Callable[..., Server]) -> None:
    server = start_server("redis", "--requirepass", "secret")
    assert server.command("PING").startswith(b"-NOAUTH")
    assert server.socket.is_socket()
