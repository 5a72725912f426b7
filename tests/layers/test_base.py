"""The contract of a channel layer: its 1.x face, and its errors, in words."""

import asyncio
import threading
import time
from typing import Any

import pytest

from djchan import names
from djchan.exceptions import (
    ChannelFull,
    InvalidChannelName,
    InvalidGroupName,
    InvalidMessage,
    MessageTooLarge,
)
from djchan.layers.base import BaseChannelLayer
from djchan.layers.engine import Engine
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.operations import Push, Register, Send
from tests.support.waiting import wait_for


class TestSendAndReceive:
    def test_in_order(self, layer: BaseChannelLayer):
        layer.send("a", {"n": 1})
        layer.send("b", {"n": 2})
        layer.send("a", {"n": 3})

        received = [layer.receive(["a"]), layer.receive(["a"]), layer.receive(["a", "b"])]

        assert received == [("a", {"n": 1}), ("a", {"n": 3}), ("b", {"n": 2})]
        assert layer.receive(["a", "b"]) == (None, None)

    def test_what_is_sent_is_what_it_was_at_the_call(self, layer: BaseChannelLayer):
        message = {"list": [1]}
        layer.send("a", message)

        message["list"].append(2)

        assert layer.receive(["a"]) == ("a", {"list": [1]})

    def test_a_receive_that_blocks_ends_with_the_message(self, layer: BaseChannelLayer):
        timer = threading.Timer(0.1, layer.send, ("a", {"n": 1}))
        timer.start()

        assert layer.receive(["b", "a"], block=True) == ("a", {"n": 1})
        timer.join()

    def test_a_channel_of_ones_own(self, layer: BaseChannelLayer):
        name = layer.new_channel("answers?")

        layer.send(name, {"n": 1})

        assert name.startswith("answers?") and len(name) > len("answers?")
        assert layer.receive([name]) == (name, {"n": 1})
        assert layer.new_channel("answers?") != name
        with pytest.raises(AssertionError, match="ending in"):
            layer.new_channel("answers")

    def test_full_says_how_many_and_what_to_do(self, engine: Engine):
        layer = BaseChannelLayer(engine=engine, channel_capacity={"a": 2})
        layer.send("a", {})
        layer.send("a", {})

        with pytest.raises(layer.ChannelFull) as caught:
            layer.send("a", {})

        assert str(caught.value) == (
            "The channel 'a' holds 2 messages, its capacity. Run more workers for it (and see that "
            "a route names it), or raise capacity or channel_capacity in the layer's CONFIG."
        )
        layer.receive(["a"])
        layer.send("a", {})
        layer.close()

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            (
                {"max_bytes": 900},
                "The channel 'a' holds 900 bytes of messages or more, its max_bytes",
            ),
            ({"channel_max_bytes": {"a": 800}}, "The channel 'a' holds 800 bytes"),
            (
                {"total_bytes": 900},
                "The layer holds 900 bytes of messages or more, its total_bytes",
            ),
        ],
    )
    @pytest.mark.parametrize("delay", [0, 60])
    def test_full_of_bytes_says_which_limit_and_what_to_do(
        self, engine: Engine, options: dict[str, Any], why: str, delay: float
    ):
        layer = BaseChannelLayer(engine=engine, **options)
        layer.apply([layer.word("a", {"text": "x" * 1000}, delay=delay)])

        results = layer.apply([layer.word("a", {}, delay=delay)])
        with pytest.raises(layer.ChannelFull) as caught:
            layer.raise_for(results, "a")

        assert str(caught.value).startswith(why)
        (setting,) = options
        assert setting in str(caught.value)
        assert layer.usage().total > 1000
        layer.close()

    def test_too_large_names_the_limit_and_its_setting(self, engine: Engine):
        layer = BaseChannelLayer(engine=engine, max_message_size=100)

        with pytest.raises(layer.MessageTooLarge, match="the limit is 100"):
            layer.send("a", {"text": "x" * 100})

        assert layer.MessageTooLarge is MessageTooLarge
        assert layer.receive(["a"]) == (None, None)

    def test_an_expired_message_is_not_received(self, engine: Engine):
        layer = BaseChannelLayer(engine=engine, channel_expiry={"fast": 10})
        layer.send("fast", {"n": 1})
        layer.send("slow", {"n": 2})
        layer.set_clock(layer.now() + 11_000)

        assert layer.receive(["fast", "slow"]) == ("slow", {"n": 2})
        assert layer.receive(["fast", "slow"]) == (None, None)
        layer.close()

    def test_to_a_connection_that_is_gone_is_to_nobody(self, layer: BaseChannelLayer):
        layer.send("websocket.send.NOBODY!c1", {"text": "hi"})

    @pytest.mark.parametrize("name", ["a b", "", "a" * 100, b"a", None, "a?"])
    def test_a_wrong_name_is_a_type_error(self, layer: BaseChannelLayer, name: Any):
        for call in (
            lambda: layer.send(name, {}),
            lambda: layer.receive([name]),
            lambda: layer.group_add("g", name),
        ):
            with pytest.raises(InvalidChannelName):
                call()

    def test_what_cannot_travel_is_refused_on_the_line_that_sends_it(self, layer: BaseChannelLayer):
        with pytest.raises(InvalidMessage, match="object"):
            layer.send("a", {"o": object()})

    @pytest.mark.parametrize("message", [[1], "text", None, b"{}"])
    def test_what_is_no_dict_is_no_message(self, layer: BaseChannelLayer, message: Any):
        with pytest.raises(InvalidMessage, match="A message is a dict, not"):
            layer.send("a", message)
        with pytest.raises(InvalidMessage, match="A message is a dict, not"):
            layer.send_group("g", message)

    def test_what_cannot_be_read_is_dropped_and_the_next_received(
        self, layer: BaseChannelLayer, caplog: pytest.LogCaptureFixture
    ):
        layer._perform(Send("", 0, (Push("a", b"not ours"),)))
        layer.send("a", {"n": 1})

        assert layer.receive(["a"]) == ("a", {"n": 1})
        assert "A message on a was dropped. This delivery cannot be read" in caplog.text

    def test_a_process_of_the_projects_own_receives_by_its_prefix(self, layer: BaseChannelLayer):
        for name in ("udp.send!b", "udp.send!a"):
            layer.send(name, {"to": name})
        layer.group_add("g", "udp.send!c")
        layer.send_group("g", {"to": "all"})

        received = [layer.receive(["other!", "udp.send!"]) for _ in range(4)]

        assert received == [
            ("udp.send!b", {"to": "udp.send!b"}),
            ("udp.send!a", {"to": "udp.send!a"}),
            ("udp.send!c", {"to": "all"}),
            (None, None),
        ]
        assert layer.group_channels("g") == ["udp.send!c"]

    def test_nobody_waits_for_ever_for_a_process_that_may_be_gone(self, engine: Engine):
        layer = BaseChannelLayer(engine=engine, capacity=2)
        layer.send("myserver!1", {})
        layer.send("myserver!2", {})
        with pytest.raises(ChannelFull):
            layer.send("myserver!3", {})
        layer.set_clock(layer.now() + 61_000)

        assert layer.receive(["myserver!"]) == (None, None)
        layer.close()

    def test_a_delayed_message_to_one(self, layer: BaseChannelLayer):
        layer.apply([layer.word("myserver!1", {"n": 1}, delay=0.05)])

        assert layer.receive(["myserver!"], block=True) == ("myserver!1", {"n": 1})

    def test_no_channel_starves_beside_a_full_one(self, engine: Engine):
        layer = BaseChannelLayer(engine=engine, capacity=200)
        for _ in range(100):
            layer.send("loud", {})
        layer.send("quiet", {})

        # By chance alone, one of 2**100 times.
        assert "quiet" in {layer.receive(["loud", "quiet"])[0] for _ in range(100)}
        layer.close()

    def test_the_names_that_asgiref_had(self, engine: Engine):
        layer = BaseChannelLayer(engine=engine, channel_capacity={"a*": 3})

        assert (layer.get_capacity("ab"), layer.get_capacity("b")) == (3, 100)
        assert layer.valid_channel_name("a!b") and layer.valid_group_name("a")
        assert layer.valid_channel_names(["a", "b!"], receive=True)
        assert layer.non_local_name("a!b") == "a!"
        with pytest.raises(TypeError):
            layer.valid_channel_names(["a!b"], receive=True)
        with pytest.raises(TypeError):
            layer.valid_group_name("a!b")

    def test_receive_many_is_receive(self, layer: BaseChannelLayer):
        layer.send("a", {"n": 1})

        with pytest.warns(DeprecationWarning):
            assert layer.receive_many(["a"]) == ("a", {"n": 1})


