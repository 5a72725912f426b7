"""docs/howto/channels-4.md is run as it stands there, step by step; and mistakes on the way."""

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from tests.processes.conftest import READY, socket
from tests.support.processes import Process, Processes
from tests.support.servers import Server
from tests.support.waiting import free_port

pytestmark = [pytest.mark.full, pytest.mark.timeout(60)]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "channels-4.md"
BLOCK = re.compile(r"```(?:python\n# (\S+\.py))?\n(.*?)```\n", re.S)
SEND = "await self.channel_layer.group_send"
OURS = 'CHANNEL_LAYERS["default"]["BACKEND"] = "djchan.layers.redis.RedisChannelLayer"\n'
NOT_INSTALLED = 'INSTALLED_APPS.remove("djchan")\n'
NO_ROUTING = 'del CHANNEL_LAYERS["default"]["ROUTING"]\n'
ORIGIN: Any = "http://localhost"


class Site:
    """A project of startproject, to which the steps of the page are added."""

    def __init__(self, home: Path, processes: Processes, broker: Server) -> None:
        self.home = home
        self.processes = processes
        self.env = {"DJANGO_SETTINGS_MODULE": "mysite.settings"}
        self._address = re.sub(r"redis://(.+):(\d+).*", r'("\1", \2)', broker.url)
        home.mkdir()
        call_command("startproject", "mysite", str(home), verbosity=0)
        (home / "chat").mkdir()
        (home / "mysite" / "asgi.py").unlink()

    def step(self, number: int) -> None:
        """Do what the page says up to this step."""
        begin, *steps = re.split(r"\n## \d\. ", PAGE.read_text())
        for text in (begin, *steps)[: number + 1]:
            for name, code in BLOCK.findall(text):
                if name == "mysite/settings.py":
                    self.add(name, code.replace('("127.0.0.1", 6379)', self._address))
                elif name:
                    (self.home / name).write_text(code)
                else:  # The first line of the room's receive().
                    path = self.home / "chat" / "consumers.py"
                    path.write_text(
                        path.read_text().replace(SEND, f"{code.strip()}\n        {SEND}")
                    )

    def add(self, name: str, code: str) -> None:
        with (self.home / name).open("a") as file:
            file.write(code)

    def daphne(self) -> Process:
        return self.processes.daphne("mysite.asgi:application", env=self.env, cwd=self.home)

    def worker(self) -> None:
        process = self.processes.runworker(env=self.env, cwd=self.home)
        process.wait_printed(READY)

    def check(self) -> str:
        process = self.processes.manage("check", env=self.env, cwd=self.home)
        process.wait_exit(timeout=15)
        return process.output()


@pytest.fixture
def site(tmp_path: Path, processes: Processes, own_broker: Server) -> Site:
    return Site(tmp_path / "site", processes, own_broker)


def heard(client: ClientConnection, count: int) -> set[str | bytes]:
    return {client.recv(timeout=10) for _ in range(count)}


def rooms(stack: ExitStack, server: Process, *paths: str) -> list[ClientConnection]:
    return [stack.enter_context(socket(server, path, origin=ORIGIN)) for path in paths]


def test_step_1_the_layer_alone_between_two_servers(site: Site) -> None:
    site.step(1)
    assert "no issues" in site.check()
    first, second = site.daphne(), site.daphne()
    with ExitStack() as stack:
        one, other = rooms(stack, first, "/ws/chat/a/", "/ws/chat/b/")
        (two,) = rooms(stack, second, "/ws/chat/a/")
        one.send("hello")
        assert heard(one, 1) == heard(two, 1) == {"hello"}
        other.send("here")
        assert heard(other, 1) == {"here"}


def test_steps_2_and_3_consumers_and_sockets_of_workers_beside(site: Site) -> None:
    site.step(3)
    assert "no issues" in site.check()
    server = site.daphne()
    site.worker()
    with ExitStack() as stack:
        inside, outside = rooms(stack, server, "/ws/chat/a/", "/ws/workers/a/")
        inside.send("hello")
        assert heard(inside, 2) == heard(outside, 2) == {"hello", "5 letters"}
        outside.send("hi")
        assert heard(inside, 1) == heard(outside, 1) == {"hi"}


def test_runserver_with_the_layer_alone_and_djchan_installed(site: Site) -> None:
    site.step(1)
    site.add("mysite/settings.py", 'INSTALLED_APPS = ["djchan", *INSTALLED_APPS]\n')
    assert "no issues" in site.check()
    port = free_port()
    process = site.processes.manage(
        "runserver", "--noreload", str(port), env=site.env, cwd=site.home
    )
    process.port = port
    process.wait_listening()
    with socket(process, "/ws/chat/a/", origin=ORIGIN) as client:
        client.send("hello")
        assert heard(client, 1) == {"hello"}


@pytest.mark.parametrize(
    ("step", "mistake", "at_start", "at_first_use"),
    [
        (1, OURS, "", "Channels 4 uses this layer of CHANNEL_LAYERS by itself"),
        (2, NO_ROUTING, "No ROUTING specified for default", "No ROUTING specified for default"),
        (3, NOT_INSTALLED, "'djchan' is not in INSTALLED_APPS", "ROUTING key found for default"),
    ],
    ids=["the backend alone", "no routing", "not installed"],
)
def test_a_mistake_is_named_by_daphne(
    site: Site, step: int, mistake: str, at_start: str, at_first_use: str
) -> None:
    site.step(step)
    site.add("mysite/settings.py", mistake)
    server = site.daphne()
    server.wait_printed(at_start)
    before = server.printed(at_first_use)
    with pytest.raises(InvalidStatus), socket(server, "/ws/chat/a/", origin=ORIGIN):
        pass
    server.wait_printed(at_first_use, times=before + 1)
