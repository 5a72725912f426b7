"""docs/howto/test-with-faults.md is true: its test fails as it says, and passes as it says."""

import inspect
import re
import sys
import types
import unittest
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.cache import cache

from djchan import channel_layers
from djchan.asgi import ChannelLayerManager
from djchan.test import ChaosLayer
from djchan.test.faults import KINDS

PAGE = Path(__file__).resolve().parents[2] / "docs/howto/test-with-faults.md"
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGE.read_text(), re.S)
CODE = [text for kind, text in BLOCKS if kind == "python"]
CONSUMERS, ROUTING, TESTS, BETTER, BY_HAND = CODE


@pytest.fixture
def shop() -> Iterator[dict[str, types.ModuleType]]:
    """The package of the page, without its modules."""
    made = {name: types.ModuleType(name) for name in ("shop", "shop.consumers", "shop.routing")}
    made["shop"].__path__ = []
    sys.modules.update(made)
    yield made
    for name in made:
        del sys.modules[name]
    cache.clear()


def result_of(shop: dict[str, types.ModuleType], consumers: str) -> tuple[bool, str, ChaosLayer]:
    """Whether the test of the page passes with these consumers, and what it prints."""
    exec(consumers, vars(shop["shop.consumers"]))
    exec(ROUTING, vars(shop["shop.routing"]))
    namespace = {"__name__": "shop.tests"}
    exec(TESTS, namespace)
    layers: list[ChaosLayer] = []
    case = namespace["ConfirmTests"]
    case.tearDown = lambda self: layers.append(channel_layers["default"].channel_layer)
    printed = StringIO()
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(case)
    result = unittest.TextTestRunner(printed).run(suite)
    assert result.testsRun == 1 and not result.errors, printed.getvalue()
    return result.wasSuccessful(), printed.getvalue(), layers[0]


@pytest.mark.django_db
def test_the_first_consumer_fails_as_the_page_says(shop):
    passed, printed, layer = result_of(shop, CONSUMERS)

    assert not passed
    (failure,) = (text for kind, text in BLOCKS if text.startswith("AssertionError"))
    assert failure.strip() in printed
    (session,) = (text for kind, text in BLOCKS if kind == "pycon")
    assert repr(layer.faults[:2]) in session
    assert repr(layer.counts) in session


@pytest.mark.django_db
def test_the_second_one_passes(shop):
    passed, printed, layer = result_of(shop, BETTER)

    assert passed, printed
    assert layer.counts["repeat"] > 0


def test_the_settings_of_the_page_can_be_used(settings, shop):
    shop["shop.routing"].channel_routing = []
    namespace: dict[str, object] = {}
    exec(BY_HAND, namespace)
    settings.CHANNEL_LAYERS = namespace["CHANNEL_LAYERS"]
    assert isinstance(ChannelLayerManager()["default"].channel_layer, ChaosLayer)


def test_every_option_is_told():
    told = set(re.findall(r"^\| `(\w+)`", PAGE.read_text(), re.M))
    options = set(inspect.signature(ChaosLayer).parameters)

    assert told == options
    assert set(KINDS) < options
