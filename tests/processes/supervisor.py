"""What systemd or a container's restart policy does: a worker that has ended is started anew."""

import threading
from types import TracebackType

from tests.processes.conftest import PROJECT, Project
from tests.support.processes import Process

MOST = 12  # Starts of one worker; more is a fault of the test.
_one_at_a_time = threading.Lock()  # Each start has a log of its own by its number.


class Supervisor:
    """Keeps one worker running, which is started with ``arguments``, until the block ends."""

    def __init__(self, project: Project, *arguments: str) -> None:
        self.project = project
        self.arguments = arguments
        self.started: list[Process] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Supervisor":
        self.started.append(self.project.worker(*self.arguments))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def deaths(self) -> list[int]:
        """The exit statuses of those that have ended; negative: by a signal."""
        statuses = [process.returncode for process in self.started]
        return [status for status in statuses if status is not None]

    def _watch(self) -> None:
        processes = self.project.processes
        while not self._ended.wait(0.02):
            if self.started[-1].running() or len(self.started) == MOST:
                continue
            with _one_at_a_time:
                worker = processes.runworker(*self.arguments, env=self.project.env, cwd=PROJECT)
            self.started.append(worker)
