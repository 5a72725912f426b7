"""Processes under test are waited for by a sign, and none outlives its test."""

import os
import signal
from pathlib import Path

import pytest

from tests.support.processes import Processes
from tests.support.waiting import wait_for

STUBBORN = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, lambda *_: print("no", flush=True))
child = subprocess.Popen(["sleep", "60"])
print("child", child.pid, flush=True)
child.wait()
"""


def test_a_sign_in_the_output(processes: Processes) -> None:
    process = processes.python("-c", "print('rea' + 'dy'); input()")
    with pytest.raises(AssertionError, match="ended with 1 before it prints 'never'"):
        process.wait_printed("never")
    assert process.printed("ready") == 1


def test_a_deadline_shows_what_was_printed(processes: Processes) -> None:
    process = processes.python("-c", STUBBORN)
    process.wait_printed(r"child \d+")
    with pytest.raises(AssertionError, match=r"(?s)not within 0.1 s.*child \d+"):
        process.wait_printed("never", timeout=0.1)


def test_kill9_takes_the_children_along(processes: Processes) -> None:
    process = processes.python("-c", STUBBORN)
    process.wait_printed(r"child \d+")
    child = int(process.output().split()[1])
    process.send_signal(signal.SIGTERM)
    process.wait_printed("no")
    assert process.rss() > 1_000_000
    process.kill9()
    assert process.returncode == -signal.SIGKILL
    wait_for(lambda: _gone(child), timeout=5, what="the child is gone")


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # Killed, and not yet collected by whoever inherited it.
    return ") Z " in Path(f"/proc/{pid}/stat").read_text()
