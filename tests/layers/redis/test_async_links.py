"""Connections of an event loop to a real Redis and a real Valkey. The rest is in test_links."""

import asyncio
import random
from collections.abc import Callable

import pytest

from djchan.exceptions import BrokerUnavailable, BrokerUnsupported
from djchan.layers.operations import (
    Beat,
    Length,
    Pop,
    Push,
    Reap,
    Register,
    Ring,
    Send,
    Sent,
    Tell,
    Wait,
)
from djchan.layers.redis import async_links
from djchan.layers.redis.engine import RedisEngine
from tests.support.servers import Server
from tests.support.waiting import free_port


def push(channel: str = "a", payload: bytes = b"x") -> Send:
    return Send("", 0, (Push(channel, payload),))


@pytest.fixture
def engine(broker: Server) -> RedisEngine:
    return RedisEngine([broker.url], prefix="links")


class TestServerThatGoes:
    @pytest.mark.asyncio
    async def test_the_next_call_connects_again(self, own_broker: Server):
        engine = RedisEngine([own_broker.url])
        link, reader = engine.alink("test"), engine.inbox("P")
        await link.perform(Register("P", "interface", b""))
        reading = asyncio.ensure_future(reader.read("0-0", trim=False))
        while not reader.client_id():
            await asyncio.sleep(0.01)
        own_broker.kill()

        with pytest.raises(BrokerUnavailable, match="Check that it runs"):
            await reading
        with pytest.raises(BrokerUnavailable):
            await link.perform(Length("a"))

        own_broker.start()
        assert (await link.perform(push(), Length("a")))[1] == 1
        await link.perform(Register("P", "interface", b""), Send("", 0, (Tell("P", b"hi"),)))
        assert [entry for _, entry in await reader.read("0-0", trim=False)] == [b"hi"]
        await link.aclose()
        await reader.aclose()

    @pytest.mark.asyncio
    async def test_a_server_that_is_silent_is_not_waited_for_without_end(self, own_broker: Server):
        link = RedisEngine([own_broker.url], connection_kwargs={"socket_timeout": 5.1}).alink("x")
        await link.perform(Length("a"))
        own_broker.pause()

        async with asyncio.timeout(10):
            with pytest.raises(BrokerUnavailable):
                await link.perform(Length("a"))

        own_broker.resume()
        assert await link.perform(Length("a")) == [0]
        await link.aclose()


class TestInterruptedReading:
    """What is left in a connection belongs to somebody else's question (CVE-2023-28858)."""

    @pytest.mark.asyncio
    async def test_a_cancelled_call_leaves_its_answer_to_nobody(self, engine: RedisEngine):
        link, other = engine.alink("test"), engine.alink("other")
        waiting = asyncio.ensure_future(link.perform(Wait("bell", 5)))
        while not link.client_id():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)

        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await other.perform(Ring(("bell",)))

        assert await link.perform(Length("nothing")) == [0]
        await link.aclose()
        await other.aclose()

    @pytest.mark.asyncio
    async def test_cancelled_anywhere_every_answer_is_of_its_own_question(
        self, engine: RedisEngine
    ):
        link = engine.alink("test")
        lot = random.Random(28858)

        async def ask(number: int) -> None:
            """A question of which the number is in the answer."""
            (sent,) = await link.perform(Send("", 0, (Tell("nobody", b""),) * number))
            assert sent == Sent(("gone",) * number)

        async def one(number: int) -> bool:
            task = asyncio.ensure_future(ask(number))
            # The number of turns of the loop decides where in its work it is met.
            for _ in range(lot.randrange(12)):
                await asyncio.sleep(0)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                return False
            return True

        for number in range(1, 120):
            await one(number)
            await ask(lot.randrange(1, 9))
        answered = await asyncio.gather(*(one(lot.randrange(1, 30)) for _ in range(60)))
        await asyncio.gather(*(ask(number) for number in range(1, 40)))

        assert not all(answered)
        await link.aclose()

    @pytest.mark.asyncio
    async def test_calls_that_overlap_get_their_own_answers(self, engine: RedisEngine):
        link = engine.alink("test")

        answers = await asyncio.gather(
            *(link.perform(Send("", 0, (Push("a", b""),) * n), Length("a")) for n in range(1, 30))
        )

        assert [len(sent.results) for sent, _ in answers] == list(range(1, 30))
        assert answers[-1][1] == sum(range(1, 30))
        await link.aclose()


