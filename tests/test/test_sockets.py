"""Real sockets over a layer with faults: nothing of theirs is lost, doubled or out of order."""

import asyncio
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.processes.conftest import Project
from tests.support.processes import Processes
from tests.support.servers import Server

pytestmark = pytest.mark.timeout(60)

SOCKETS, FRAMES = 10, 60


async def talk(url: str) -> list[str]:
    """Send all frames, then read as many replies."""
    async with connect(url, compression=None) as client:
        for number in range(FRAMES):
            await client.send(str(number))
        return [str(await asyncio.wait_for(client.recv(), 20)) for _ in range(FRAMES)]


@pytest.mark.asyncio
async def test_each_socket_gets_each_reply_once_and_in_order(
    own_broker: Server, processes: Processes, tmp_path: Path
) -> None:
    project = Project(processes, own_broker, tmp_path)
    project.env["DJANGO_SETTINGS_MODULE"] = "tests.test.faulty_settings"
    server = project.daphne()
    workers = [project.worker() for _ in range(2)]
    url = f"ws://127.0.0.1:{server.port}/echo/"

    for replies in await asyncio.gather(*(talk(url) for _ in range(SOCKETS))):
        assert replies == [str(number) for number in range(FRAMES)]

    # Each connect alone was run three times, and two of them were for nothing.
    assert sum(worker.printed("handed to another worker") for worker in workers) >= 2 * SOCKETS
