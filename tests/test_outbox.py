"""djchan.outbox: what waits, what does not, and in which order it goes out."""

import asyncio
import contextvars
import logging
import threading

import pytest

from djchan import outbox
from djchan.channel import Channel, Group
from djchan.exceptions import ChannelFull, Fenced
from djchan.layers.effects import Reply
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.operations import GroupAdd, GroupAddChannel, GroupDiscardChannel, GroupSend, Push


@pytest.fixture
def layer():
    return InMemoryChannelLayer()


def received(layer, *channels):
    """Everything on the channels, as (channel, message)."""
    messages = []
    for channel in channels:
        while (got := layer.receive([channel]))[0] is not None:
            messages.append(got)
    return messages


def test_sends_wait_in_the_order_of_the_calls(layer):
    with outbox.opened(layer) as box:
        Channel("a", channel_layer=layer).send({"n": 1})
        Channel("websocket.send.PROC!local", channel_layer=layer).send({"text": "2"})
        Group("g", channel_layer=layer).add("b")
        Group("g", channel_layer=layer).send({"n": 4})
        Group("g", channel_layer=layer).discard("b")
        assert received(layer, "a", "b") == []
    assert [type(word) for word in box.words] == [
        Push,
        Reply,
        GroupAddChannel,
        GroupSend,
        GroupDiscardChannel,
    ]
    layer.apply(box.words)
    assert received(layer, "a", "b") == [("a", {"n": 1}), ("b", {"n": 4})]


def test_content_is_copied_at_the_call(layer):
    content = {"list": [1]}
    with outbox.opened(layer) as box:
        Channel("a", channel_layer=layer).send(content)
        content["list"].append(2)
    layer.apply(box.words)
    assert received(layer, "a") == [("a", {"list": [1]})]


def test_the_replies_to_one_connection_can_be_forgotten(layer):
    other = InMemoryChannelLayer()
    with outbox.opened(layer) as box:
        for on in (layer, other):
            Channel("websocket.send.PROC!gone", channel_layer=on).send({"text": "1"})
            Channel("websocket.send.PROC!stays", channel_layer=on).send({"text": "2"})
            Channel("gone", channel_layer=on).send({"n": 3})
            Group("g", channel_layer=on).add("websocket.send.PROC!gone")
        box.forget_replies("websocket.send.PROC!gone", layer)
        assert [type(word) for word in box.words] == [Reply, Push, GroupAdd]
        assert box.words[0].connection == "stays"
        assert len(box.others[other]) == 4
        box.forget_replies("websocket.send.PROC!gone", other)
        assert len(box.others[other]) == 3
        box.forget_replies("gone", other)
        assert len(box.others[other]) == 3


def test_after_the_consumer_a_send_goes_out_at_once(layer, caplog):
    caplog.set_level(logging.DEBUG, "djchan.outbox")
    with outbox.opened(layer) as box:
        late = contextvars.copy_context()
    late.run(Channel("a", channel_layer=layer).send, {"n": 1})
    assert not box.open
    assert box.words == []
    assert received(layer, "a") == [("a", {"n": 1})]
    assert "at once" in caplog.text


def test_a_thread_of_a_consumer_has_no_outbox(layer):
    with outbox.opened(layer) as box:
        thread = threading.Thread(target=Channel("a", channel_layer=layer).send, args=({"n": 1},))
        thread.start()
        thread.join()
        assert received(layer, "a") == [("a", {"n": 1})]
    assert box.words == []


def test_outside_a_consumer_nothing_waits(layer):
    assert outbox.current() is None
    Channel("a", channel_layer=layer).send({"n": 1})
    assert received(layer, "a") == [("a", {"n": 1})]


def test_an_inner_outbox_does_not_touch_the_outer_one(layer):
    with outbox.opened(layer) as outer:
        with outbox.opened(layer) as inner:
            Channel("a", channel_layer=layer).send({"n": 1})
        Channel("a", channel_layer=layer).send({"n": 2})
    assert (len(inner.words), len(outer.words)) == (1, 1)


def test_clear_forgets_everything(layer):
    other = InMemoryChannelLayer()
    with outbox.opened(layer) as box:
        Channel("a", channel_layer=layer).send({"n": 1})
        Channel("a", channel_layer=other).send({"n": 1})
        box.clear()
    box.send_others()
    assert box.words == []
    assert received(other, "a") == []


