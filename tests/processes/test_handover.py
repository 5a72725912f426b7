"""A worker ends in the middle of a consumer: the socket stays, another worker answers, once."""

import os
import signal
import time

import pytest

from tests.processes.conftest import PROJECT, READY, Project, socket
from tests.support.processes import Process
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(60)


def runner(project: Project, workers: list[Process]) -> tuple[Process, Process]:
    """(the worker that runs the consumer, the other one)."""
    wait_for(project.lines, timeout=10, what="the consumer starts")
    pid = project.lines()[0][0]
    busy = next(worker for worker in workers if worker.pid == pid)
    other = next(worker for worker in workers if worker.pid != pid)
    return busy, other


def test_kill_9_hands_the_message_over_within_three_seconds(project: Project) -> None:
    server = project.daphne()
    workers = [project.worker(), project.worker()]
    with socket(server, "/work/") as client:
        client.send("30:first")
        busy, other = runner(project, workers)
        killed = time.monotonic()
        os.kill(busy.pid, signal.SIGKILL)
        assert client.recv(timeout=10) == "done first"
        took = time.monotonic() - killed
        client.send("0:second")
        assert client.recv(timeout=10) == "done second"
    assert took < 3.0, f"the hand-over took {took:.2f} s"
    texts = [text for _, text in project.lines()]
    assert texts == [
        "start first attempt=1 redelivered=False",
        "start first attempt=2 redelivered=True",
        "end first",
        "start second attempt=1 redelivered=False",
        "end second",
    ]
    assert project.lines()[1][0] == other.pid


def test_sigterm_finishes_what_runs_and_hands_the_rest_over_at_once(project: Project) -> None:
    server = project.daphne()
    workers = [project.worker(), project.worker()]
    with socket(server, "/work/") as client:
        client.send("2:first")
        busy, other = runner(project, workers)
        busy.send_signal(signal.SIGTERM)
        stopped = time.monotonic()
        with socket(server, "/work/") as second:
            second.send("0:second")
            assert second.recv(timeout=5) == "done second"
        assert time.monotonic() - stopped < 1.0, "the other worker took over at once"
        assert client.recv(timeout=10) == "done first"
        client.send("0:third")
        assert client.recv(timeout=10) == "done third"
    assert busy.wait_exit(timeout=10) == 0
    starts = [text for _, text in project.lines() if text.startswith("start")]
    assert all("attempt=1" in text for text in starts), starts
    assert len(starts) == 3
    assert other.running()


def test_a_worker_waits_for_a_redis_that_is_starting(project: Project) -> None:
    project.broker.stop()
    worker = project.processes.runworker(env=project.env, cwd=PROJECT)
    project.broker.start()
    worker.wait_printed(READY)
    with socket(project.daphne(), "/echo/") as client:
        client.send("hello")
        assert client.recv(timeout=10) == "hello"


def test_a_worker_without_redis_says_so_and_ends(project: Project) -> None:
    project.broker.stop()
    worker = project.processes.runworker(env=project.env, cwd=PROJECT)
    assert worker.wait_exit(timeout=15) == 1
    assert "did not answer" in worker.output() and "Start a Redis 7.0" in worker.output()
    assert "Traceback" not in worker.output()
