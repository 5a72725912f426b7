"""Fixtures of the process tests: the project of ``project/`` over a Redis of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.support.processes import Process, Processes
from tests.support.servers import Server, any_kind

PROJECT = Path(__file__).parent / "project"
READY = r"djchan worker \S+ is ready"


class Project:
    """The small project, run as real processes."""

    home = PROJECT

    def __init__(self, processes: Processes, broker: Server, folder: Path) -> None:
        self.processes = processes
        self.broker = broker
        self.marks = folder / "marks"
        self.marks.touch()
        self.env = {
            "REDIS_URL": broker.url,
            "DJANGO_SETTINGS_MODULE": "app.settings",
            "MARKS": str(self.marks),
        }

    def daphne(self, application: str = "app.asgi:channel_layer", *arguments: str) -> Process:
        return self.processes.daphne(application, *arguments, env=self.env, cwd=self.home)

    def uvicorn(self, application: str = "app.asgi:channel_layer") -> Process:
        return self.processes.uvicorn(application, env=self.env, cwd=self.home)

    def worker(self, *arguments: str) -> Process:
        process = self.processes.runworker(*arguments, env=self.env, cwd=self.home)
        process.wait_printed(READY)
        return process

    def shell(self, code: str) -> None:
        process = self.processes.manage("shell", "-c", code, env=self.env, cwd=self.home)
        assert process.wait_exit(timeout=15) == 0, process.output()

    def lines(self) -> list[tuple[int, str]]:
        """What consumers marked: (process id, text)."""
        # The last line may be half written yet.
        whole, _, _ = self.marks.read_text().rpartition("\n")
        pairs = (line.split(" ", 1) for line in whole.splitlines())
        return [(int(pid), text) for pid, text in pairs]


@contextmanager
def socket(server: Process, path: str, **options: object) -> Iterator[ClientConnection]:
    url = f"ws://127.0.0.1:{server.port}{path}"
    with connect(url, compression=None, open_timeout=10, close_timeout=5, **options) as client:  # type: ignore[arg-type]
        yield client


@contextmanager
def together(folder: Path) -> Iterator[tuple[Server, Processes]]:
    """A server and a starter of processes, for all tests of a module, or of more."""
    broker = Server(any_kind())
    processes = Processes(folder)
    try:
        broker.start()
        yield broker, processes
    finally:
        for process in reversed(processes.started):  # The worker last: it answers the rest.
            process.clean_up()
        broker.remove()


@pytest.fixture
def project(own_broker: Server, processes: Processes, tmp_path: Path) -> Project:
    # In this order, so that the processes end before their broker does.
    return Project(processes, own_broker, tmp_path)
