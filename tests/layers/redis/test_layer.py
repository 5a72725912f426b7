"""The options of asgi_redis, on the layers that took its place."""

from typing import Any

import pytest

from djchan.exceptions import InvalidChannelLayer
from djchan.layers.redis import RedisChannelLayer, RedisSentinelChannelLayer
from djchan.layers.sealed import SealedEngine

OPTIONS: dict[str, Any] = {
    "prefix": "asgi:",
    "expiry": 60,
    "group_expiry": 3600,
    "capacity": 50,
    "channel_capacity": {"http.request": 200},
    "symmetric_encryption_keys": ["new", "old"],
    "stats_prefix": "asgi-meta:",
    "connection_kwargs": {"socket_connect_timeout": 2},
}


def test_every_option_is_taken(caplog: pytest.LogCaptureFixture):
    layers = [
        RedisChannelLayer([("localhost", 1)], **OPTIONS),
        RedisSentinelChannelLayer(
            [("localhost", 1)], services=["main"], sentinel_refresh_interval=30, **OPTIONS
        ),
    ]

    for layer in layers:
        assert (layer.expiry, layer.group_expiry, layer.capacity) == (60, 3600, 50)
        assert layer.channel_capacity == {"http.request": 200}
        assert layer.capacity_of("http.request") == 200
        assert type(layer.engine) is SealedEngine
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "stats_prefix in the layer's CONFIG has no effect: the layer's statistics lie under its "
        "prefix. Take it out.",
        "stats_prefix in the layer's CONFIG has no effect: the layer's statistics lie under its "
        "prefix. Take it out.",
        "sentinel_refresh_interval in the layer's CONFIG has no effect: Sentinel is asked at each "
        "new connection. Take it out.",
    ]


def test_several_hosts_are_refused_with_the_reason():
    with pytest.raises(InvalidChannelLayer, match="names 2 servers, but a layer lives on one"):
        RedisChannelLayer([("one", 6379), ("two", 6379)])


@pytest.mark.parametrize("services", [None, [], "main"])
def test_the_master_has_to_be_named(services: Any):
    with pytest.raises(InvalidChannelLayer, match="a list with the name of the master"):
        RedisSentinelChannelLayer([("localhost", 1)], services=services)
