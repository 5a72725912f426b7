"""djchan.asgi: settings to layers, and the wrapper that is an ASGI application."""

import copy
import inspect
import logging
import os
import subprocess
import sys

import pytest
from asgiref.compatibility import is_double_callable

from djchan import Channel, Group, asgi
from djchan.asgi import (
    SUCCESSORS,
    ChannelLayerManager,
    ChannelLayerWrapper,
    InvalidChannelLayerError,
    NoChannelLayerError,
    backend_path,
    channel_layers,
    get_asgi_application,
    get_channel_layer,
)
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.redis import RedisChannelLayer
from djchan.routing import Router
from djchan.worker import Worker

IN_MEMORY = "djchan.layers.inmemory.InMemoryChannelLayer"


@pytest.fixture
def configured(settings):
    """Sets CHANNEL_LAYERS to one entry, and answers with a manager that reads it."""

    def configure(**entry):
        settings.CHANNEL_LAYERS = {"default": entry}
        return ChannelLayerManager()

    return configure


class TestManager:
    def test_builds_a_layer_once(self, configured):
        layers = configured(BACKEND=IN_MEMORY, ROUTING=[], CONFIG={"capacity": 7})
        assert "default" in layers
        assert "other" not in layers
        wrapper = layers["default"]
        assert layers["default"] is wrapper
        assert isinstance(wrapper, ChannelLayerWrapper)
        assert wrapper.capacity == 7
        assert layers.make_backend("default") is not wrapper

    def test_an_unknown_alias(self, configured):
        layers = configured(BACKEND=IN_MEMORY, ROUTING=[])
        with pytest.raises(KeyError, match="other"):
            layers["other"]

    def test_without_the_setting_there_are_none(self, settings):
        del settings.CHANNEL_LAYERS
        assert ChannelLayerManager().configs == {}
        assert "default" not in ChannelLayerManager()

    def test_set_swaps_a_layer(self, configured):
        layers = configured(BACKEND=IN_MEMORY, ROUTING=[])
        assert layers.set("default", "first") is None
        assert layers.set("default", "second") == "first"
        assert layers["default"] == "second"
        assert layers.set("default", None) == "second"
        assert isinstance(layers["default"], ChannelLayerWrapper)

    def test_the_test_layer_has_its_own_config(self, configured):
        layers = configured(
            BACKEND=IN_MEMORY, ROUTING=[], CONFIG={"capacity": 7}, TEST_CONFIG={"capacity": 3}
        )
        assert layers.make_test_backend("default").capacity == 3

    def test_forgets_on_setting_changed(self, settings):
        before = channel_layers["default"]
        settings.CHANNEL_LAYERS = {"default": {"BACKEND": IN_MEMORY, "ROUTING": []}}
        assert channel_layers["default"] is not before

    def test_options_of_the_interface_and_the_worker(self, configured, settings):
        settings.CHANNELS_WS_PROTOCOLS = ["chat"]
        layers = configured(
            BACKEND=IN_MEMORY, ROUTING=[], INTERFACE={"http_timeout": 9}, WORKER={"attempts": 2}
        )
        wrapper = layers["default"]
        assert wrapper.interface_options == {"http_timeout": 9, "websocket_protocols": ("chat",)}
        assert wrapper.worker_options == {"attempts": 2}


