"""The known traps of such a site, fallen into for real: each has an answer, and it says the remedy.

Rows of docs/howto/troubleshooting.md that need whole processes. (The others: beside their module,
and tests/deploy.)
"""

import socketserver
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Process, Processes
from tests.support.servers import Server
from tests.support.waiting import free_port, wait_for

pytestmark = pytest.mark.timeout(90)

PATIENCE = 40.0
REDIS = "djchan.layers.redis.RedisChannelLayer"
MEMORY = "djchan.layers.inmemory.InMemoryChannelLayer"

MANAGE = """\
import os, sys
from django.core.management import execute_from_command_line
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
execute_from_command_line(sys.argv)
"""
SETTINGS = """\
SECRET_KEY = "only-for-tests"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "urls"
USE_TZ = True
MIDDLEWARE = []
INSTALLED_APPS = {apps!r}
ASGI_APPLICATION = "asgi.channel_layer"
CHANNEL_LAYERS = {layers!r}
"""
ASGI = """\
from djchan.asgi import get_channel_layer
channel_layer = get_channel_layer()
"""
CONSUMERS = """\
from djchan.generic.base import BaseConsumer

def take(message):
    pass

class Jobs(BaseConsumer):
    method_mapping = {"jobs": "wrok"}

    def work(self, message):
        pass
"""


class Trap:
    """A project of a few lines in a folder of its own."""

    def __init__(self, processes: Processes, folder: Path) -> None:
        self.processes = processes
        self.folder = folder / "project"
        self.folder.mkdir()
        self.write("manage.py", MANAGE)
        self.write("asgi.py", ASGI)
        self.write("urls.py", "urlpatterns = []\n")
        self.write("consumers.py", CONSUMERS)
        self.set(layers={})

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def set(self, *, layers: object, apps: tuple[str, ...] = ("djchan",)) -> None:
        self.write("settings.py", SETTINGS.format(layers=layers, apps=list(apps)))

    def layer(
        self,
        backend: str,
        routing: str = "[]",
        *,
        apps: tuple[str, ...] = ("djchan",),
        **config: object,
    ) -> None:
        self.write("routing.py", f"from djchan import route, route_class\nrouting = {routing}\n")
        entry = {"BACKEND": backend, "ROUTING": "routing.routing", "CONFIG": config}
        self.set(layers={"default": entry}, apps=apps)

    def manage(self, *arguments: str) -> Process:
        return self.processes.manage(*arguments, cwd=self.folder)

    def says(self, *arguments: str) -> str:
        """What a command that fails has printed."""
        process = self.manage(*arguments)
        assert process.wait_exit(timeout=PATIENCE) == 1, process.output()
        return process.output()

    def daphne(self) -> Process:
        env = {"DJANGO_SETTINGS_MODULE": "settings"}
        return self.processes.daphne("asgi:channel_layer", cwd=self.folder, env=env)


@pytest.fixture
def trap(processes: Processes, tmp_path: Path) -> Trap:
    return Trap(processes, tmp_path)


class TestNoLayer:
    SENTENCE = "CHANNEL_LAYERS has no entry 'default'. Add {'default': {\"BACKEND\": "

    @pytest.mark.parametrize(
        "command", [("runworker",), ("shell", "-c", "from djchan import *; Channel('x').send({})")]
    )
    def test_commands_and_sends(self, trap: Trap, command: tuple[str, ...]) -> None:
        assert self.SENTENCE in trap.says(*command)

    def test_daphne(self, trap: Trap) -> None:
        env = {"DJANGO_SETTINGS_MODULE": "settings"}
        process = trap.processes.python(
            "-m", "daphne", "asgi:channel_layer", cwd=trap.folder, env=env
        )
        assert process.wait_exit(timeout=PATIENCE) == 1
        assert self.SENTENCE in process.output()


class TestInMemoryWithSeveralProcesses:
    def test_a_worker_does_not_start(self, trap: Trap) -> None:
        trap.layer(MEMORY)
        text = trap.says("runworker")
        assert "is in memory: it reaches no process but its own" in text
        assert f'give it the BACKEND "{REDIS}"' in text

    def test_daphne_says_that_nobody_will_answer(self, trap: Trap) -> None:
        trap.layer(MEMORY)
        trap.daphne().wait_printed("is in memory, and no worker runs in this process")

    def test_runserver_has_a_worker_of_its_own(self, trap: Trap) -> None:
        trap.layer(MEMORY)
        port = free_port()
        server = trap.manage("runserver", "--noreload", str(port))
        server.port = port
        server.wait_listening(timeout=PATIENCE)
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20)
        assert "no worker runs" not in server.output()


class Old(socketserver.StreamRequestHandler):
    """As much of Redis 6.0 as a client meets before it gives up."""

    INFO = b"# Server\r\nredis_version:6.0.16\r\nrun_id:1\r\n"

    def handle(self) -> None:
        while head := self.rfile.readline():
            words = []
            for _ in range(int(head[1:])):
                size = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(size + 2)[:-2].upper())
            if words[0] == b"INFO":
                self.wfile.write(b"$%d\r\n%s\r\n" % (len(self.INFO), self.INFO))
            elif words[:2] == [b"CLIENT", b"ID"]:
                self.wfile.write(b":1\r\n")
            else:
                self.wfile.write(b"+OK\r\n")


