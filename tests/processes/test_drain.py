"""SIGTERM of an interface under 200 sockets that talk: told, a few at a time, nothing lost."""

import asyncio
import contextlib
import json
import signal
import time
from collections import Counter

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.processes.conftest import Project
from tests.support.processes import Process
from tests.support.waiting import listening

pytestmark = pytest.mark.timeout(60)

SOCKETS = 200
DRAIN = 3.0
PAUSE = 0.25  # Seconds between an answer and the next message of a socket.


class Talk:
    """One socket that asks one thing after the other until it is closed."""

    def __init__(self, server: Process, name: int) -> None:
        self.url = f"ws://127.0.0.1:{server.port}/{name}/"
        self.client: ClientConnection | None = None
        self.answered = 0
        self.sent_at = 0.0
        self.waiting = False
        self.closed_at = 0.0
        self.code: int | None = None

    async def open(self) -> None:
        self.client = await connect(self.url, compression=None, open_timeout=15)

    async def talk(self) -> None:
        assert self.client is not None
        try:
            for number in range(1000):
                await self.client.send(str(number))
                self.sent_at, self.waiting = time.monotonic(), True
                assert await self.client.recv() == str(number)
                self.answered, self.waiting = self.answered + 1, False
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.client.wait_closed(), PAUSE)
        except ConnectionClosed as closed:
            self.closed_at = time.monotonic()
            self.code = closed.rcvd.code if closed.rcvd else 1006


async def drain(server: Process) -> tuple[list[Talk], float]:
    talks = [Talk(server, name) for name in range(SOCKETS)]
    for start in range(0, SOCKETS, 20):
        await asyncio.gather(*(talk.open() for talk in talks[start : start + 20]))
    running = [asyncio.create_task(talk.talk()) for talk in talks]
    while not all(talk.answered for talk in talks):
        await asyncio.sleep(0.01)
    server.send_signal(signal.SIGTERM)
    at = time.monotonic()
    while listening(server.port):
        assert time.monotonic() - at < 0.5, "the port is closed at once"
        await asyncio.sleep(0.01)
    assert sum(talk.code is None for talk in talks) > SOCKETS / 2
    with pytest.raises(OSError):
        await connect(talks[0].url, open_timeout=5)
    await asyncio.wait_for(asyncio.gather(*running), 20)
    return talks, at


def test_sigterm_under_200_sockets(project: Project) -> None:
    project.env["DJANGO_SETTINGS_MODULE"] = "app.farewell_settings"
    project.env["LAYER_INTERFACE"] = json.dumps({"drain": DRAIN, "disconnects": 10})
    server = project.daphne()
    for _ in range(2):
        project.worker()

    talks, at = asyncio.run(drain(server))

    assert server.wait_exit(timeout=10) == 0
    assert Counter(talk.code for talk in talks) == {1012: SOCKETS}
    # Spread over the time, and never many at once.
    moments = sorted(talk.closed_at - at for talk in talks)
    assert moments[-1] < DRAIN + 2.0
    quarters = Counter(min(3, int(moment / DRAIN * 4)) for moment in moments)
    assert all(quarters[quarter] >= SOCKETS / 10 for quarter in range(4)), quarters
    # Each was heard until its turn, and had its answers: but for what was on its way to us then.
    late = [talk.closed_at - talk.sent_at for talk in talks if talk.waiting]
    assert all(seconds < 0.5 for seconds in late), late
    # The disconnects were all enqueued before the process ended, each with its code.
    goodbyes = Counter(text for _, text in project.lines() if text.startswith("go "))
    deadline = time.monotonic() + 10
    while len(goodbyes) < SOCKETS and time.monotonic() < deadline:
        time.sleep(0.05)
        goodbyes = Counter(text for _, text in project.lines() if text.startswith("go "))
    assert goodbyes == {f"go /{name}/ 1012 attempt=1": 1 for name in range(SOCKETS)}
