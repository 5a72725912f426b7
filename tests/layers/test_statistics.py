"""What a layer has counted."""

import pytest

from djchan.exceptions import (
    ChannelFull,
)
from djchan.layers.base import BaseChannelLayer
from djchan.layers.engine import Engine
from djchan.layers.operations import Claim, Register, Release


class TestStatistics:
    def test_counts(self, engine: Engine):
        layer = BaseChannelLayer(engine=engine, capacity=1)
        layer.send("a", {})
        for channel in ("a", "a"):
            with pytest.raises(ChannelFull):
                layer.send(channel, {})

        nothing = {"messages_count": 0, "messages_pending": 0, "messages_max_age": 0}
        assert layer.channel_statistics("a") == {
            "messages_count": 1,
            "messages_pending": 1,
            "messages_max_age": 0,
            "channel_full_count": 2,
        }
        assert layer.channel_statistics("b") == {**nothing, "channel_full_count": 0}
        assert layer.global_statistics() == {"messages_count": 1, "channel_full_count": 2}
        layer.close()

    def test_what_was_received_still_counts_and_what_came_back_counts_once(
        self, layer: BaseChannelLayer
    ):
        for name in ("a", "a", "b", "p!1", "p!2", "s?x"):
            layer.send(name, {})
        layer.receive(["a"])
        layer.receive(["p!"])
        layer.receive(["s?x"])
        layer._perform(Register("W", "worker", b"", ("a", "b")))
        claimed = layer._perform(Claim("W", "", ("a", "b"), 2))
        assert len(claimed.deliveries) == 2
        layer._perform(Release("W", (claimed.deliveries[0].token,)))

        counts = {
            name: (found["messages_count"], found["messages_pending"])
            for name in ("a", "b", "p!", "p!1", "s?x")
            if (found := layer.channel_statistics(name))
        }

        assert counts == {"a": (2, 1), "b": (1, 0), "p!": (2, 1), "p!1": (2, 1), "s?x": (1, 0)}
        assert layer.global_statistics()["messages_count"] == 6

    def test_the_age_of_the_first_that_waits(self, layer: BaseChannelLayer):
        layer.send("a", {})
        layer.send("a", {})
        layer.set_clock(layer.now() + 7_500)

        assert layer.channel_statistics("a")["messages_max_age"] == 7
        assert layer.channel_statistics("empty")["messages_max_age"] == 0
