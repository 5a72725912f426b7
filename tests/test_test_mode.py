"""Which layers a process may use: as configured, in memory, or those of TEST_CONFIG."""

import os
import threading
from typing import Any

import pytest
from django.test import SimpleTestCase
from django.test import utils as django_test

from djchan import asgi
from djchan.asgi import ChannelLayerManager, ChannelLayerWrapper, InvalidChannelLayerError
from djchan.channels4 import RedisLayer, RedisSentinelLayer
from djchan.checks import check_layers, in_memory, sentence
from djchan.deploy_checks import check_memory
from djchan.exceptions import InvalidChannelLayer
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.redis import RedisChannelLayer
from djchan.routing import Route
from djchan.test_mode import CONFIG, MEMORY, TEST_CONFIG, VARIABLE, TestMode
from djchan.worker import Worker

REDIS = "djchan.layers.redis.RedisChannelLayer"
IN_MEMORY = "djchan.layers.inmemory.InMemoryChannelLayer"
LIVE: dict[str, Any] = {"hosts": [("127.0.0.1", 1)]}  # Nobody is there.


@pytest.fixture(autouse=True)
def variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)


class TestTheMode:
    def test_a_site_has_its_configured_layers(self, monkeypatch):
        monkeypatch.delattr(django_test._TestState, "saved_data")
        assert TestMode().layers() == CONFIG
        assert VARIABLE not in os.environ

    def test_djangos_test_environment_means_memory_and_is_handed_down(self):
        assert TestMode().layers() == MEMORY
        assert os.environ[VARIABLE] == MEMORY

    @pytest.mark.parametrize("inherited", [CONFIG, MEMORY, TEST_CONFIG])
    def test_a_process_of_a_test_is_told(self, inherited, monkeypatch):
        monkeypatch.delattr(django_test._TestState, "saved_data")
        assert TestMode(inherited).layers() == inherited

    def test_a_variable_that_is_none_of_them_is_refused(self):
        with pytest.raises(InvalidChannelLayer, match=r"DJCHAN_TEST_LAYERS is 'redis'.*memory"):
            TestMode("redis").layers()

    def test_what_is_used_for_a_while_is_handed_down_for_that_while(self):
        mode = TestMode(MEMORY)
        with mode.using(TEST_CONFIG):
            with mode.using(CONFIG):
                assert (mode.layers(), os.environ[VARIABLE]) == (CONFIG, CONFIG)
            assert (mode.layers(), os.environ[VARIABLE]) == (TEST_CONFIG, TEST_CONFIG)
        assert mode.layers() == MEMORY
        assert VARIABLE not in os.environ

    def test_each_of_djangos_test_cases_is_another_test(self, monkeypatch):
        monkeypatch.setattr(SimpleTestCase, "_pre_setup", vars(SimpleTestCase)["_pre_setup"])
        mode = TestMode()
        before, ran = mode.test(), []

        class Case(SimpleTestCase):
            def runTest(self) -> None:
                ran.append(mode.test() - before)

        for _ in range(3):
            Case().debug()
        assert ran == [1, 2, 3]


@pytest.fixture
def mode(monkeypatch: pytest.MonkeyPatch) -> TestMode:
    """That of a process in which tests run."""
    mode = TestMode(MEMORY)
    for module in ("asgi", "stand_ins", "checks", "deploy_checks", "test.real_layers"):
        monkeypatch.setattr(f"djchan.{module}.test_mode", mode)
    return mode


@pytest.fixture
def layers(settings: Any, mode: TestMode) -> ChannelLayerManager:
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": REDIS,
            "ROUTING": [],
            "CONFIG": {**LIVE, "capacity": 7, "channel_capacity": {"wide.*": 9}},
        },
        "real": {"BACKEND": REDIS, "ROUTING": [], "CONFIG": LIVE, "TEST_CONFIG": LIVE},
        "local": {"BACKEND": IN_MEMORY, "ROUTING": [], "CONFIG": {"capacity": 3}},
    }
    return asgi.channel_layers


