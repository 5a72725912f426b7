"""Appendix B of the contract, line 10: the layer conformance suite, on each kind of layer.

It is the one that ships in ``djchan.test``. See test_appendix_b.py for the other lines.
"""

import functools
import secrets
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from djchan.layers.base import BaseChannelLayer
from djchan.layers.memory.links import MemoryEngine
from djchan.layers.redis import RedisChannelLayer, RedisSentinelChannelLayer
from djchan.test import conformance
from tests.support.processes import Processes
from tests.support.servers import Server, any_kind
from tests.support.waiting import free_port

pytestmark = pytest.mark.timeout(60)

EXPIRY = 1.0


class Conforms(conformance.ConformanceTestCase):
    """``make``: makes another layer over the same store."""

    __test__ = False
    expiry_delay = EXPIRY + 0.1
    capacity_limit = 5
    make: Callable[..., Any]

    def make_layer(self, **options: Any) -> Any:
        return type(self).make(**options)


@pytest.mark.parametrize("kind", ["memory", "plain", "encrypted", "sentinel"])
def test_b10_layer_conformance(
    kind: str,
    redis_or_valkey: Server,
    processes: Processes,
    tmp_path: Path,
) -> None:
    options: dict[str, Any] = {"expiry": EXPIRY, "capacity": 5}
    layer_class: Callable[..., Any] = functools.partial(
        RedisChannelLayer, [redis_or_valkey.url], prefix=f"b10-{secrets.token_hex(6)}"
    )
    if kind == "memory":
        layer_class = functools.partial(BaseChannelLayer, engine=MemoryEngine())
    elif kind == "encrypted":
        options["symmetric_encryption_keys"] = ["new", "old"]
    elif kind == "sentinel":
        port = start_sentinel(redis_or_valkey, processes, tmp_path)
        layer_class = functools.partial(
            RedisSentinelChannelLayer,
            [("127.0.0.1", port)],
            services=["main"],
            prefix=f"b10-{secrets.token_hex(6)}",
        )
    layers: list[Any] = []

    def make(**more: Any) -> Any:
        layers.append(layer_class(**{**options, **more}))
        return layers[-1]

    ran = run(type("Case", (Conforms,), {"channel_layer": make(), "make": staticmethod(make)}))
    for layer in layers:
        layer.close()
    assert [text for _, text in ran.failures + ran.errors] == []
    assert ran.testsRun > 30
    # Membership has no age limit here.
    assert {why for _, why in ran.skipped} <= {"the class has no group_expiry_delay"}


def run(case: type[unittest.TestCase]) -> unittest.TestResult:
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(case)
    return suite.run(unittest.TestResult())


@pytest.fixture
def redis_or_valkey(request: pytest.FixtureRequest) -> Server:
    kind = f"{any_kind()}_server"
    server: Server = request.getfixturevalue(kind)
    server.start()
    return server


def start_sentinel(master: Server, processes: Processes, folder: Path) -> int:
    """A sentinel that knows ``master`` by the name of main; its port."""
    port, config = free_port(), folder / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor main 127.0.0.1 {master.port} 1\n"
    )
    sentinel = processes.start(master.binary, str(config), "--sentinel", name="sentinel")
    sentinel.port = port
    sentinel.wait_listening()
    return port


def test_b10_layer_conformance_sharded_is_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match=r"2 servers, but a layer lives on one: .* as a whole"):
        RedisChannelLayer(hosts=["redis://127.0.0.1:1/0", "redis://127.0.0.1:2/0"])
