"""djchan.conf: settings are read when they are asked for."""

import pytest
from django.conf import settings as django_settings

from djchan.conf import DEFAULTS, LAYER_KEYS, setting


def test_every_setting_has_a_default(settings):
    for name, default in DEFAULTS.items():
        if hasattr(django_settings, name):
            delattr(settings, name)
        assert setting(name) == default


def test_a_setting_counts_at_once(settings):
    settings.CHANNELS_WS_PROTOCOLS = ["a"]
    assert setting("CHANNELS_WS_PROTOCOLS") == ["a"]
    settings.CHANNELS_WS_PROTOCOLS = ["b"]
    assert setting("CHANNELS_WS_PROTOCOLS") == ["b"]


def test_a_name_that_is_none_of_ours():
    with pytest.raises(KeyError):
        setting("CHANNEL_LAYER")


def test_the_keys_of_an_entry():
    assert {"BACKEND", "ROUTING", "CONFIG", "TEST_CONFIG"} <= LAYER_KEYS
