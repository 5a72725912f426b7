"""The log of each process, by what the project has configured: each line once, in its format.

``tests/realtime/test_logs.py`` has the whole site, ``tests/test_terminal.py`` the rest, without
processes.
"""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.processes.conftest import PROJECT, READY, socket, together
from tests.support.log_lines import (
    ACCESS,
    CASES,
    NOT_FOUND,
    UNROUTED,
    Case,
    records,
    write_formatter,
)
from tests.support.processes import ROOT, Process, Processes
from tests.support.servers import Server
from tests.support.waiting import free_port

pytestmark = pytest.mark.timeout(60)

LISTENING = ("INFO", r"Listening on TCP address 127\.0\.0\.1:\d+")
CLOSED = ("INFO", r"A WebSocket was closed: error \(3001\), path '/fails/', client \S+")
IS_READY = ("INFO", READY)
FAILED = ("ERROR", r"Error in consumer app\.logged\.fail, for <Message \S+ on websocket\.receive>")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Processes]]:
    folder = tmp_path_factory.mktemp("logging")
    write_formatter(folder)
    with together(folder) as (broker, processes):
        yield broker, processes


def environment(shared: tuple[Server, Processes], case: Case, prefix: str) -> dict[str, str]:
    broker, processes = shared
    return {
        "REDIS_URL": broker.url,
        "DJANGO_SETTINGS_MODULE": "app.logged_settings",
        "MARKS": str(processes.folder / "marks"),
        "LAYER_CONFIG": json.dumps({"prefix": prefix}),
        "LOGGING": json.dumps(case.logging),
        "DEBUG": "on" if case.debug else "off",
        "PYTHONPATH": f"{PROJECT}:{ROOT}:{processes.folder}",
    }


def browse(server: Process, worker: Process) -> None:
    """A page that is none, a socket on a path of no route, and a consumer that fails."""
    worker.wait_printed(READY)
    with pytest.raises(urllib.error.HTTPError) as missing:
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/nothing/", timeout=10)
    assert missing.value.code == 404
    missing.value.close()
    with socket(server, "/nowhere/"):
        pass
    with socket(server, "/fails/") as client:
        client.send("buy")
        worker.wait_printed("sold out")
        client.close(3001)
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=5)
    server.wait_printed(r"error \(3001\)")


def expect(process: Process, case: Case, *expected: tuple[str, str]) -> list[tuple[str, str]]:
    """Each of its lines is there once, these among them; answers with all."""
    found = records(process, case)
    assert len(found) == len(set(found)), found
    for level, pattern in expected:
        fits = [each for each in found if each[0] == level and re.match(pattern, each[1])]
        assert len(fits) == ((level, pattern) not in case.silent), (pattern, found)
    return found


def json_of(process: Process, text: str) -> Any:
    """The line with ``text``, decoded."""
    (line,) = [line for line in process.output().splitlines() if line[:1] == "{" and text in line]
    return json.loads(line)


@pytest.mark.parametrize("name", CASES)
def test_daphne_and_runworker(shared: tuple[Server, Processes], name: str) -> None:
    _, processes = shared
    case = CASES[name]
    env = environment(shared, case, f"two {name}")
    worker = processes.runworker(env=env, cwd=PROJECT)
    server = processes.daphne("app.logged_asgi:application", env=env, cwd=PROJECT)
    browse(server, worker)
    assert (server.stop(), worker.stop()) == (0, 0)
    expect(worker, case, IS_READY, FAILED, UNROUTED, NOT_FOUND)
    expect(server, case, LISTENING, CLOSED)
    if name == "json":
        failed, closed = json_of(worker, "sold out"), json_of(server, "3001")
        assert failed["consumer"] == "app.logged.fail"
        assert failed["channel"] == "websocket.receive"
        assert failed["attempt"] == 1 and 0 < failed["duration"] < 10
        assert failed["message_id"] in failed["message"]
        assert "ValueError" in failed["traceback"]
        assert failed["connection"].startswith("websocket.send.")
        assert (closed["connection"], closed["close_code"]) == (failed["connection"], 3001)


@pytest.mark.parametrize("name", CASES)
def test_runserver(shared: tuple[Server, Processes], name: str) -> None:
    _, processes = shared
    case = CASES[name]
    env = environment(shared, case, f"one {name}")
    port = free_port()
    server = processes.manage("runserver", f"127.0.0.1:{port}", "--noreload", env=env, cwd=PROJECT)
    server.port = port
    server.wait_listening()
    browse(server, server)
    assert server.stop() == 0
    expect(server, case, IS_READY, LISTENING, FAILED, UNROUTED, NOT_FOUND, CLOSED)
    access = [line for line in server.output().splitlines() if ACCESS.match(line)]
    assert sum("HTTP GET /nothing/ 404" in line for line in access) == 1
