"""djchan.apps: Channels 4 finds our layers, through every change of the settings."""

import pytest
from channels.layers import channel_layers as channels4_layers
from channels.layers import get_channel_layer
from django.apps import apps
from django.core.checks.registry import registry
from django.test import override_settings

import djchan.layers
from djchan.apps import ChannelsConfig, log_unusable_entries
from djchan.asgi import ChannelLayerWrapper, channel_layers
from djchan.layers.channels4 import Channels4Layer
from djchan.layers.inmemory import InMemoryChannelLayer

OURS = {"BACKEND": "djchan.layers.inmemory.InMemoryChannelLayer", "ROUTING": []}
THEIRS = {"BACKEND": "channels.layers.InMemoryChannelLayer"}


def test_the_app_is_found_by_itself():
    config = apps.get_app_config("djchan")
    assert isinstance(config, ChannelsConfig)
    assert (config.name, config.label) == ("djchan", "djchan")


def test_checks_are_registered():
    names = {check.__module__ + "." + check.__name__ for check in registry.get_checks()}
    assert {"djchan.checks.check_layers", "djchan.checks.check_app_order"} <= names
    assert "djchan.checks.check_brokers" not in names
    deployment = {check.__name__ for check in registry.get_checks(True)}
    assert "check_brokers" in deployment


def test_channels_4_finds_our_layer():
    layer = get_channel_layer()
    assert layer.layer is channel_layers["default"].channel_layer
    assert djchan.layers.get_channel_layer is get_channel_layer


def test_also_after_the_setting_changed():
    with override_settings(CHANNEL_LAYERS={"default": OURS, "other": OURS, "theirs": THEIRS}):
        assert get_channel_layer().layer is channel_layers["default"].channel_layer
        assert get_channel_layer("other").layer is channel_layers["other"].channel_layer
        theirs = get_channel_layer("theirs")
        assert type(theirs).__module__ == "channels.layers"
    assert get_channel_layer().layer is channel_layers["default"].channel_layer
    assert get_channel_layer("other") is None


def test_an_entry_without_its_routing_says_so_at_its_first_use_and_at_the_start(caplog):
    layers = {
        "default": OURS,
        "unfinished": {"BACKEND": OURS["BACKEND"]},
        "theirs": THEIRS,
        "alone": {"BACKEND": "djchan.channels4.InMemoryLayer"},
    }
    with override_settings(CHANNEL_LAYERS=layers):
        layer = get_channel_layer("unfinished")
        with pytest.raises(ValueError, match="No ROUTING specified for unfinished"):
            layer.new_channel()
        assert isinstance(get_channel_layer("alone"), Channels4Layer)
        log_unusable_entries()
    (line,) = [each for each in caplog.records if each.name == "djchan.apps"]
    assert line.levelname == "ERROR"
    assert line.getMessage().startswith("No ROUTING specified for unfinished.")


def test_a_layer_that_a_test_swapped_counts():
    layer = InMemoryChannelLayer()
    before = channel_layers.set("default", ChannelLayerWrapper(layer, "default", []))
    try:
        assert get_channel_layer().layer is layer
    finally:
        channel_layers.set("default", before)


def test_mistakes_in_the_setting_do_not_stop_django():
    with override_settings(CHANNEL_LAYERS=["default"]):
        pass
    with override_settings(CHANNEL_LAYERS={"default": {"ROUTING": []}}):
        with pytest.raises(ValueError, match="No BACKEND specified for default"):
            get_channel_layer().layer  # noqa: B018
        assert "default" in repr(channels4_layers["default"])
