"""Nothing listens where Redis should: each call says that nothing was sent, not that it may be."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from djchan.channel import Channel, Group
from djchan.exceptions import BrokerUnavailable
from djchan.layers.redis import RedisChannelLayer
from tests.support.waiting import free_port

CALLS: dict[str, Callable[[Any], Any]] = {
    "send": lambda layer: Channel("a", channel_layer=layer).send({}),
    "asend": lambda layer: asyncio.run(Channel("a", channel_layer=layer).asend({})),
    "delay": lambda layer: Channel("a", channel_layer=layer).send({}, delay=5),
    "group send": lambda layer: Group("g", channel_layer=layer).send({}),
    "group asend": lambda layer: asyncio.run(Group("g", channel_layer=layer).asend({})),
    "add": lambda layer: Group("g", channel_layer=layer).add("a"),
    "discard": lambda layer: Group("g", channel_layer=layer).discard("a"),
    "layer": lambda layer: layer.send("a", {}),
    "receive": lambda layer: layer.receive(["a"]),
}


@pytest.fixture
def layer() -> Iterator[RedisChannelLayer]:
    layer = RedisChannelLayer(hosts=[f"redis://127.0.0.1:{free_port()}/0"], stream_retry=0.1)
    yield layer
    layer.close()


@pytest.mark.parametrize("call", CALLS)
def test_a_call_says_that_nothing_was_sent(layer: RedisChannelLayer, call: str):
    with pytest.raises(BrokerUnavailable, match="so nothing was sent") as raised:
        CALLS[call](layer)

    assert type(raised.value) is BrokerUnavailable  # Not OutcomeUnknown.
    assert not raised.value.sent
    assert "may" not in str(raised.value)
