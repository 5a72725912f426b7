"""A body of Daphne's on its way to an application that is none of ours."""

import asyncio

import pytest

from djchan.interface.http import CHUNK
from djchan.interface.spool import Spool, Storage
from djchan.interface.uploads import KEY, hand_over

SCOPE = {"type": "http"}


@pytest.fixture
def room():
    return Storage(memory=0, disk=10 * CHUNK)


def body_of(room, size):
    spool = Spool(room, inline=0)
    spool.write(bytes(size))
    return spool


async def run(application, spool, *events, scope=SCOPE):
    queue = asyncio.Queue()
    call = hand_over(application, lambda scope, send: spool)(scope, queue.get, None)
    for event in events:  # As Daphne: after the call, before it runs.
        queue.put_nowait(event)
    await call


EMPTY = {"type": "http.request", "body": b"", "more_body": False}
GONE = {"type": "http.disconnect"}


@pytest.mark.asyncio
async def test_it_reads_chunk_by_chunk_as_it_asks(room):
    seen = []

    async def application(scope, receive, send):
        while (event := await receive())["type"] == "http.request":
            seen.append((len(event["body"]), event["more_body"]))

    await run(application, body_of(room, 2 * CHUNK + 1), EMPTY, GONE)

    assert seen == [(CHUNK, True), (CHUNK, True), (1, False)]
    assert room.disk == 0, "closed with the call"


@pytest.mark.asyncio
async def test_a_client_that_has_left_is_told_first(room):
    seen = []

    async def application(scope, receive, send):
        seen.append(await receive())

    await run(application, body_of(room, CHUNK), GONE)

    assert seen == [GONE]


@pytest.mark.asyncio
async def test_whoever_claims_the_body_closes_it(room):
    async def application(scope, receive, send):
        scope["extensions"][KEY].claimed = True
        assert [await receive(), await receive()] == [EMPTY, GONE]

    spool = body_of(room, CHUNK)
    await run(application, spool, EMPTY, GONE)

    assert not spool.closed
    spool.close()


@pytest.mark.asyncio
async def test_a_call_without_a_body_is_the_applications_own(room):
    async def application(scope, receive, send):
        assert scope is SCOPE
        assert await receive() == EMPTY

    await run(application, None, EMPTY)
