"""Wait for a sign with a deadline, and say what is missing on this machine."""

import os
import socket
import time
from collections.abc import Callable
from typing import NoReturn

import pytest

# Below the range from which the kernel takes the ports of outgoing connections (32768 and up
# on Linux): there, whoever knocks at a port whose server has stopped may get that very port
# as his own and reach himself, and another test's connection may sit on it at a restart.
PORTS = range(20000, 32000)


def wait_for(sign: Callable[[], object], *, timeout: float, what: str) -> None:
    """Return when ``sign()`` is true; after ``timeout`` seconds fail, naming ``what``."""
    deadline = time.monotonic() + timeout
    while not sign():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout:g} s")
        time.sleep(0.01)


def listening(port: int) -> bool:
    """Whether somebody accepts connections on this loopback port."""
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """A loopback port that nobody uses now."""
    # Where one looks first differs per process, so that two runs at a time seldom meet.
    # (Not from ``random``: pytest-randomly seeds it alike for each test.)
    start = int.from_bytes(os.urandom(2), "big")
    for step in range(len(PORTS)):
        port = PORTS[(start + step) % len(PORTS)]
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no free port in {PORTS}")


def missing(what: str, remedy: str) -> NoReturn:
    """Skip the test with one line that names the package; under CI, fail it."""
    line = f"{what} is not on this machine: {remedy}"
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        pytest.fail(line, pytrace=False)
    pytest.skip(line)
