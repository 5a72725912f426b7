"""Fixtures of the compatibility tests: one project of Channels 1.x, running, for all of them."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from djchan.asgi import ChannelLayerWrapper
from djchan.layers.redis.layer import RedisChannelLayer
from tests.processes.conftest import READY, Project, together
from tests.support.processes import Processes
from tests.support.servers import Server

HOME = Path(__file__).parent / "project"


class Site(Project):
    """The project with its database, Daphne (``server``) and a worker of four threads.

    ``cookies``: the session keys of the users ann and bob, and of old, who logged in when
    SECRET_KEY was another.
    """

    home = HOME

    def __init__(self, processes: Processes, broker: Server, folder: Path) -> None:
        super().__init__(processes, broker, folder)
        self.env["DJANGO_SETTINGS_MODULE"] = "settings1x"
        self.env["DATABASE"] = str(folder / "db.sqlite3")
        prepared = processes.python("prepare.py", env=self.env, cwd=HOME)
        assert prepared.wait_exit(timeout=30) == 0, prepared.output()
        self.cookies: dict[str, str] = json.loads(prepared.output().splitlines()[-1])
        self.layer = RedisChannelLayer(hosts=[broker.url])
        self.runworker = processes.runworker("--threads", "4", env=self.env, cwd=HOME)
        self.server = self.daphne("asgi:channel_layer")
        self.runworker.wait_printed(READY)

    def apart(self, prefix: str, **config: object) -> Project:
        """The same project and Redis with a layer of its own, for other processes."""
        other = Project(self.processes, self.broker, self.marks.parent)
        other.home = HOME
        other.env = {**self.env, "LAYER_CONFIG": json.dumps({"prefix": prefix, **config})}
        return other

    def marked(self, text: str) -> list[str]:
        """The marks that begin with ``text``, without it."""
        return [line[len(text) :] for _, line in self.lines() if line.startswith(text)]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("compat")
    with together(folder) as (broker, processes):
        yield Site(processes, broker, folder)


@pytest.fixture
def narrow(site: Site) -> Iterator[Callable[..., ChannelLayerWrapper]]:
    """A layer over Redis whose channels hold two messages, with these routes."""
    made: list[RedisChannelLayer] = []

    def narrow(*routes: Any) -> ChannelLayerWrapper:
        layer = RedisChannelLayer(
            hosts=[site.broker.url], prefix=f"narrow-{time.monotonic_ns()}", capacity=2
        )
        made.append(layer)
        return ChannelLayerWrapper(layer, "default", list(routes))

    yield narrow
    for layer in made:
        layer.flush()
        layer.close()