def test_layers_that_channels_4_makes_itself_are_in_memory(monkeypatch, mode):
    monkeypatch.setattr("djchan.channels4.test_mode", mode)
    for kind, options in ((RedisLayer, LIVE), (RedisSentinelLayer, {**LIVE, "services": ["main"]})):
        for which in (MEMORY, TEST_CONFIG):
            with mode.using(which):
                layer = kind(capacity=7, **options)
            assert isinstance(layer.layer, InMemoryChannelLayer)
            assert layer.capacity == 7


class TestTheLayers:
    def test_one_in_memory_takes_the_place_with_the_same_limits(self, layers):
        wrapper = layers["default"]
        assert type(wrapper.channel_layer) is InMemoryChannelLayer
        assert wrapper.local_only()
        assert (wrapper.capacity, wrapper.capacity_of("wide.1")) == (7, 9)
        assert layers.make_backend("default").local_only()

    def test_whoever_held_the_layer_before_has_the_other_one(self, layers, mode):
        with mode.using(CONFIG):
            wrapper = layers["default"]
            assert isinstance(wrapper.channel_layer, RedisChannelLayer)
            faces = wrapper.interface, wrapper.channels4
        layer = wrapper.channel_layer
        assert wrapper.local_only()
        assert wrapper.interface.layer is layer and wrapper.channels4.layer is layer
        with mode.using(CONFIG):
            assert isinstance(wrapper.channel_layer, RedisChannelLayer)
        assert faces[0] is not wrapper.interface and faces[1] is not wrapper.channels4

    @pytest.mark.parametrize("alias", ["default", "local"])
    def test_it_is_empty_when_a_test_begins(self, layers, mode, alias):
        wrapper = layers[alias]
        wrapper.send("jobs", {})
        wrapper.channel_layer.move_clock(3_600_000)
        assert wrapper.waiting() == {"jobs": 1}
        ahead = wrapper.now()
        mode.begin_test()
        assert wrapper.waiting() == {}
        assert wrapper.now() < ahead

    def test_one_that_is_configured_in_memory_stays(self, layers, mode):
        wrapper = layers["local"]
        layer = wrapper.channel_layer
        with mode.using(CONFIG):
            assert wrapper.channel_layer is layer

    def test_one_that_was_made_by_hand_is_left_alone(self, mode):
        layer = RedisChannelLayer()
        assert ChannelLayerWrapper(layer, "default", []).channel_layer is layer

    def test_a_mistake_in_the_config_is_found_all_the_same(self, settings, mode):
        settings.CHANNEL_LAYERS = {
            "default": {"BACKEND": REDIS, "ROUTING": [], "CONFIG": {"cpacity": 7}}
        }
        with pytest.raises(InvalidChannelLayerError, match="cpacity"):
            asgi.channel_layers["default"]

    def test_a_worker_of_this_process_goes_on_in_the_next_test(self, layers, mode):
        done = threading.Event()
        wrapper = layers["default"]
        wrapper.router.add_route(Route("jobs", lambda message: done.set()))
        worker = Worker(wrapper, signal_handlers=False)
        thread = threading.Thread(target=worker.run, daemon=True)
        thread.start()
        try:
            for _ in range(2):
                done.clear()
                wrapper.send("jobs", {})
                assert done.wait(15)
                mode.begin_test()
        finally:
            worker.stop()
            thread.join(15)
        assert not thread.is_alive()


class TestOfTestConfig:
    def test_only_that_of_test_config_is_another(self, layers, mode):
        with mode.using(TEST_CONFIG):
            assert isinstance(layers["real"].channel_layer, RedisChannelLayer)
            assert layers["default"].local_only()


class TestWhatIsSaidOfIt:
    def test_no_check_complains(self, layers, settings):
        settings.DEBUG = False
        assert check_layers(None) == []
        settings.DEBUG = True
        assert check_memory(None) == []

    def test_a_worker_that_a_test_starts_is_told_why(self, mode):
        said = sentence(in_memory("default"))
        assert "since tests run (DJCHAN_TEST_LAYERS is 'memory')" in said
        assert "use_test_config()" in said and "DJCHAN_TEST_LAYERS=CONFIG" in said

    def test_so_is_a_server(self, layers, caplog):
        wrapper = layers["default"]
        wrapper.interface.warm_up = lambda: None
        wrapper.warm_up()
        assert "is in memory, since tests run" in caplog.text
