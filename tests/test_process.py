import logging
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from djchan.process import READY, STOPPING, Signals, tell_systemd
from tests.support.processes import ROOT

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


BEGIN_ANEW = """
import os, resource, signal, sys
from djchan.process import Beginning, begin_anew
beginning = Beginning()

def state():
    umask = os.umask(0o077)
    os.umask(umask)
    return [
        os.getpid(), sys.argv[1:], os.getcwd(), umask, os.environ.get("OF_A_CONSUMER"),
        os.environ["OF_THE_START"], signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        resource.getrlimit(resource.RLIMIT_NOFILE)[0], signal.getitimer(signal.ITIMER_REAL)[0],
        signal.getitimer(signal.ITIMER_PROF)[0], signal.getitimer(signal.ITIMER_VIRTUAL)[0],
    ]

print(state())
if not os.path.exists(sys.argv[1]):
    open(sys.argv[1], "w").close()
    # What a consumer may do to its process.
    os.chdir("/")
    os.umask(0o777)
    os.environ["OF_A_CONSUMER"] = "1"
    del os.environ["OF_THE_START"]
    sys.argv.append("more")
    sys.orig_argv.append("more")
    sys.executable = "/nowhere"
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    signal.setitimer(signal.ITIMER_REAL, 100)
    signal.setitimer(signal.ITIMER_PROF, 100)
    signal.setitimer(signal.ITIMER_VIRTUAL, 100)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    print("buffered", end=" ")
    begin_anew(beginning)
"""


def run_script(script, folder):
    folder.mkdir()
    (folder / "script.py").write_text(script)
    command = [sys.executable, "script.py", str(folder.parent / "begun"), "two words"]
    env = {**os.environ, "OF_THE_START": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=20, check=False
    )


def test_it_begins_anew_as_it_was_started_whatever_a_consumer_has_changed(tmp_path):
    run = run_script(BEGIN_ANEW, tmp_path / "release")
    assert run.returncode == 0, run.stderr
    first, second = run.stdout.splitlines()
    assert second == f"buffered {first}"
    assert "'two words'], " in first


def test_one_that_cannot_begin_anew_where_it_was_started_tells_why(tmp_path):
    script = BEGIN_ANEW.replace('    os.chdir("/")\n', '    os.rename(os.getcwd(), "../gone")\n')
    folder = tmp_path / "release"
    run = run_script(script, folder)
    assert run.returncode == 1
    assert "cannot begin anew where it was started" in run.stderr
    assert str(folder) in run.stderr


def test_it_leaves_although_nobody_reads_why():
    script = (
        "import os; from djchan.process import leave;"
        "read, write = os.pipe(); os.dup2(write, 2); os.close(read);"
        "os.close(write); leave(3, 'a reason')"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=10).returncode == 3


def test_one_whose_interpreter_is_gone_leaves_although_threads_are_stuck():
    script = (
        "import concurrent.futures, threading\n"
        "from djchan.process import Beginning, begin_anew\n"
        "concurrent.futures.ThreadPoolExecutor().submit(threading.Event().wait)\n"
        "beginning = Beginning()\n"
        "beginning.command[0] = '/nowhere/python'\n"
        "begin_anew(beginning)\n"
    )
    command = [sys.executable, "-c", script]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10)
    assert ran.returncode == 1
    assert "djchan: /nowhere/python cannot be run again" in ran.stderr


CHILDREN = """
import multiprocessing, os, pathlib, sys, time
from djchan.process import Beginning, begin_anew
beginning = Beginning()
noted = pathlib.Path(sys.argv[1])
if not noted.exists():
    pool = multiprocessing.get_context("fork").Pool(2)
    noted.write_text(" ".join(str(child.pid) for child in multiprocessing.active_children()))
    begin_anew(beginning)
pids = noted.read_text().split()
print(len(pids))
for pid in pids:
    print(os.waitstatus_to_exitcode(os.waitpid(int(pid), 0)[1]))
"""


def test_one_that_begins_anew_leaves_no_children_behind(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", CHILDREN, str(tmp_path / "noted")]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=15)
    assert ran.stdout.split() == ["2", "-15", "-15"], ran.stderr


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
