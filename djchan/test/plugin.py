"""djchan's plugin for pytest: no test reaches a live layer, and fixtures.

pytest loads it wherever djchan is installed (the entry point ``pytest11``). It imports neither
Django nor settings before a fixture is used, for not every project that pytest runs in has them.

==========================  ==============================================================
``channel_layer``           the default layer, in memory and empty
``ws_client``               a ``WSClient``
``channel_live_server``     a Daphne and a worker: ``url``, ``ws_url``
==========================  ==============================================================

A fixture of a project's conftest.py that has one of these names takes its place.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from typing import TYPE_CHECKING, cast

import pytest

from djchan import DEFAULT_CHANNEL_LAYER
from djchan.test_mode import MEMORY, test_mode

if TYPE_CHECKING:
    from djchan.asgi import ChannelLayerWrapper
    from djchan.test.liveserver import FixtureServer
    from djchan.test.websocket import WSClient

_undo = pytest.StashKey[ExitStack]()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Before pytest-django sets Django up, and before any module of a project is imported."""
    undo = early_config.stash[_undo] = ExitStack()
    if not test_mode.chosen:
        undo.enter_context(test_mode.using(MEMORY))
    return (yield)


def pytest_unconfigure(config: pytest.Config) -> None:
    undo = config.stash.get(_undo, None)
    if undo is not None:
        undo.close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    test_mode.begin_test()


@pytest.fixture
def channel_layer(request: pytest.FixtureRequest) -> "ChannelLayerWrapper":
    """The default channel layer (a ``ChannelLayerWrapper``), in memory and empty."""
    _need_settings(request)
    layers = import_module("djchan.asgi").channel_layers
    return cast("ChannelLayerWrapper", layers[DEFAULT_CHANNEL_LAYER])


@pytest.fixture
def ws_client(request: pytest.FixtureRequest) -> "WSClient":
    """A ``djchan.test.WSClient`` of the default channel layer."""
    _need_settings(request)
    return cast("WSClient", import_module("djchan.test.websocket").WSClient())


@pytest.fixture
def channel_live_server(request: pytest.FixtureRequest) -> Iterator["FixtureServer"]:
    """A Daphne and a worker as processes, on the layer of TEST_CONFIG: ``url``, ``ws_url``.

    The test's changes of the database are committed, for the processes to see them.
    """
    _need_settings(request)
    if not request.config.pluginmanager.hasplugin("django"):
        raise pytest.UsageError(
            "The fixture channel_live_server needs pytest-django, which makes the test database. "
            "Install it, or use djchan.test.ChannelLiveServerTestCase."
        )
    request.getfixturevalue("transactional_db")
    tools = import_module("djchan.test.liveserver")
    server = tools.FixtureServer()
    with server.serving(tools.changed_settings()):
        yield server


def _need_settings(request: pytest.FixtureRequest) -> None:
    if not import_module("django.conf").settings.configured:
        raise pytest.UsageError(
            f"The fixture {request.fixturename} needs Django's settings, which are not configured. "
            "Install pytest-django and set DJANGO_SETTINGS_MODULE (in pytest's configuration, or "
            "in the environment)."
        )
