"""Twenty sockets with sixteen frames in flight each, three workers: every reply in order."""

import asyncio

import pytest
from websockets.asyncio.client import connect

from tests.processes.conftest import Project

pytestmark = pytest.mark.timeout(60)

SOCKETS, WINDOW, FRAMES = 20, 16, 200


async def pipeline(url: str) -> list[str]:
    """Send FRAMES frames, WINDOW of them ahead of the replies; the replies as they came."""
    replies: list[str] = []
    async with connect(url, compression=None) as client:
        for number in range(FRAMES):
            await client.send(str(number))
            if number >= WINDOW:
                replies.append(str(await asyncio.wait_for(client.recv(), 10)))
        while len(replies) < FRAMES:
            replies.append(str(await asyncio.wait_for(client.recv(), 10)))
    return replies


@pytest.mark.asyncio
async def test_replies_of_each_socket_come_in_order(project: Project) -> None:
    server = project.daphne()
    for _ in range(3):
        project.worker()
    url = f"ws://127.0.0.1:{server.port}/echo/"
    for replies in await asyncio.gather(*(pipeline(url) for _ in range(SOCKETS))):
        assert replies == [str(number) for number in range(FRAMES)]
