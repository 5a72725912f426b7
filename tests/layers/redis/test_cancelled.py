"""Commands that are cancelled between question and answer: no answer reaches another question.

redis-py's CVE-2023-28858: the answer to a cancelled command stays on its connection, and
whoever asks next on it gets it.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from djchan.exceptions import BrokerError
from djchan.layers.operations import GroupAddChannel, Length, Members, Push, Send
from djchan.layers.redis import async_links, idle
from djchan.layers.redis.async_links import RedisAsyncLink
from djchan.layers.redis.engine import RedisEngine
from djchan.layers.redis.layer import RedisChannelLayer
from tests.support.servers import Server

pytestmark = [pytest.mark.timeout(40), pytest.mark.asyncio]

ROUNDS = 400
CHANNELS = 8


@pytest_asyncio.fixture
async def link(broker: Server) -> AsyncIterator[RedisAsyncLink]:
    """To a layer where the channel c3 holds three messages, and the group g3 the channel c3."""
    engine = RedisEngine([broker.url], prefix="cancelled")
    sync = engine.link("setup")
    for number in range(CHANNELS):
        name = f"c{number}"
        sync.perform(Send("", 0, (GroupAddChannel(f"g{number}", name),)))
        for _ in range(number):
            sync.perform(Send("", 0, (Push(name, b"x"),)))
    sync.close()
    link = engine.alink("test")
    assert isinstance(link, RedisAsyncLink)
    yield link
    await link.aclose()


async def questions(link: RedisAsyncLink, number: int) -> None:
    """Two questions in one batch, whose answers only they can have."""
    length, members = await link.perform(Length(f"c{number}"), Members(f"g{number}"))
    assert (length, members) == (number, ((), (f"c{number}",)))


async def until_asked(link: RedisAsyncLink, monkeypatch: Any) -> asyncio.Event:
    """An event that is set when a command has been written and its answer is awaited."""
    await link.perform(Length("c0"))
    asked = asyncio.Event()
    plain = type(link._connection).read_response

    async def read_response(*args: Any, **options: Any) -> Any:
        asked.set()
        await asyncio.sleep(0)
        return await plain(*args, **options)

    monkeypatch.setattr(type(link._connection), "read_response", read_response)
    return asked


async def test_cancelled_exactly_between_question_and_answer(
    link: RedisAsyncLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = await until_asked(link, monkeypatch)
    for number in range(100):
        asked.clear()
        task = asyncio.create_task(questions(link, number % CHANNELS))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await questions(link, (number + 1) % CHANNELS)


async def test_without_closing_the_connection_the_answers_would_be_anothers(
    link: RedisAsyncLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: this is the hole."""
    asked = await until_asked(link, monkeypatch)

    async def stay_open(self: RedisAsyncLink, *, nowait: bool = True) -> None:
        pass

    monkeypatch.setattr(async_links.RedisAsyncLink, "_close", stay_open)
    # A look at the idle connection would find the answer that nobody read.
    monkeypatch.setattr(link, "_probe", idle.Probe(bool, bool))
    asked.clear()
    task = asyncio.create_task(questions(link, 3))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(AssertionError):
        await questions(link, 5)
    monkeypatch.undo()


async def test_cancelled_at_any_moment(link: RedisAsyncLink) -> None:
    await link.perform(Length("c0"))
    done = cancelled = 0
    for number in range(ROUNDS):
        tasks = [
            asyncio.create_task(questions(link, (number + step) % CHANNELS)) for step in range(3)
        ]
        for _ in range(random.randrange(6)):
            await asyncio.sleep(0)
        if number % 2:
            await asyncio.sleep(random.random() * 0.0005)
        victim = random.choice(tasks)
        victim.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, asyncio.CancelledError):
                cancelled += 1
            else:
                assert result is None, result
                done += 1
    assert cancelled > ROUNDS / 10 and done > ROUNDS


async def test_timed_out_at_any_moment(link: RedisAsyncLink) -> None:
    late = 0
    for number in range(ROUNDS // 2):
        try:
            async with asyncio.timeout(random.random() * 0.0008):
                await questions(link, number % CHANNELS)
        except TimeoutError:
            late += 1
        await questions(link, (number + 3) % CHANNELS)
    assert late > 0


async def test_messages_of_a_layer_whose_callers_are_cancelled(broker: Server) -> None:
    """The same, where projects stand: asend and areceive, cancelled at random."""
    layer = RedisChannelLayer(hosts=[broker.url], prefix="cancelled-layer", capacity=10_000)
    received = late = 0

    async def user(number: int, end: float) -> None:
        nonlocal received, late
        loop = asyncio.get_running_loop()
        channel = f"of-user-{number}"
        while loop.time() < end:
            try:
                # Too short for any machine now and then, for a fast one too.
                async with asyncio.timeout(random.choice((random.random() / 1000, 5, 5, 5))):
                    await layer.asend(channel, {"owner": number})
                    found, message = await layer.areceive([channel])
                    assert (found, message) in ((channel, {"owner": number}), (None, None))
                    received += found is not None
            except (TimeoutError, BrokerError):
                late += 1

    end = asyncio.get_running_loop().time() + 1.5
    try:
        await asyncio.gather(*(user(number, end) for number in range(6)))
        await layer.aflush()
    finally:
        await layer.aclose()
    assert received > 50 and late > 5
