"""Values that a layer keeps for a time."""

import pytest

from djchan.exceptions import (
    BrokerUnavailable,
    MessageTooLarge,
)
from djchan.layers.base import BaseChannelLayer
from djchan.layers.engine import Engine
from djchan.layers.redis.layer import RedisChannelLayer
from tests.support.servers import Server
from tests.support.waiting import wait_for


class TestKept:
    def test_keep_recall_and_drop(self, layer: BaseChannelLayer):
        assert layer.recall("k") is None
        assert not layer.keep("k", b"0", ttl=60, must="exist")
        assert layer.keep("k", b"1", ttl=60, must="create")
        assert not layer.keep("k", b"2", ttl=60, must="create")
        assert layer.recall("k", ttl=0.02) == b"1"
        wait_for(lambda: layer.recall("k") is None, timeout=5, what="its time is over")
        assert layer.keep("k", b"3", ttl=60)
        assert (layer.drop("k"), layer.drop("k")) == (True, False)

    @pytest.mark.parametrize("key", ["k", "l"])
    def test_a_value_over_the_limit_is_refused(self, engine: Engine, key: str):
        layer = BaseChannelLayer(engine=engine, max_message_size=10)
        layer.keep("k", b"x" * 10, ttl=60)
        with pytest.raises(MessageTooLarge, match=f"'{key}' has 11 bytes; the limit is 10"):
            layer.keep(key, b"x" * 11, ttl=60)
        assert layer.recall("k") == b"x" * 10
        layer.close()

    def test_a_connection_that_has_broken_is_nobody_s_business(self, own_broker: Server):
        layer = RedisChannelLayer([own_broker.url])
        layer.keep("k", b"1", ttl=60)
        for does in (
            lambda: layer.recall("k") == b"1",
            lambda: layer.keep("k", b"1", ttl=60, must="exist"),
            lambda: layer.drop("k"),
        ):
            own_broker.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            assert does()
        own_broker.stop()
        with pytest.raises(BrokerUnavailable):
            layer.recall("k")
        layer.close()
