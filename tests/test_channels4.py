"""djchan.channels4: layers that Channels 4 makes of CHANNEL_LAYERS by itself."""

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import ChannelLayerManager
from channels.testing import WebsocketCommunicator

from djchan.channels4 import InMemoryLayer, RedisLayer, RedisSentinelLayer
from djchan.layers.redis import RedisSentinelChannelLayer


class Room(AsyncWebsocketConsumer):
    groups = ("room",)

    async def receive(self, text_data=None, bytes_data=None):
        await self.channel_layer.group_send("room", {"type": "line", "text": text_data})

    async def line(self, event):
        await self.send(event["text"])


def made(settings, **entry):
    """The layer that Channels 4 makes of an entry of CHANNEL_LAYERS."""
    settings.CHANNEL_LAYERS = {"default": entry}
    return ChannelLayerManager().make_backend("default")


async def talk():
    """Two consumers in one group: what both are sent when the first says something."""
    clients = [WebsocketCommunicator(Room.as_asgi(), "/") for _ in range(2)]
    for client in clients:
        assert (await client.connect())[0]
    await clients[0].send_to("hello")
    heard = [await client.receive_from(timeout=5) for client in clients]
    for client in clients:
        await client.disconnect()
    return heard


@pytest.mark.asyncio
async def test_in_memory(settings):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "djchan.channels4.InMemoryLayer"}}
    assert await talk() == ["hello", "hello"]


@pytest.mark.asyncio
async def test_on_redis(settings, redis_server):
    redis_server.start()
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "djchan.channels4.RedisLayer",
            "CONFIG": {"hosts": [{"address": redis_server.url}], "capacity": 7},
        }
    }
    assert await talk() == ["hello", "hello"]


def test_the_config_is_that_of_the_layer(settings):
    redis = "djchan.channels4.RedisLayer"
    config = {"hosts": [("localhost", 6379)], "capacity": 7, "expiry": 9}
    layer = made(settings, BACKEND=redis, CONFIG=config)
    assert isinstance(layer, RedisLayer)
    assert (layer.capacity, layer.expiry) == (7, 9)
    assert isinstance(made(settings, BACKEND="djchan.channels4.InMemoryLayer"), InMemoryLayer)
    with pytest.raises(TypeError, match="random_prefix_length"):
        made(settings, BACKEND=redis, CONFIG={"random_prefix_length": 12})


def test_sentinel(settings):
    layer = made(
        settings,
        BACKEND="djchan.channels4.RedisSentinelLayer",
        CONFIG={"hosts": [("localhost", 26379)], "services": ["mymaster"]},
    )
    assert isinstance(layer, RedisSentinelLayer)
    assert isinstance(layer.layer, RedisSentinelChannelLayer)


@pytest.mark.asyncio
async def test_a_layer_of_djchans_that_channels_4_makes_says_what_to_write(settings):
    layer = made(settings, BACKEND="djchan.layers.inmemory.InMemoryChannelLayer")
    for use in (
        lambda: layer.new_channel(),
        lambda: layer.group_send("room", {"type": "line"}),
        lambda: layer.receive("jobs"),
    ):
        with pytest.raises(ValueError, match=r'djchan\.channels4\.RedisLayer".*INSTALLED_APPS'):
            await use()