class TestDelay:
    def test_a_delayed_message_comes_when_it_is_due(self, layer: BaseChannelLayer):
        started = time.monotonic()
        layer.apply([layer.word("a", {"n": 1}, delay=0.2)])
        received: list[Any] = []

        def arrives() -> bool:
            received[:] = layer.receive(["a"])
            return received[0] is not None

        wait_for(arrives, timeout=5, what="the message is due")

        assert received == ["a", {"n": 1}]
        assert time.monotonic() - started >= 0.15

    def test_to_a_connection_it_is_refused(self, layer: BaseChannelLayer):
        with pytest.raises(ValueError, match="cannot be sent to with a delay"):
            layer.word("websocket.send.PROC!c1", {}, delay=1)


class TestGroups:
    def test_every_member_gets_it(self, layer: BaseChannelLayer):
        for channel in ("a", "b"):
            layer.group_add("g", channel)
        layer.group_add("g", "a")

        layer.send_group("g", {"n": 1})

        assert layer.receive(["a"]) == ("a", {"n": 1})
        assert layer.receive(["b"]) == ("b", {"n": 1})
        assert layer.receive(["a", "b"]) == (None, None)

    def test_who_left_gets_nothing(self, layer: BaseChannelLayer):
        layer.group_add("g", "a")
        layer.group_discard("g", "a")
        layer.group_discard("g", "never.in.it")

        layer.send_group("g", {"n": 1})

        assert layer.receive(["a"]) == (None, None)
        assert layer.group_channels("g") == []

    def test_a_full_member_is_skipped_and_nobody_is_told(self, engine: Engine):
        layer = BaseChannelLayer(engine=engine, capacity=1)
        layer.group_add("g", "a")
        layer.group_add("g", "b")
        layer.send("a", {"n": 0})

        layer.send_group("g", {"n": 1})

        assert layer.receive(["b"]) == ("b", {"n": 1})
        assert layer.receive(["a"]) == ("a", {"n": 0})
        assert layer.receive(["a"]) == (None, None)
        layer.close()

    def test_members_are_channels_and_processes(self, layer: BaseChannelLayer):
        layer._perform(Register("PROC", "interface", b""))
        layer.group_add("g", "a")
        layer.group_add("g", names.reply_channel("websocket.send", "PROC", "c1"))
        layer.group_add("g", names.reply_channel("websocket.send", "GONE", "c1"))

        assert layer.group_channels("g") == ["a", "websocket.send.PROC!"]

    def test_a_plain_channel_is_a_member_for_ever_unless_it_is_said(self, engine: Engine):
        ever, said = InMemoryChannelLayer(), InMemoryChannelLayer(group_expiry=2)

        assert ever.group_expiry == 86400 and said.group_expiry == 2
        assert ever.add_word("g", "a")[2:4] == (100, 0)
        assert said.add_word("g", "a")[2:4] == (100, 2000)
        assert InMemoryChannelLayer(group_expiry=0).add_word("g", "a")[2:4] == (100, 0)

    @pytest.mark.parametrize("name", ["g!x", "g?x", "g x", "", None])
    def test_a_wrong_name_is_a_type_error(self, layer: BaseChannelLayer, name: Any):
        for call in (
            lambda: layer.group_add(name, "a"),
            lambda: layer.group_discard(name, "a"),
            lambda: layer.send_group(name, {}),
            lambda: layer.group_channels(name),
        ):
            with pytest.raises(InvalidGroupName):
                call()