@pytest.fixture
def old_redis() -> Iterator[str]:
    """The URL of a Redis that is too old."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Old) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"redis://127.0.0.1:{server.server_address[1]}/0"
        server.shutdown()
        thread.join()


class TestRedisTooOld:
    SENTENCE = "is too old: djchan needs Redis 7.0 or Valkey 7.2, or newer."

    def test_commands(self, trap: Trap, old_redis: str) -> None:
        trap.layer(REDIS, hosts=[old_redis])
        for command in (("runworker",), ("check", "--deploy")):
            text = trap.says(*command)
            assert f"Redis 6.0.16 at {old_redis} {self.SENTENCE}" in text

    def test_daphne(self, trap: Trap, old_redis: str) -> None:
        trap.layer(REDIS, hosts=[old_redis])
        server = trap.daphne()
        server.wait_printed("The channel layer cannot be used: Redis 6.0.16")
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"http://127.0.0.1:{server.port}/", timeout=20)
        assert self.SENTENCE in server.output()


def test_a_channel_that_nobody_routes(trap: Trap, own_broker: Server) -> None:
    trap.layer(REDIS, "[route('jobs', 'consumers.take')]", hosts=[own_broker.url])
    send = trap.manage("shell", "-c", "from djchan import Channel; Channel('jbos').send({})")
    assert send.wait_exit(timeout=PATIENCE) == 0, send.output()
    worker = trap.manage("runworker")
    worker.wait_printed(r"Messages wait on 'jbos' \(1\), which no route of CHANNEL_LAYERS")
    check = trap.manage("check", "--deploy")
    assert check.wait_exit(timeout=PATIENCE) == 0
    assert "djchan.W009" in check.output() and "'jbos'" in check.output()


@pytest.mark.parametrize(
    ("routing", "sentence"),
    [
        ("[route('jobs', 'consumers.tkae')]", "Cannot import consumer 'consumers.tkae'"),
        ("[route('jobs', 'consumer.take')]", "Cannot import consumer 'consumer.take'"),
        ("[route_class('consumers.Jobs')]", "consumers.Jobs has no method 'wrok', which its"),
    ],
)
def test_a_wrong_name_of_a_consumer(trap: Trap, routing: str, sentence: str) -> None:
    trap.layer(REDIS, routing)
    text = trap.says("check")
    assert "djchan.E006" in text
    assert sentence in text


@pytest.mark.parametrize(
    ("app", "command"),
    [
        ("daphne", "runserver"),
        ("django.contrib.staticfiles", "runserver"),
        ("channels", "runworker"),
    ],
)
def test_another_apps_command_in_front(trap: Trap, app: str, command: str) -> None:
    trap.layer(MEMORY)
    settings = (trap.folder / "settings.py").read_text()
    trap.write(
        "settings.py",
        settings.replace("['djchan']", f"[{app!r}, 'djchan']") + "STATIC_URL = 'static/'\n",
    )
    extra = ["--noreload", str(free_port())] if command == "runserver" else ["some-channel"]
    text = trap.says(command, *extra)
    assert "djchan.E008" in text
    assert f"`manage.py {command}` is the command of '{app}', not of 'djchan'" in text
    assert f'move the line "djchan" above "{app}"' in text


def write_until(worker: Process, trap: Trap, name: str, text: str, pattern: str) -> None:
    """Write the file until ``worker`` prints ``pattern``: a change before its reloader's first
    look at a file is not seen."""
    due = [0.0]

    def printed() -> bool:
        if time.monotonic() > due[0]:
            trap.write(name, text)
            due[0] = time.monotonic() + 6
        return worker.printed(pattern) > 0

    wait_for(printed, timeout=PATIENCE, what=f"it prints {pattern!r}")


@pytest.mark.parametrize(
    ("name", "broken", "error"),
    [
        ("consumers.py", "def take(message) print('broken')\n", "SyntaxError"),
        ("routing.py", "import no_such_module\n", "No module named 'no_such_module'"),
    ],
)
def test_a_worker_that_reloads_waits_for_a_mended_file(
    trap: Trap, own_broker: Server, name: str, broken: str, error: str
) -> None:
    trap.layer(REDIS, "[route('jobs', 'consumers.take')]", hosts=[own_broker.url])
    sound = (trap.folder / name).read_text()
    worker = trap.manage("runworker", "--reload")

    worker.wait_printed(r"is ready", timeout=PATIENCE)
    write_until(worker, trap, name, broken, error)
    write_until(worker, trap, name, sound, rf"(?s){error}.*is ready")
    assert worker.stop() == 0


def test_a_worker_that_reloads_may_be_broken_when_it_starts(trap: Trap, own_broker: Server) -> None:
    (trap.folder / "jobs").mkdir()
    trap.write("jobs/__init__.py", "")
    trap.write("jobs/models.py", "class Job(models.Model)\n")
    trap.layer(
        REDIS,
        "[route('jobs', 'consumers.take')]",
        apps=("djchan", "jobs"),
        hosts=[own_broker.url],
    )
    sound = (trap.folder / "consumers.py").read_text()
    trap.write("consumers.py", "def take(message) print('broken')\n")
    worker = trap.manage("runworker", "--reload")
    models = r"jobs/models.py.*?SyntaxError.*?when a file changes\.\n"
    worker.wait_printed(rf"(?s){models}", timeout=PATIENCE)
    # Mended with a file that nothing has imported yet, and which is broken as well.
    trap.write("jobs/fields.py", "import no_such_module\n")
    trap.write("jobs/models.py", "import jobs.fields\n")
    fields = r"jobs/fields.py.*?No module named 'no_such_module'.*?when a file changes\.\n"
    worker.wait_printed(rf"(?s){models}.*{fields}", timeout=PATIENCE)
    trap.write("jobs/fields.py", "")
    consumers = r"consumers.py.*?SyntaxError"
    worker.wait_printed(rf"(?s){fields}.*{consumers}", timeout=PATIENCE)
    assert worker.printed("is ready") == 0
    write_until(worker, trap, "consumers.py", sound, rf"(?s){consumers}.*is ready")
    assert worker.stop() == 0
