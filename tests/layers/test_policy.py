"""What a layer says about its channels."""

import re
import time
from typing import Any

import pytest

from djchan.exceptions import (
    InvalidChannelLayer,
)
from djchan.layers.base import BaseChannelLayer
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.policy import Policy


def rules(**options: Any) -> BaseChannelLayer:
    return InMemoryChannelLayer(**options)


class TestPolicy:
    def test_defaults(self):
        layer = rules()

        assert layer.capacity_of("a") == layer.capacity == 100
        assert layer.expiry_of("a") is None and layer.expiry is None
        assert not layer.at_most_once("a")
        assert layer.group_expiry == 86400
        assert layer.max_message_size == 2 * 1024 * 1024
        assert layer.extensions == ("groups", "flush", "statistics")

    def test_the_first_pattern_that_matches_counts(self):
        layer = rules(
            capacity=7,
            channel_capacity={"http.request": 1, "http.*": 2, re.compile(r"web.*\.receive"): 3},
        )

        found = [
            layer.capacity_of(name)
            for name in ("http.request", "http.disconnect", "websocket.receive", "other")
        ]
        assert found == [1, 2, 3, 7]

    def test_a_process_local_name_is_matched_up_to_its_mark(self):
        layer = rules(channel_capacity={"websocket.send.*!": 5})

        assert layer.capacity_of("websocket.send.PROC!c1") == 5
        assert layer.capacity_of("websocket.send.PROC") == 100

    def test_expiry(self):
        layer = rules(expiry=30, channel_expiry={"slow.*": 600, "fast": 0.5})

        assert [layer.expiry_of(name) for name in ("slow.a", "fast", "a")] == [600.0, 0.5, 30]

    def test_what_may_be_lost_expires_after_a_minute(self):
        layer = rules(delivery={"metrics.*": "at-most-once"}, channel_expiry={"metrics.slow": 5})

        assert layer.at_most_once("metrics.cpu")
        assert not layer.at_most_once("thumbnails")
        assert layer.expiry_of("metrics.cpu") == 60.0
        assert layer.expiry_of("metrics.slow") == 5.0
        assert layer.expiry_of("thumbnails") is None

    def test_delivery_of_all_channels_in_one_word(self):
        assert rules(delivery="at-most-once").at_most_once("anything")
        assert not rules(delivery="at-least-once").at_most_once("anything")

    def test_many_names_are_no_leak(self):
        layer = rules(channel_capacity={"a*": 1})

        for number in range(3000):
            assert layer.capacity_of(f"b{number}") == 100
        assert layer.capacity_of("a") == 1
        assert len(layer._capacities._known) <= 1001

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"capacity": 0}, "capacity in the layer's CONFIG must be a whole number above 0"),
            ({"capacity": 0.5}, "capacity in .* not 0.5"),
            ({"capacity": float("nan")}, "capacity in .* not nan"),
            ({"total_bytes": float("inf")}, "total_bytes in .* not inf"),
            ({"group_expiry": "day"}, "group_expiry in .* not 'day'"),
            ({"group_expiry": -1}, "group_expiry in .* not -1"),
            ({"capacity": "100"}, "capacity in .* not '100'"),
            ({"capacity": True}, "capacity in .* not True"),
            ({"expiry": -1}, "expiry in .* not -1"),
            ({"max_message_size": 0}, "max_message_size in"),
            ({"delivery": "exactly-once"}, "delivery.* is 'at-least-once' or 'at-most-once', not"),
            ({"delivery": {"a": 1}}, "delivery.*'a'.* is"),
            ({"delivery": ["a"]}, "delivery in .* is a dict of patterns of channel names, not a"),
            ({"channel_capacity": [("a", 1)]}, "channel_capacity in .* not a list"),
            ({"channel_capacity": {"a": "1"}}, "channel_capacity.*'a'.* a whole number above 0"),
            ({"channel_capacity": {"a": 0}}, "channel_capacity.*'a'.* not 0"),
            ({"channel_capacity": {5: 1}}, "channel_capacity in .* has the key 5"),
            ({"channel_max_bytes": {"a": "1 MiB"}}, "channel_max_bytes.*'a'.* not '1 MiB'"),
            ({"channel_expiry": "60"}, "channel_expiry in .* not a str"),
            ({"channel_expiry": {"a": float("nan")}}, "channel_expiry.*'a'.* not nan"),
        ],
        ids=str,
    )
    def test_what_cannot_be_is_refused_in_words(self, options: dict[str, Any], words: str):
        with pytest.raises(InvalidChannelLayer, match=words):
            rules(**options)

    def test_the_clock_is_the_layers(self):
        layer = Policy()
        assert abs(layer.now() - time.time() * 1000) < 1000

        layer.set_clock(5_000)

        assert 5_000 <= layer.now() < 6_000
