"""Workers over a Redis that is there and cannot serve: they wait, and say for what."""

import contextlib
import re
import resource
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from djchan.layers.redis import RedisChannelLayer
from tests.processes.conftest import PROJECT, READY, Project
from tests.processes.conftest import socket as open_socket
from tests.support.processes import Process
from tests.support.servers import Server

# Processes that start beside many others take their time.
pytestmark = pytest.mark.timeout(40)


@contextlib.contextmanager
def without_replicas(server: Server) -> Iterator[str]:
    server.command("CONFIG", "SET", "min-replicas-to-write", "1")
    yield r"refused to write: NOREPLICAS .*Trying again"
    server.command("CONFIG", "SET", "min-replicas-to-write", "0")


@contextlib.contextmanager
def busy(server: Server) -> Iterator[str]:
    server.command("CONFIG", "SET", "busy-reply-threshold", "50")
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"*3\r\n$4\r\nEVAL\r\n$17\r\nwhile true do end\r\n$1\r\n0\r\n")
        yield r"is busy with a script .*Trying again"
        assert server.command("SCRIPT", "KILL") == b"+OK\r\n"
        client.recv(1024)


@pytest.mark.parametrize("trouble", [without_replicas, busy])
def test_a_worker_that_starts_meanwhile_waits_and_says_why(project: Project, trouble) -> None:
    with trouble(project.broker) as words:
        worker = project.processes.runworker(env=project.env, cwd=PROJECT)
        worker.wait_printed(words)
        assert worker.running() and "needs Redis" not in worker.output()
    worker.wait_printed(READY)
    with open_socket(project.daphne(), "/echo/") as client:
        client.send("hello")
        assert client.recv(timeout=10) == "hello"
    assert "Traceback" not in worker.output()


def test_a_worker_that_waits_ends_at_sigterm(project: Project) -> None:
    with without_replicas(project.broker) as words:
        worker = project.processes.runworker(env=project.env, cwd=PROJECT)
        worker.wait_printed(words)
        assert worker.stop() == 0


def test_a_redis_that_cannot_be_used_is_told_from_one_that_is_too_old(project: Project) -> None:
    rules = "ACL SETUSER some on >secret ~{djchan}* +@all -xadd"
    assert project.broker.command(*rules.split()) == b"+OK\r\n"
    project.env["REDIS_URL"] = f"redis://some:secret@127.0.0.1:{project.broker.port}/0"
    worker = project.processes.runworker(env=project.env, cwd=PROJECT)
    assert worker.wait_exit(timeout=15) == 1
    assert "does not allow its user to run XADD" in worker.output()
    assert "needs Redis" not in worker.output() and "secret" not in worker.output()


def test_without_file_descriptors_a_worker_logs_a_line_a_second_at_most(project: Project) -> None:
    began = time.monotonic()
    limited = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24));"
    command = f"{limited} from django.core.management import execute_from_command_line as run;"
    command += "run(['manage.py', 'runworker', '--threads', '30'])"
    worker = project.processes.python("-c", command, env=project.env, cwd=PROJECT)
    worker.wait_printed("this process has no file descriptor left")
    threading.Event().wait(2.0)  # What comes again comes in this time.
    lines = re.findall(r"^.*(?:ERROR|WARNING).*$", worker.output(), re.MULTILINE)
    assert len(lines) <= 2 + 2 * (time.monotonic() - began), worker.output()
    assert "Traceback" not in worker.output()
    assert worker.stop() == 0


@pytest.mark.parametrize("kind", ["daphne", "uvicorn"])
def test_without_file_descriptors_a_server_serves_on_and_fills_no_log(
    project: Project, kind: str
) -> None:
    project.worker()
    server: Process = getattr(project, kind)()
    with open_socket(server, "/echo/") as client:
        opened = len(list(Path(f"/proc/{server.pid}/fd").iterdir()))
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (opened + 10, opened + 10))
        with contextlib.ExitStack() as stack:
            for _ in range(50):
                address = ("127.0.0.1", server.port)
                stack.enter_context(socket.create_connection(address, timeout=5))
            end = time.monotonic() + 2.5
            while time.monotonic() < end:
                client.send("there")
                assert client.recv(timeout=10) == "there"
        with open_socket(server, "/echo/") as another:
            another.send("again")
            assert another.recv(timeout=10) == "again"
    assert "Traceback" not in server.output()
    assert server.output().count("\n") < 100


def test_a_redis_that_closes_idle_connections_is_no_error(project: Project) -> None:
    """``timeout`` in its configuration, a proxy, CLIENT KILL: nobody notices."""
    worker, server = project.worker(), project.daphne()
    layer = RedisChannelLayer([project.broker.url])
    with open_socket(server, "/echo/") as client:
        for text in ("one", "two", "three"):
            client.send(text)
            assert client.recv(timeout=10) == text
            project.broker.command("CLIENT", "KILL", "TYPE", "normal")
            layer.send("notes", {"group": "none", "text": text})
    layer.close()
    for process in (worker, server):
        assert not re.search("ERROR|WARNING|Traceback", process.output()), process.output()
