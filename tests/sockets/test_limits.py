"""The limits of socket views: what can be one."""

import pytest

from djchan.sockets.limits import SocketLimits


class TestLimits:
    def test_defaults_and_others(self):
        assert SocketLimits.parse({}) == SocketLimits()
        assert SocketLimits.parse({"stall": 1, "backlog_frames": 5}).backlog_frames == 5

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("stall", 0),
            ("stall", -1.0),
            ("stall", float("nan")),
            ("stall", "30"),
            ("stall", None),
            ("backlog_frames", 0),
            ("backlog_frames", 1.5),
            ("backlog_bytes", True),
        ],
    )
    def test_what_is_none(self, name, value):
        with pytest.raises(ValueError, match=f"{name} of websockets.* above 0, not") as caught:
            SocketLimits.parse({name: value})
        assert repr(value) in str(caught.value)

    def test_an_unknown_one(self):
        with pytest.raises(TypeError, match=r"no 'stal'\. Its limits: .*stall"):
            SocketLimits.parse({"stal": 1})
