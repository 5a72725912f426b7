"""Consumers that never return, and workers that are stopped and wake up: others are served."""

import json
import signal
import socket as sockets
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from djchan.layers.operations import DeadLetters
from djchan.layers.redis.layer import RedisChannelLayer
from tests.processes.conftest import READY, Project, socket
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def stuck(project: Project) -> Project:
    project.env["DJANGO_SETTINGS_MODULE"] = "app.stuck_settings"
    options(project, run_limit=1.0, http_run_limit=1.0, grace=5.0)
    return project


def options(project: Project, **worker: float) -> None:
    project.env["LAYER_WORKER"] = json.dumps(worker)


def closed_with(client: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(timeout=20)
    return closed.value.rcvd.code if closed.value.rcvd is not None else None


def echoes(client: ClientConnection, text: str) -> bool:
    client.send(text)
    return client.recv(timeout=15) == text


def dead_letters(project: Project) -> list[str]:
    layer = RedisChannelLayer(hosts=[project.broker.url])
    link = layer.engine.link("test")
    try:
        (letters,) = link.perform(DeadLetters("websocket.receive"))
        return [letter.reason for letter in letters]
    finally:
        link.close()
        layer.close()


@pytest.mark.parametrize("path", ["/stick/", "/astick/"])
def test_its_socket_is_closed_and_others_go_on(stuck: Project, path: str) -> None:
    server = stuck.daphne()
    worker = stuck.worker("--threads", "3")
    with socket(server, path) as client, socket(server, path) as other:
        assert echoes(other, "before")
        client.send("stick")
        assert echoes(other, "meanwhile")
        assert closed_with(client) == 1011
        assert echoes(other, "after")
    assert dead_letters(stuck) == ["stuck"]
    assert worker.printed(READY) == 1
    assert worker.printed(r"run_limit \(1 s\)") == 1
    assert worker.stop() in (0, 1)  # 1: a thread is still in that consumer.


@pytest.mark.parametrize(("path", "how"), [("/stick/", "stick"), ("/astick/", "block")])
def test_with_most_of_it_stuck_it_starts_anew_in_its_place(
    stuck: Project, path: str, how: str, tmp_path: Path
) -> None:
    server = stuck.daphne()
    notify = str(tmp_path / "notify")
    stuck.env["NOTIFY_SOCKET"] = notify
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_DGRAM) as systemd:
        systemd.bind(notify)
        systemd.settimeout(30)
        worker = stuck.worker("--threads", "1")
        with socket(server, path) as client, socket(server, path) as other:
            assert echoes(other, "before")
            client.send(how)
            assert closed_with(client) == 1011
            worker.wait_printed(READY, times=2)
            assert echoes(other, "after")
        # After STOPPING=1 systemd kills what still runs when TimeoutStopSec is over.
        assert [systemd.recv(100) for _ in range(2)] == [b"READY=1", b"READY=1"]
    assert worker.printed("starts anew") == 1
    # The same process id before and after, as its supervisor sees it.
    assert {pid for pid, _ in stuck.lines()} == {worker.pid}
    assert dead_letters(stuck) == ["stuck"]
    assert worker.stop() == 0


def test_a_request_gets_a_503(stuck: Project) -> None:
    server = stuck.daphne()
    stuck.worker("--threads", "3")
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/", timeout=20)
    assert error.value.code == 503
    error.value.close()
    assert [text for _, text in stuck.lines()] == ["run page"]


def test_one_that_was_stopped_wakes_up_as_a_stranger(stuck: Project) -> None:
    """What it ran is somebody else's by then; it drops that, and serves on under a new id."""
    options(stuck, beat=0.1, worker_silence=2.0, run_limit=2.0)
    server = stuck.daphne()
    zombie = stuck.worker()
    with socket(server, "/steady/") as client:
        client.send("one")
        wait_for(lambda: stuck.lines(), timeout=10, what="it runs")
        zombie.send_signal(signal.SIGSTOP)
        other = stuck.worker()
        # Reaped for its silence; the delivery is the other's.
        assert client.recv(timeout=20) == "one"
        zombie.send_signal(signal.SIGCONT)
        zombie.wait_printed("does not know this worker")
        zombie.wait_printed("handed to another worker")
        assert other.stop() == 0
        assert echoes(client, "two")
    assert [text for pid, text in stuck.lines() if pid == zombie.pid] == [
        "start one attempt=1", "end one", "start two attempt=1", "end two",
    ]  # fmt: skip
    assert zombie.printed("run_limit") == 0  # The time it was stopped does not count.
    assert zombie.stop() == 0