class TestMistakes:
    """Each is named, with its alias and what to do."""

    def test_no_backend(self, configured):
        with pytest.raises(InvalidChannelLayerError, match="No BACKEND specified for default"):
            configured(ROUTING=[])["default"]

    def test_no_routing(self, configured):
        with pytest.raises(InvalidChannelLayerError, match="No ROUTING specified for default"):
            configured(BACKEND=IN_MEMORY)["default"]

    def test_an_entry_of_channels_4(self, configured):
        with pytest.raises(ValueError, match="an entry for Channels 4"):
            configured(BACKEND="channels_redis.core.RedisChannelLayer", CONFIG={})["default"]

    @pytest.mark.parametrize("backend", ["nowhere.Layer", "djchan.layers.inmemory.Nothing", "x"])
    def test_a_backend_that_is_not_there(self, configured, backend):
        with pytest.raises(
            InvalidChannelLayerError, match=f"Cannot import BACKEND '{backend}' specified for def"
        ):
            configured(BACKEND=backend, ROUTING=[])["default"]

    def test_a_backend_that_is_no_layer(self, configured):
        with pytest.raises(InvalidChannelLayerError, match="not a djchan layer"):
            configured(BACKEND="channels.layers.BaseChannelLayer", ROUTING=[])["default"]

    @pytest.mark.parametrize(
        ("backend", "remedy"),
        [("asgi_ipc.IPCChannelLayer", "unix:///"), ("asgi_rabbitmq.RabbitmqChannelLayer", "Redis")],
    )
    def test_a_backend_without_a_successor(self, configured, backend, remedy):
        with pytest.raises(InvalidChannelLayerError, match=f"{backend}.*{remedy}"):
            configured(BACKEND=backend, ROUTING=[])["default"]

    @pytest.mark.parametrize("config", [{"capacity": -1}, {"cpacity": 7}])
    def test_a_config_that_cannot_be(self, configured, config):
        with pytest.raises(InvalidChannelLayerError, match=r"'default'.*(capacity|cpacity)"):
            configured(BACKEND=IN_MEMORY, ROUTING=[], CONFIG=config)["default"]

    def test_no_test_config(self, configured):
        layers = configured(BACKEND=IN_MEMORY, ROUTING=[])
        with pytest.raises(InvalidChannelLayerError, match="No TEST_CONFIG specified for default"):
            layers.make_test_backend("default")

    @pytest.mark.parametrize("value", [["default"], "default"])
    def test_a_setting_that_is_no_dict(self, settings, value):
        settings.CHANNEL_LAYERS = value
        with pytest.raises(InvalidChannelLayerError, match="must be a dict"):
            ChannelLayerManager()["default"]

    def test_an_entry_that_is_no_dict(self, settings):
        settings.CHANNEL_LAYERS = {"default": IN_MEMORY}
        with pytest.raises(InvalidChannelLayerError, match="must be a dict"):
            ChannelLayerManager()["default"]

    def test_no_default_layer(self, settings):
        settings.CHANNEL_LAYERS = {}
        with pytest.raises(InvalidChannelLayerError, match="no entry 'default'"):
            get_channel_layer()


class TestOlderBackends:
    @pytest.mark.parametrize("backend", sorted(SUCCESSORS))
    def test_have_a_successor(self, backend):
        assert backend_path("default", backend).startswith("djchan.layers.")

    def test_an_old_settings_file_works_as_it_is(self, configured):
        layers = configured(
            BACKEND="asgi_redis.RedisChannelLayer",
            CONFIG={"hosts": [("localhost", 6379)]},
            ROUTING=[],
        )
        assert isinstance(layers["default"].channel_layer, RedisChannelLayer)

    def test_in_memory(self, configured):
        layers = configured(BACKEND="asgiref.inmemory.ChannelLayer", ROUTING=[])
        assert isinstance(layers["default"].channel_layer, InMemoryChannelLayer)

    def test_the_local_layer_warns(self, configured, caplog):
        layers = configured(BACKEND="asgi_redis.RedisLocalChannelLayer", ROUTING=[])
        with caplog.at_level(logging.WARNING):
            assert isinstance(layers["default"].channel_layer, RedisChannelLayer)
        assert "RedisLocalChannelLayer" in caplog.text

    def test_the_others_do_not(self, configured, caplog):
        layers = configured(BACKEND="asgi_redis.RedisChannelLayer", ROUTING=[])
        assert isinstance(layers["default"].channel_layer, RedisChannelLayer)
        assert caplog.text == ""


