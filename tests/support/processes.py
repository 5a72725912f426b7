"""Real processes under test: daphne, runworker, or any other command.

Each has its own session and its own log, is waited for by a sign (a line of its log, or its
port) with a deadline, and is stopped by its id, with its children, when the test ends.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.waiting import free_port, listening, wait_for

ROOT = Path(__file__).resolve().parents[2]

READY_TIMEOUT = 15.0
STOP_TIMEOUT = 10.0


def _heed_interrupts() -> None:
    # A shell lets what it runs in the background ignore SIGINT, and that is handed down.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Process:
    """One running command. ``port`` is the one it listens on, 0 for none."""

    def __init__(
        self, name: str, argv: Sequence[str], *, log: Path, env: Mapping[str, str], cwd: Path
    ) -> None:
        self.name = name
        self.log = log
        self.port = 0
        with log.open("wb") as file:
            self.popen = subprocess.Popen(
                argv,
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_heed_interrupts,
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def returncode(self) -> int | None:
        return self.popen.poll()

    def running(self) -> bool:
        return self.popen.poll() is None

    def output(self) -> str:
        """All that it has printed so far."""
        return self.log.read_text(errors="replace")

    def printed(self, pattern: str) -> int:
        """How often the regular expression ``pattern`` is in its output."""
        return len(re.findall(pattern, self.output()))

    def wait_printed(self, pattern: str, *, timeout: float = READY_TIMEOUT, times: int = 1) -> None:
        """Wait until ``pattern`` is in its output, ``times`` times; its end is a failure."""
        self._wait(lambda: self.printed(pattern) >= times, timeout, f"prints {pattern!r}")

    def wait_listening(self, *, timeout: float = READY_TIMEOUT) -> None:
        """Wait until it accepts connections on its port."""
        self._wait(lambda: listening(self.port), timeout, f"listens on port {self.port}")

    def wait_exit(self, *, timeout: float = STOP_TIMEOUT) -> int:
        """Wait for its end; its exit status, negative for a signal."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.name} still runs after {timeout:g} s:\n{self._tail()}"
            ) from None

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to this process alone."""
        self.popen.send_signal(number)

    def kill9(self) -> None:
        """SIGKILL to the process and its children, and wait for its end."""
        self._signal_session(signal.SIGKILL)
        self.popen.wait(STOP_TIMEOUT)

    def stop(self, *, timeout: float = STOP_TIMEOUT) -> int:
        """SIGTERM, and wait for its end; its exit status."""
        self.send_signal(signal.SIGTERM)
        return self.wait_exit(timeout=timeout)

    def rss(self) -> int:
        """Its resident memory in bytes."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def clean_up(self) -> None:
        """End it and all that it started, whatever state they are in."""
        if self.running():
            self._signal_session(signal.SIGCONT)  # It may have been stopped by SIGSTOP.
            self._signal_session(signal.SIGTERM)
            try:
                self.popen.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                print(f"{self.name} did not end within {STOP_TIMEOUT:g} s of SIGTERM; killed")
        # Children of a process that is gone are still in its session.
        self._signal_session(signal.SIGKILL)
        self.popen.wait(STOP_TIMEOUT)

    def _signal_session(self, number: signal.Signals) -> None:
        # Its own session, made at its start: the group is this process and its children.
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return

    def _wait(self, sign: Callable[[], object], timeout: float, what: str) -> None:
        try:
            wait_for(
                lambda: sign() or not self.running(), timeout=timeout, what=f"{self.name} {what}"
            )
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self._tail()}") from None
        if not sign():
            raise AssertionError(
                f"{self.name} ended with {self.returncode} before it {what}:\n{self._tail()}"
            )

    def _tail(self) -> str:
        return self.output()[-4000:]


class Processes:
    """Starts processes; all that it started end with ``clean_up``.

    ``folder`` gets their logs. ``env`` is added to the environment of every one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env: dict[str, str] = {}
        self.started: list[Process] = []

    def start(
        self,
        *argv: str,
        name: str = "",
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
    ) -> Process:
        """Start ``argv`` and return at once; it runs in ``cwd``, which it can import from."""
        name = f"{name or Path(argv[0]).name}-{len(self.started) + 1}"
        everything = {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(dict.fromkeys((str(cwd), str(ROOT)))),
            **self.env,
            **(env or {}),
        }
        log = self.folder / f"{name}.log"
        process = Process(name, argv, log=log, env=everything, cwd=cwd)
        self.started.append(process)
        return process

    def python(
        self,
        *arguments: str,
        name: str = "",
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
    ) -> Process:
        """Start this interpreter with ``arguments``."""
        return self.start(sys.executable, *arguments, name=name or "python", env=env, cwd=cwd)

    def manage(
        self, *arguments: str, env: Mapping[str, str] | None = None, cwd: Path = ROOT
    ) -> Process:
        """Start ``manage.py`` of ``cwd``."""
        return self.python("manage.py", *arguments, name=arguments[0], env=env, cwd=cwd)

    def runworker(
        self, *arguments: str, env: Mapping[str, str] | None = None, cwd: Path = ROOT
    ) -> Process:
        """Start a worker and return at once; it prints `djchan worker … is ready`."""
        return self.manage("runworker", *arguments, env=env, cwd=cwd)

    def daphne(
        self,
        application: str,
        *arguments: str,
        port: int = 0,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
    ) -> Process:
        """Start Daphne on ``port`` (0: a free one) and wait until it listens."""
        return self._serve(
            "daphne", ["-b", "127.0.0.1", "-p"], application, arguments, port, env, cwd
        )

    def uvicorn(
        self,
        application: str,
        *arguments: str,
        port: int = 0,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
    ) -> Process:
        """Start uvicorn on ``port`` (0: a free one) and wait until it listens."""
        return self._serve(
            "uvicorn", ["--host", "127.0.0.1", "--port"], application, arguments, port, env, cwd
        )

    def _serve(
        self,
        server: str,
        bind: list[str],
        application: str,
        arguments: Sequence[str],
        port: int,
        env: Mapping[str, str] | None,
        cwd: Path,
    ) -> Process:
        port = port or free_port()
        argv = ["-m", server, *bind, str(port), *arguments, application]
        process = self.python(*argv, name=server, env=env, cwd=cwd)
        process.port = port
        process.wait_listening()
        return process

    def clean_up(self) -> None:
        # A server is mostly started before its workers, and has something to tell them at its end.
        for process in self.started:
            process.clean_up()
        for process in self.started:
            # Shown by pytest only where the test failed.
            print(f"--- {process.name} ({process.returncode})\n{process.output()[-4000:]}")


@pytest.fixture
def processes(tmp_path: Path, start_server: object) -> Iterator[Processes]:
    """Start real processes in a test.

    They end before the servers of this test do (``start_server``): without Redis they would
    wait for it, to say goodbye.
    """
    folder = tmp_path / "logs"
    folder.mkdir()
    starter = Processes(folder)
    yield starter
    starter.clean_up()