class TestImmediately:
    def test_overtakes_what_waits(self, layer):
        with outbox.opened(layer) as box:
            Channel("a", channel_layer=layer).send({"n": 1})
            Channel("a", channel_layer=layer).send({"n": 2}, immediately=True)
            assert received(layer, "a") == [("a", {"n": 2})]
        assert len(box.words) == 1

    def test_carries_the_memberships_of_its_group_along(self, layer):
        group, other = Group("g", channel_layer=layer), Group("h", channel_layer=layer)
        with outbox.opened(layer) as box:
            group.add("b")
            group.add("c")
            group.discard("b")
            other.add("d")
            group.send({"n": 1}, immediately=True)
            assert received(layer, "b", "c", "d") == [("c", {"n": 1})]
            assert layer.group_channels("h") == []
        # They stay, and are the same when they are said again.
        layer.apply(box.words)
        assert list(layer.group_channels("g")) == ["c"]
        assert list(layer.group_channels("h")) == ["d"]

    def test_is_fenced_by_the_delivery(self, layer):
        with (
            outbox.opened(layer, fence=("no-worker", 99)),
            pytest.raises(Fenced),
        ):
            Channel("a", channel_layer=layer).send({"n": 1}, immediately=True)
        assert received(layer, "a") == []

    def test_a_full_channel_is_told_at_the_call(self):
        layer = InMemoryChannelLayer(capacity=1)
        with outbox.opened(layer):
            Channel("a", channel_layer=layer).send({}, immediately=True)
            with pytest.raises(layer.ChannelFull, match="capacity"):
                Channel("a", channel_layer=layer).send({}, immediately=True)

    def test_a_full_member_is_nobody_elses_trouble(self):
        layer = InMemoryChannelLayer(capacity=1)
        with outbox.opened(layer):
            Group("g", channel_layer=layer).add("b")
            for _ in range(3):
                Group("g", channel_layer=layer).send({}, immediately=True)

    def test_on_another_layer_it_has_no_fence(self, layer):
        other = InMemoryChannelLayer()
        with outbox.opened(layer, fence=("no-worker", 99)):
            Channel("a", channel_layer=other).send({"n": 1}, immediately=True)
        assert received(other, "a") == [("a", {"n": 1})]


class TestOtherLayers:
    def test_words_for_them_are_kept_apart(self, layer):
        other = InMemoryChannelLayer()
        with outbox.opened(layer) as box:
            Channel("a", channel_layer=other).send({"n": 1})
            Channel("a", channel_layer=layer).send({"n": 2})
            Channel("a", channel_layer=other).send({"n": 3})
        assert len(box.words) == 1
        assert received(other, "a") == []
        box.send_others()
        assert received(other, "a") == [("a", {"n": 1}), ("a", {"n": 3})]
        box.send_others()
        assert received(other, "a") == []

    @pytest.mark.asyncio
    async def test_from_an_event_loop(self, layer):
        other = InMemoryChannelLayer()
        with outbox.opened(layer) as box:
            await Channel("a", channel_layer=other).asend({"n": 1})
        await box.asend_others()
        assert received(other, "a") == [("a", {"n": 1})]
        await other.aclose()

    def test_a_channel_that_stays_full_refuses_its_message_and_no_other(self):
        other = InMemoryChannelLayer(capacity=1)
        other.send("full", {})
        words = [other.word("full", {}), other.word("free", {"n": 1})]
        refused = outbox.send_patiently(other, words, retry_time=0.02, retry_interval=0.01)
        assert [effect.channel for effect in refused] == ["full"]
        assert received(other, "free") == [("free", {"n": 1})]

    def test_what_a_delivery_sends_meets_the_limit_of_a_commit(self):
        other = InMemoryChannelLayer(capacity=1, overflow=3)
        with outbox.opened(InMemoryChannelLayer()) as box:
            for number in range(3):
                Channel("a", channel_layer=other).send({"n": number})
        box.send_others()
        assert received(other, "a") == [("a", {"n": number}) for number in range(3)]

    def test_a_full_channel_of_another_layer_is_told(self, monkeypatch):
        monkeypatch.setattr(outbox.send_patiently, "__defaults__", (0.02, 0.01))
        other = InMemoryChannelLayer(capacity=1, overflow=1)
        other.send("a", {})
        with outbox.opened(InMemoryChannelLayer()) as box:
            Channel("a", channel_layer=other).send({})
        with pytest.raises(ChannelFull, match="'a' holds"):
            box.send_others()

    @pytest.mark.asyncio
    async def test_a_channel_that_gets_room_is_tried_again(self):
        other = InMemoryChannelLayer(capacity=1)
        other.send("full", {"n": 0})
        words = [
            other.word("full", {"n": 1}),
            # Replies of one connection are one effect, whatever else is sent beside them.
            other.word("websocket.send.PROC!c", {"text": "1"}),
            other.word("websocket.send.PROC!c", {"text": "2"}),
        ]
        trying = asyncio.ensure_future(
            outbox.asend_patiently(other, words, retry_time=5, retry_interval=0.01)
        )
        await asyncio.sleep(0)
        while other.receive(["full"])[0] is None:
            await asyncio.sleep(0)
        await trying
        assert received(other, "full") == [("full", {"n": 1})]
        await other.aclose()


@pytest.mark.asyncio
async def test_coroutines_of_a_consumer_share_its_outbox(layer):
    async def part(number):
        await Channel("a", channel_layer=layer).asend({"n": number})

    with outbox.opened(layer) as box:
        await asyncio.gather(part(1), part(2))
        await asyncio.to_thread(Channel("a", channel_layer=layer).send, {"n": 3})
    assert len(box.words) == 3
