"""A rolling restart of all workers under open sockets with traffic: nobody notices."""

import asyncio
import contextlib
import time

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.processes.conftest import Project
from tests.support.processes import Process

pytestmark = pytest.mark.timeout(90)

SOCKETS = 200
WORKERS = 2
ROUNDS = 3
PAUSE = 0.2  # Seconds between an answer and the next message of a socket.
BOUND = 1.0  # Seconds that one answer in a hundred may take longer than.


class Traffic:
    """Sockets that ask one thing after the other until they are told to stop."""

    def __init__(self, server: Process) -> None:
        self.url = f"ws://127.0.0.1:{server.port}/echo/"
        self.latencies: list[tuple[float, float]] = []  # (when it was sent, how long it took)
        self.wrong: list[str] = []
        self.begun = 0
        self.stopping = asyncio.Event()

    async def talk(self, name: int) -> None:
        async with connect(self.url, compression=None, open_timeout=15) as client:
            self.begun += 1
            for number in range(10_000):
                if self.stopping.is_set():
                    break
                began = time.monotonic()
                text = f"{name}:{number}"
                try:
                    await client.send(text)
                    answer = await asyncio.wait_for(client.recv(), 15)
                except (ConnectionClosed, TimeoutError) as error:
                    self.wrong.append(f"{text}: {error!r}")
                    return
                self.latencies.append((began, time.monotonic() - began))
                if answer != text:
                    self.wrong.append(f"{text}: {answer!r}")
                await asyncio.sleep(PAUSE)
            # Nothing that was not asked for is on its way, either.
            with contextlib.suppress(TimeoutError):
                self.wrong.append(f"{name}: besides {await asyncio.wait_for(client.recv(), 0.5)!r}")


def p99(latencies: list[float]) -> float:
    return sorted(latencies)[len(latencies) * 99 // 100]


def restart(project: Project, old: list[Process]) -> list[Process]:
    """For each of ``old`` start a worker, and stop it when that one is ready."""
    fresh = []
    for worker in old:
        fresh.append(project.worker())
        assert worker.stop() == 0
    return fresh


def test_a_rolling_restart_of_all_workers_drops_and_loses_nothing(project: Project) -> None:
    server = project.daphne()
    workers = [project.worker() for _ in range(WORKERS)]
    traffic, (began, ended), workers = asyncio.run(deploy(project, server, workers))
    assert traffic.wrong == []
    before = [took for at, took in traffic.latencies if at < began]
    during = [took for at, took in traffic.latencies if began <= at <= ended]
    print(
        f"\n{WORKERS * ROUNDS} workers replaced under {SOCKETS} sockets in {ended - began:.1f} s: "
        f"p99 {p99(during) * 1000:.0f} ms of {len(during)} answers, "
        f"max {max(during) * 1000:.0f} ms; before: p99 {p99(before) * 1000:.0f} ms"
    )
    assert len(during) > SOCKETS * 5
    assert p99(during) < BOUND
    assert server.running() and all(worker.running() for worker in workers)
    for process in (server, *workers):
        assert "ERROR" not in process.output(), process.output()


async def deploy(
    project: Project, server: Process, workers: list[Process]
) -> tuple[Traffic, tuple[float, float], list[Process]]:
    traffic = Traffic(server)
    talks = []
    for name in range(SOCKETS):
        talks.append(asyncio.create_task(traffic.talk(name)))
        if name % 20 == 19:
            await asyncio.sleep(0.1)
    for _ in range(1000):
        if traffic.begun == SOCKETS and len(traffic.latencies) > SOCKETS * 5:
            break
        await asyncio.sleep(0.02)
    assert traffic.begun == SOCKETS
    began = time.monotonic()
    for _ in range(ROUNDS):
        workers = await asyncio.to_thread(restart, project, workers)
    ended = time.monotonic()
    traffic.stopping.set()
    await asyncio.wait_for(asyncio.gather(*talks), 30)
    return traffic, (began, ended), workers