def test_flush_leaves_nothing(layer: BaseChannelLayer):
    layer.send("a", {})
    layer.group_add("g", "a")

    layer.flush()

    assert layer.receive(["a"]) == (None, None)
    assert layer.group_channels("g") == []
    layer.send("a", {"n": 1})
    assert layer.receive(["a"]) == ("a", {"n": 1})


@pytest.mark.asyncio
class TestTwins:
    async def test_they_do_the_same(self, layer: BaseChannelLayer):
        await layer.agroup_add("g", "b")
        await layer.asend("a", {"n": 1})
        await layer.asend_group("g", {"n": 2})

        assert await layer.areceive(["a"]) == ("a", {"n": 1})
        assert await layer.areceive(["b"]) == ("b", {"n": 2})
        await layer.agroup_discard("g", "b")
        await layer.asend_group("g", {"n": 3})
        assert await layer.areceive(["a", "b"]) == (None, None)

        assert await layer.akeep("k", b"1", ttl=60, must="create")
        assert not await layer.akeep("k", b"2", ttl=60, must="create")
        assert await layer.arecall("k", ttl=60) == b"1"
        assert (await layer.adrop("k"), await layer.adrop("k")) == (True, False)

        await layer.asend("a", {})
        await layer.aflush()
        assert await layer.areceive(["a"]) == (None, None)
        await layer.aclose()

    async def test_full_is_raised_here_too(self, engine: Engine):
        layer = BaseChannelLayer(engine=engine, capacity=1)
        await layer.asend("a", {})

        with pytest.raises(ChannelFull):
            await layer.asend("a", {})
        await layer.aclose()

    async def test_nobody_waits_for_a_receive_that_blocks(self, layer: BaseChannelLayer):
        receiving = [asyncio.ensure_future(layer.areceive([c], block=True)) for c in "abc"]
        for _ in range(5):
            await asyncio.sleep(0)

        async with asyncio.timeout(3):
            for channel in "cba":
                await layer.asend(channel, {"n": channel})
            received = await asyncio.gather(*receiving)

        assert received == [(c, {"n": c}) for c in "abc"]
        await layer.aclose()
