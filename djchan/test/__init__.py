"""What a project tests its consumers with. The names are loaded at their first use.

``ChannelTestCase``, ``TransactionChannelTestCase``: a layer for each test (``test.base``).
``Client``, ``WSClient``: send a message, run its consumer (``test.client``, ``test.websocket``).
``apply_routes``: other routes for a test (``test.routes``).
``ChannelLiveServerTestCase``: a Daphne and a worker for each test (``test.liveserver``).
``ChaosLayer``: a channel layer that makes faults, by seed (``test.chaos``).
``ConformanceTestCase``: whether a layer keeps the contract, for its author (``test.conformance``).
``use_test_config``: the layers of TEST_CONFIG, for a test of several processes
(``test.real_layers``).
``work_off``: run what waits, in this thread, until nothing does (``test.work``).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from djchan.test.base import ChannelTestCase, TransactionChannelTestCase
    from djchan.test.chaos import ChaosLayer
    from djchan.test.client import Client
    from djchan.test.conformance import ConformanceTestCase
    from djchan.test.http import HttpClient as HttpClient
    from djchan.test.liveserver import ChannelLiveServerTestCase
    from djchan.test.real_layers import use_test_config
    from djchan.test.routes import apply_routes
    from djchan.test.websocket import WSClient
    from djchan.test.work import awork_off, work_off

__all__ = [
    "ChannelLiveServerTestCase",
    "ChannelTestCase",
    "ChaosLayer",
    "Client",
    "ConformanceTestCase",
    "TransactionChannelTestCase",
    "WSClient",
    "apply_routes",
    "awork_off",
    "use_test_config",
    "work_off",
]

_HOMES = {
    "ChannelLiveServerTestCase": "djchan.test.liveserver",
    "ChannelTestCase": "djchan.test.base",
    "ChaosLayer": "djchan.test.chaos",
    "Client": "djchan.test.client",
    "ConformanceTestCase": "djchan.test.conformance",
    "HttpClient": "djchan.test.http",
    "TransactionChannelTestCase": "djchan.test.base",
    "WSClient": "djchan.test.websocket",
    "apply_routes": "djchan.test.routes",
    "awork_off": "djchan.test.work",
    "use_test_config": "djchan.test.real_layers",
    "work_off": "djchan.test.work",
}


if not TYPE_CHECKING:  # Which would take it for every name.

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
