"""``use_test_config``: a test that asks for real layers has those of TEST_CONFIG."""

import asyncio
import os
import unittest

import pytest

from djchan import asgi
from djchan.asgi import InvalidChannelLayerError
from djchan.test import use_test_config
from djchan.test_mode import MEMORY, TEST_CONFIG, VARIABLE, TestMode

REDIS = "djchan.layers.redis.RedisChannelLayer"
LIVE = {"hosts": ["redis://127.0.0.1:1"]}  # Nobody is there.


@pytest.fixture(autouse=True)
def mode(monkeypatch: pytest.MonkeyPatch) -> TestMode:
    """That of a process in which tests run."""
    mode = TestMode(MEMORY)
    monkeypatch.setenv(VARIABLE, MEMORY)
    for module in ("asgi", "stand_ins", "test.real_layers"):
        monkeypatch.setattr(f"djchan.{module}.test_mode", mode)
    return mode


def test_it_is_asked_for(settings, broker):
    entry = {"BACKEND": REDIS, "ROUTING": [], "CONFIG": LIVE}
    of_tests = {"TEST_CONFIG": {"hosts": [broker.url], "prefix": "mode"}}
    settings.CHANNEL_LAYERS = {"default": entry | of_tests, "other": entry}
    held = asgi.channel_layers["default"]

    @use_test_config()
    def test():
        held.send("jobs", {})
        assert asgi.channel_layers["default"].waiting() == {"jobs": 1}
        assert asgi.channel_layers["other"].local_only()
        assert os.environ[VARIABLE] == TEST_CONFIG

    for _ in range(2):  # It is emptied each time.
        test()
    assert asgi.channel_layers["default"] is held
    assert held.waiting() == {}


def test_without_any_it_cannot_be(settings):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": REDIS, "ROUTING": []}}
    with pytest.raises(InvalidChannelLayerError, match="No TEST_CONFIG specified for default"):
        use_test_config().enter()


def test_a_coroutine_and_a_class_of_tests_may_ask(settings, broker):
    of_tests = {"hosts": [broker.url], "prefix": "decorated"}
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": REDIS, "ROUTING": [], "CONFIG": LIVE, "TEST_CONFIG": of_tests}
    }
    found = []

    @use_test_config()
    async def test():
        found.append(asgi.channel_layers["default"].local_only())

    @use_test_config()
    class Case(unittest.TestCase):
        def runTest(self):
            found.append(asgi.channel_layers["default"].local_only())

    asyncio.run(test())
    Case().debug()
    assert found == [False, False]
    assert asgi.channel_layers["default"].local_only()
