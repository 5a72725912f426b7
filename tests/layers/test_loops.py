"""What belongs to an event loop, and ends with it."""

import asyncio
from contextlib import aclosing

from djchan.layers.loops import PerLoop


class Thing:
    def __init__(self) -> None:
        self.ended = 0

    async def end(self) -> None:
        self.ended += 1


def test_each_loop_has_its_own_which_ends_with_the_loop() -> None:
    things = PerLoop(Thing, Thing.end)

    async def use() -> Thing:
        assert things.peek() is None
        thing = things.get()
        assert things.get() is thing is things.peek()
        return thing

    first, second = asyncio.run(use()), asyncio.run(use())

    assert first is not second
    assert (first.ended, second.ended, len(things)) == (1, 1, 0)


def test_a_loop_that_has_ended_its_own_gets_another_one() -> None:
    things = PerLoop(Thing, Thing.end)

    async def use() -> list[Thing]:
        await things.end()  # There is none yet.
        first = things.get()
        await things.end()
        await things.end()
        assert (first.ended, things.peek()) == (1, None)
        return [first, things.get()]

    first, second = asyncio.run(use())

    assert first is not second
    assert (first.ended, second.ended) == (1, 1)


def test_one_that_is_made_while_the_loop_ends_ends_too() -> None:
    things = PerLoop(Thing, Thing.end)
    made: list[Thing] = []

    async def late():
        try:
            yield
        finally:
            made.append(things.get())

    async def use() -> None:
        things.get()
        async with aclosing(late()) as generator:
            await anext(generator)

    asyncio.run(use())
    assert [thing.ended for thing in made] == [1]


def test_a_loop_that_was_closed_without_its_end_is_forgotten() -> None:
    things = PerLoop(Thing, Thing.end)
    loop = asyncio.new_event_loop()

    async def use() -> Thing:
        return things.get()

    left = loop.run_until_complete(use())
    loop.close()
    assert len(things) == 1
    asyncio.run(use())

    assert (len(things), left.ended) == (0, 0)
