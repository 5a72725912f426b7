import logging
import signal
import socket
import subprocess
import sys
import threading

import pytest

from djchan.process import READY, STOPPING, Signals, tell_systemd

PROGRAM = """
import signal, sys, threading, time
from djchan.process import Signals
asked = threading.Event()
signals = Signals(asked.set)
assert signals.install()
print("ready", flush=True)
asked.wait()
print("asked", flush=True)
if "stuck" in sys.argv:
    threading.Event().wait()
signals.restore()
"""


@pytest.fixture
def program():
    """Starts the program, waits until it is ready."""
    started = []

    def start(*arguments):
        popen = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(popen)
        assert popen.stdout.readline() == "ready\n"
        return popen

    yield start
    for popen in started:
        popen.kill()
        popen.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_asks(program, number):
    popen = program()
    popen.send_signal(number)
    assert popen.communicate(timeout=10)[0] == "asked\n"
    assert popen.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_ends_a_process_that_is_stuck(program, number):
    popen = program("stuck")
    popen.send_signal(number)
    assert popen.stdout.readline() == "asked\n"
    popen.send_signal(number)
    assert "leaving at once" in popen.communicate(timeout=10)[1]
    assert popen.returncode == 128 + number


def test_it_begins_anew_with_its_id_and_command_line():
    code = """
import os, sys
from djchan.process import begin_anew
print(os.getpid(), sys.argv[1:])
if "BEGUN" not in os.environ:
    os.environ["BEGUN"] = "1"
    print("buffered", end=" ")
    begin_anew()
"""
    command = [sys.executable, "-c", code, "--threads", "two words"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    first, second = run.stdout.splitlines()
    assert second == f"buffered {first}"
    assert first.endswith("['--threads', 'two words']")


def test_they_are_given_back():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    signals = Signals(lambda: None)
    assert signals.install()
    assert signal.getsignal(signal.SIGTERM) == signals.handle
    signals.restore()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_only_the_main_thread_can_have_them():
    answers = []
    signals = Signals(lambda: None)
    thread = threading.Thread(target=lambda: answers.append(signals.install()))
    thread.start()
    thread.join(5)
    assert answers == [False]


class TestSystemd:
    @pytest.mark.parametrize("abstract", [False, True])
    def test_it_is_told(self, tmp_path, monkeypatch, abstract):
        name = str(tmp_path / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind("\0" + name if abstract else name)
            systemd.settimeout(5)
            monkeypatch.setenv("NOTIFY_SOCKET", "@" + name if abstract else name)
            for state in (READY, STOPPING):
                tell_systemd(state)
                assert systemd.recv(100) == state.encode()

    def test_nobody_is_told_where_nobody_asked(self, monkeypatch, caplog):
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
        tell_systemd(READY)
        assert caplog.records == []

    def test_one_that_is_gone_is_logged(self, tmp_path, monkeypatch, caplog):
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
        with caplog.at_level(logging.WARNING, "djchan.process"):
            tell_systemd(READY)
        assert "NOTIFY_SOCKET" in caplog.text
