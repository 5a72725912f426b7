"""The log of each process, by what the project has configured: each line once, in its format.

With DEBUG off, Django's console writes nothing, so that only a project without LOGGING looks
different then; ``tests/test_terminal.py`` has the rest, without processes.
"""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from websockets.exceptions import ConnectionClosed

from tests.processes.conftest import PROJECT, READY, socket, together
from tests.support.processes import ROOT, Process, Processes
from tests.support.servers import Server
from tests.support.waiting import free_port

pytestmark = pytest.mark.timeout(60)

PAGE = (ROOT / "docs/howto/logging.md").read_text()
CONSOLE = {"class": "logging.StreamHandler", "formatter": "own"}
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"own": {"format": "OWN %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": CONSOLE},
    "root": {"handlers": ["console"], "level": "INFO"},
}


class Case(NamedTuple):
    logging: dict[str, Any]
    line: str  # What each line is, but for those of a traceback.
    debug: bool = True
    silent: tuple[tuple[str, str], ...] = ()


OURS = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - (?P<level>[A-Z]+) - \w+ - (?P<message>.*)"
OWN = r"OWN (?P<level>[A-Z]+) [\w.]+: (?P<message>.*)"
JSON = r"(?P<json>\{.*\})"
LISTENING = ("INFO", r"Listening on TCP address 127\.0\.0\.1:\d+")
CLOSED = ("INFO", r"A WebSocket was closed: error \(3001\), path '/fails/', client \S+")
IS_READY = ("INFO", READY)
FAILED = ("ERROR", r"Error in consumer app\.logged\.fail, for <Message \S+ on websocket\.receive>")
UNROUTED = ("INFO", r"No route takes <Message \S+ on websocket\.connect> \(path '/nowhere/'\)")
NOT_FOUND = ("WARNING", "Not Found: /nothing/")

CASES = {
    "absent": Case({}, OURS),
    # One is for DEBUG, and Django's console is, which has Django's own lines.
    "absent, DEBUG off": Case({}, OURS, debug=False, silent=(UNROUTED, NOT_FOUND)),
    "plain": Case(LOGGING, OWN),
    # Django's own loggers are the project's to disable.
    "disable": Case({**LOGGING, "disable_existing_loggers": True}, OWN, silent=(NOT_FOUND,)),
    "json": Case({**LOGGING, "formatters": {"own": {"()": "mysite.logs.JsonFormatter"}}}, JSON),
}

# Not of any logger: what runserver prints at first, and Daphne's access log.
PRINTED = re.compile(
    r"Performing system checks|System check identified|\w+ \d\d, \d{4} - |Django version |"
    r"Starting Channels development server|Channel layer |Quit the server with|"
    r"127\.0\.0\.1:\d+ - - \[|$"
)
ACCESS = re.compile(r"\[\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d\] (HTTP|WebSocket) ")
TRACEBACK = re.compile(r"Traceback |  |ValueError: sold out$|$")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Processes]]:
    folder = tmp_path_factory.mktemp("logging")
    (folder / "mysite").mkdir()
    (formatter,) = re.findall(r"```python\n(# mysite/logs\.py\n.*?)```", PAGE, re.DOTALL)
    (folder / "mysite/logs.py").write_text(formatter)
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


def records(process: Process, case: Case) -> list[tuple[str, str]]:
    """(level, message) of each line of its log."""
    found: list[tuple[str, str]] = []
    in_traceback = False
    for line in process.output().splitlines():
        if PRINTED.match(line) or ACCESS.match(line):
            continue
        match = re.fullmatch(case.line, line)
        if match is None:
            if line == NOT_FOUND[1] and not case.logging and case.debug:
                found.append(NOT_FOUND)  # Django's own line, with Django's own LOGGING.
                continue
            assert in_traceback and TRACEBACK.match(line), f"In no format: {line!r}"
            continue
        if match.groupdict().get("json"):
            told = json.loads(line)
            found.append((told["level"], told["message"]))
        else:
            found.append((match["level"], match["message"]))
        in_traceback = found[-1][0] == "ERROR"
    return found


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
