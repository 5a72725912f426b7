"""No test reaches a live layer: whole suites of a project, beside a worker that is at work."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Process, Processes
from tests.support.servers import Server
from tests.support.waiting import wait_for

PROJECT = Path(__file__).parent / "suite"
READY = r"djchan worker \S+ is ready"

pytestmark = [pytest.mark.full, pytest.mark.timeout(120)]


@pytest.fixture
def test_broker(start_server: object, own_broker: Server) -> Iterator[Server]:
    """Another one, for TEST_CONFIG."""
    server = Server(own_broker.kind)
    server.start()
    yield server
    server.remove()


@pytest.fixture
def env(own_broker: Server, test_broker: Server, tmp_path: Path) -> dict[str, str]:
    return {
        "DJANGO_SETTINGS_MODULE": "suite.settings",
        "DJCHAN_TEST_LAYERS": "",
        "REDIS_URL": own_broker.url,
        "TEST_REDIS_URL": test_broker.url,
        "FOLDER": str(tmp_path),
        "MARKS": str(tmp_path / "marks-of-tests"),
    }


@pytest.fixture
def live(processes: Processes, own_broker: Server, env: dict[str, str], tmp_path: Path) -> Process:
    """A worker on the layer of CONFIG."""
    marks = {"MARKS": str(tmp_path / "marks-of-the-live-worker")}
    worker = processes.runworker(env={**env, **marks}, cwd=PROJECT)
    worker.wait_printed(READY)
    # All its connections are there when it waits for messages.
    wait_for(
        lambda: b"flags=b" in own_broker.command("CLIENT", "LIST"),
        timeout=10,
        what="the live worker waits",
    )
    return worker


def connections(server: Server) -> int:
    """How many it has had."""
    (number,) = re.findall(rb"total_connections_received:(\d+)", server.command("INFO", "stats"))
    return int(number)


RUNNER = "manage.py test suite.cases --parallel=2"
PYTEST = "-m pytest -c pytest.ini suite"
BY_HAND = "-p no:djchan.test.plugin"  # With pytest-django alone.
# The layer of TEST_CONFIG is for one test at a time.
ALONE = "--deselect=suite/cases.py::ProcessTests --deselect=suite/cases.py::RealLayerTests"
QUICK = "-k PlainTests -k EmptyAtFirstTests"


@pytest.mark.parametrize(
    ("command", "start", "good"),
    [
        (RUNNER, "fork", r"Ran 15 tests.*\n\nOK\n"),
        (f"{RUNNER} {QUICK}", "spawn", r"Ran 11 tests.*\n\nOK\n"),
        (f"{PYTEST} -n2 {ALONE}", "fork", r"18 passed"),
        (
            f"{PYTEST}/cases.py {BY_HAND} {ALONE}",
            "fork",
            "11 passed",
        ),
    ],
    ids=["runner", "runner-spawn", "xdist", "pytest-without-the-plugin"],
)
def test_nothing_of_a_suite_reaches_it(
    command: str,
    start: str,
    good: str,
    live: Process,
    processes: Processes,
    own_broker: Server,
    env: dict[str, str],
    tmp_path: Path,
) -> None:
    before = connections(own_broker)
    suite = processes.python(*command.split(), env={**env, "START": start}, cwd=PROJECT)
    status = suite.wait_exit(timeout=100)
    assert status == 0 and re.search(good, suite.output()), suite.output()

    assert connections(own_broker) == before + 1  # Our own question.
    assert not (tmp_path / "marks-of-the-live-worker").exists()
    assert live.running()
