"""Every engine there is, one after the other: what the contract's tests run on."""

import re
import secrets
from collections.abc import Iterator

import pytest

from djchan.layers.base import BaseChannelLayer
from djchan.layers.engine import Engine
from djchan.layers.memory.links import MemoryEngine
from djchan.layers.operations import Flush
from djchan.layers.redis.engine import RedisEngine
from djchan.layers.sealed import SealedEngine
from tests.layers.talk import PLAIN, Talk
from tests.support.servers import Server


@pytest.fixture(params=[*PLAIN, "encrypted"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An empty layer of its own: in memory, there without anything to read, in a Redis, in a
    Valkey."""
    if request.param == "memory":
        yield MemoryEngine()
        return
    if request.param == "encrypted":
        yield SealedEngine(MemoryEngine(), ["key", "an older one"])
        return
    server: Server = request.getfixturevalue(f"{request.param}_server")
    server.start()
    engine = RedisEngine(hosts=[server.url], prefix=f"test-{secrets.token_hex(6)}")
    yield engine
    link = engine.link("cleanup")
    link.perform(Flush())
    link.close()


@pytest.fixture
def layer(engine: Engine) -> Iterator[BaseChannelLayer]:
    """A layer over every engine there is."""
    layer = BaseChannelLayer(engine=engine)
    yield layer
    layer.close()


@pytest.fixture
def run(engine: Engine, request: pytest.FixtureRequest) -> str:
    """What new connections of ``engine`` say as History (those of memory say nothing)."""
    if engine.local_only:
        return "this run"
    name = request.node.callspec.params["engine"]
    server: Server = request.getfixturevalue(f"{name}_server")
    found = re.search(rb"run_id:(\w+)", server.command("INFO", "server"))
    assert found is not None
    return found[1].decode()


@pytest.fixture
def talk(engine: Engine) -> Iterator[Talk]:
    """One link to ``engine``, and short words for what tests say over it."""
    talk = Talk(engine)
    yield talk
    talk.close()