class TestWrapper:
    @pytest.fixture
    def layer(self):
        return InMemoryChannelLayer()

    @pytest.fixture
    def wrapper(self, layer):
        return ChannelLayerWrapper(layer, "default", [], interface_options={"http_timeout": 9})

    def test_is_the_layer_and_more(self, wrapper, layer):
        assert wrapper.channel_layer is layer
        assert (wrapper.alias, wrapper.routing) == ("default", [])
        wrapper.send("a", {"n": 1})
        assert wrapper.receive(["a"]) == ("a", {"n": 1})
        assert wrapper.ChannelFull is layer.ChannelFull
        assert wrapper.extensions == layer.extensions
        with pytest.raises(AttributeError):
            wrapper.nothing  # noqa: B018

    def test_its_name(self, wrapper):
        assert str(wrapper) == f"default ({IN_MEMORY})"

    def test_local_only(self, wrapper):
        assert wrapper.local_only()
        assert not ChannelLayerWrapper(RedisChannelLayer(), "default", []).local_only()

    def test_has_a_router(self, wrapper):
        assert isinstance(wrapper.router, Router)
        assert wrapper.router is wrapper.router

    def test_a_routing_is_imported_when_it_is_needed(self, layer):
        wrapper = ChannelLayerWrapper(layer, "default", "nowhere.routing")
        with pytest.raises(Exception, match=r"nowhere\.routing"):
            wrapper.router  # noqa: B018

    def test_can_be_copied(self, wrapper):
        assert copy.copy(wrapper).alias == "default"

    def test_servers_take_it_for_asgi_3(self, wrapper):
        assert not is_double_callable(wrapper)
        assert inspect.iscoroutinefunction(wrapper.__call__)

    def test_has_one_interface(self, wrapper):
        assert wrapper.interface is wrapper.interface
        assert wrapper.interface.layer is wrapper.channel_layer

    @pytest.mark.asyncio
    async def test_passes_connections_to_its_interface(self, wrapper, monkeypatch):
        calls = []

        async def interface(scope, receive, send):
            calls.append((scope, receive, send))

        monkeypatch.setattr(type(wrapper), "interface", staticmethod(interface))
        await wrapper({"type": "x"}, 1, 2)
        await wrapper(scope={"type": "y"}, receive=1, send=2)  # as Daphne calls it
        assert calls == [({"type": "x"}, 1, 2), ({"type": "y"}, 1, 2)]


class TestEntrances:
    def test_give_the_wrapper(self):
        assert get_channel_layer() is channel_layers["default"]
        assert get_channel_layer("default") is get_asgi_application()

    @pytest.mark.parametrize("installed", [True, False])
    def test_a_project_that_has_not_installed_djchan_is_told(self, installed, caplog, monkeypatch):
        monkeypatch.setattr(asgi.apps, "is_installed", lambda name: installed)
        get_channel_layer()
        assert ("'djchan' is not in INSTALLED_APPS" in caplog.text) is not installed
        assert asgi.channel_layer is channel_layers["default"]

    def test_no_other_name_is_made_up(self):
        with pytest.raises(AttributeError, match="channel_layre"):
            asgi.channel_layre  # noqa: B018

    def test_with_nothing_but_a_settings_module(self):
        # What `daphne djchan.asgi:channel_layer` does.
        code = "import djchan.asgi; print(djchan.asgi.channel_layer)"
        env = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
        )
        assert done.stdout == f"default ({IN_MEMORY})\n"


class TestAnAliasThatIsNotThere:
    def test_whoever_sends_is_told_what_to_add(self, settings):
        settings.CHANNEL_LAYERS = {}
        for send in (Channel("x").send, Group("x").send):
            with pytest.raises(NoChannelLayerError) as raised:
                send({})
            # A KeyError as in Channels 1.x, but with a sentence.
            assert isinstance(raised.value, KeyError)
            assert str(raised.value).startswith("CHANNEL_LAYERS has no entry 'default'. Add {")


class TestInMemoryBehindAServer:
    """A server that runs the interface, in a process in which nobody works."""

    @pytest.fixture
    def wrapper(self, monkeypatch):
        wrapper = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])
        monkeypatch.setattr(wrapper.interface, "warm_up", lambda: None)
        return wrapper

    def test_without_a_worker_it_is_told(self, wrapper, caplog):
        wrapper.warm_up()
        assert "'default' is in memory, and no worker runs in this process" in caplog.text
        assert "RedisChannelLayer" in caplog.text

    def test_with_one_it_is_runserver(self, wrapper, caplog):
        Worker(wrapper)
        wrapper.warm_up()
        assert caplog.text == ""