@pytest.mark.asyncio
async def test_scripts_that_are_gone_are_loaded_again(broker: Server, engine: RedisEngine):
    link = engine.alink("test")
    await link.perform(push())

    broker.command("SCRIPT", "FLUSH", "SYNC")
    await link.perform(push(), push())

    assert await link.perform(Length("a")) == [3]
    await link.aclose()


@pytest.mark.asyncio
async def test_a_server_that_throws_keys_away_is_refused(start_server: Callable[..., Server]):
    server = start_server("redis", "--maxmemory-policy", "allkeys-random")

    with pytest.raises(BrokerUnsupported, match="allkeys-random"):
        await RedisEngine([server.url]).alink("test").perform(Length("a"))


@pytest.mark.asyncio
async def test_a_server_that_became_a_replica_is_left(own_broker: Server):
    link = RedisEngine([own_broker.url]).alink("test")
    await link.perform(push())
    own_broker.command("REPLICAOF", "127.0.0.1", str(free_port()))

    with pytest.raises(BrokerUnavailable, match=r"not the master.*read only replica"):
        await link.perform(Length("a"), push())
    assert link.client_id() == ""

    own_broker.command("REPLICAOF", "NO", "ONE")
    assert await link.perform(push()) == [Sent(("ok",))]
    await link.aclose()


@pytest.mark.asyncio
async def test_a_connection_notices_a_restart(start_server: Callable[..., Server]):
    server = start_server("redis", durable=True)
    link = RedisEngine([server.url]).alink("test")
    await link.perform(Register("P", "interface", b""))
    server.kill()
    server.start()

    assert await link.perform(Beat("P")) == [None]
    await link.aclose()


@pytest.mark.asyncio
async def test_a_pop_gives_up_in_time(engine: RedisEngine):
    link = engine.alink("test")

    async with asyncio.timeout(3):
        assert await link.perform(Pop(("a",), 0.2)) == [None]

    assert await link.exchange([("EXISTS", "{links}1:idle:a")]) == [0]
    await link.aclose()


@pytest.mark.asyncio
class TestInbox:
    async def test_an_entry_stays_until_it_was_applied(self, engine: RedisEngine):
        link, reader = engine.alink("test"), engine.inbox("P")
        await link.perform(
            Register("P", "interface", b""),
            Send("", 0, (Tell("P", b"1"), Tell("P", b"2"))),
        )

        first = await reader.read("0-0", trim=False)
        again = await reader.read("0-0", trim=False)
        assert first == again
        assert [entry for _, entry in first] == [b"1", b"2"]

        await link.perform(Send("", 0, (Tell("P", b"3"),)))
        assert [entry for _, entry in await reader.read(first[-1][0], trim=True)] == [b"3"]
        assert await link.exchange([("XLEN", "{links}1:in:P")]) == [1]
        await link.aclose()
        await reader.aclose()

    async def test_one_that_is_empty_still_says_that_the_process_lives(self, engine: RedisEngine):
        link, reader = engine.alink("test"), engine.inbox("P")
        await link.perform(Register("P", "interface", b""))

        assert await link.perform(Send("", 0, (Tell("P", b"1"),))) == [Sent(("ok",))]
        ((cursor, _),) = await reader.read("0-0", trim=False)
        reading = asyncio.ensure_future(reader.read(cursor, trim=True))
        async with asyncio.timeout(5):
            while await link.exchange([("XLEN", "{links}1:in:P")]) != [0]:
                await asyncio.sleep(0.01)
        assert await link.perform(Send("", 0, (Tell("P", b"2"),))) == [Sent(("ok",))]
        assert [entry for _, entry in await reading] == [b"2"]

        await link.perform(Reap("P", None))
        assert await link.perform(Send("", 0, (Tell("P", b"3"),))) == [Sent(("gone",))]
        await link.aclose()
        await reader.aclose()

    async def test_reading_waits_for_the_first_entry(
        self, engine: RedisEngine, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(async_links, "READ_BLOCK", 0.1)
        link, reader = engine.alink("test"), engine.inbox("P")
        await link.perform(Register("P", "interface", b""))

        assert await reader.read("0-0", trim=False) == []
        await link.aclose()
        await reader.aclose()
