"""Servers that greet with an error, or are no Redis, from the start or later: what is raised."""

import asyncio
import select
import socket
import threading

import pytest

from djchan.exceptions import BrokerUnavailable
from djchan.layers.operations import Length
from djchan.layers.redis.engine import RedisEngine
from tests.support.servers import Server

# What listens where Redis is looked for -> the words.
GREETINGS = [
    (b"-DENIED Redis is running in protected mode because ...\r\n", "is in protected mode"),
    (b"-ERR max number of clients reached\r\n", "takes no more connections .*maxclients"),
    (b"-LOADING Redis is loading the dataset in memory\r\n", "is still loading"),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not answer like a Redis .*check the port"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", "does not answer like a Redis"),
    (b"\x15\x03\x01\x00\x02\x02\x46", "speaks only TLS .*rediss://"),
]


class Greeter:
    """A server that sends ``greeting`` to whoever connects, and closes the connection."""

    def __init__(self, greeting: bytes) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._greeting = greeting
        self.url = f"redis://127.0.0.1:{self._listening.getsockname()[1]}/0"
        self._thread = threading.Thread(target=self._greet)
        self._thread.start()

    def _greet(self) -> None:
        client, _ = self._listening.accept()
        with client:
            client.sendall(self._greeting)
            client.shutdown(socket.SHUT_WR)
            while client.recv(4096):
                """Until the other side has given up."""

    def close(self) -> None:
        self._thread.join(5)
        self._listening.close()


@pytest.mark.parametrize("how", ["thread", "loop"])
@pytest.mark.parametrize(("greeting", "words"), GREETINGS)
def test_the_error_that_a_server_greets_with_is_what_is_raised(
    request: pytest.FixtureRequest, greeting: bytes, words: str, how: str
):
    greeter = Greeter(greeting)
    request.addfinalizer(greeter.close)
    engine = RedisEngine([greeter.url])

    async def on_loop() -> None:
        link = engine.alink("test")
        try:
            await link.perform(Length("x"))
        finally:
            await link.aclose()

    with pytest.raises(BrokerUnavailable, match=words) as raised:
        if how == "loop":
            asyncio.run(on_loop())
        else:
            engine.link("test").perform(Length("x"))
    assert not raised.value.sent


class Garbler:
    """Between a link and Redis; while ``on``, whatever is asked is answered with garbage."""

    def __init__(self, port: int) -> None:
        self.on = False
        self._port = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listening.getsockname()[1]}/0"
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        with self._listening:
            while True:
                client, _ = self._listening.accept()
                with client, socket.create_connection(("127.0.0.1", self._port)) as redis:
                    if not self._carry(client, redis):
                        return

    def _carry(self, client: socket.socket, redis: socket.socket) -> bool:
        """Until the client leaves. False: it was ``close``."""
        while True:
            ready, _, _ = select.select([client, redis], [], [])
            if client in ready:
                asked = client.recv(65536)
                if asked in (b"", b"end"):
                    return asked == b""
                if self.on:
                    client.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
                    continue
                redis.sendall(asked)
            if redis in ready:
                client.sendall(redis.recv(65536))

    def close(self) -> None:
        with socket.create_connection(self._listening.getsockname()) as end:
            end.sendall(b"end")
            self._thread.join(5)


@pytest.mark.parametrize("how", ["thread", "loop"])
def test_garbage_in_the_middle_is_an_answer_that_was_lost(
    request: pytest.FixtureRequest, broker: Server, how: str
):
    garbler = Garbler(broker.port)
    request.addfinalizer(garbler.close)
    engine = RedisEngine([garbler.url])

    def in_thread() -> None:
        link = engine.link("test")
        assert link.perform(Length("x")) == [0]
        garbler.on = True
        with pytest.raises(BrokerUnavailable, match="does not answer like a Redis") as raised:
            link.perform(Length("x"))
        assert raised.value.sent
        garbler.on = False
        assert link.perform(Length("x")) == [0]
        link.close()

    async def on_loop() -> None:
        link = engine.alink("test")
        assert await link.perform(Length("x")) == [0]
        garbler.on = True
        with pytest.raises(BrokerUnavailable, match="does not answer like a Redis") as raised:
            await link.perform(Length("x"))
        assert raised.value.sent
        garbler.on = False
        assert await link.perform(Length("x")) == [0]
        await link.aclose()

    if how == "loop":
        asyncio.run(on_loop())
    else:
        in_thread()
