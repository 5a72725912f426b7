"""djchan.message: what a consumer receives, and the store of Channels 1.x."""

import pytest

from djchan import outbox
from djchan.channel import Channel, Group
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.message import Message, pending_message_store
from djchan.signals import consumer_finished, consumer_started


@pytest.fixture
def layer():
    return InMemoryChannelLayer()


class TestMessage:
    def test_has_what_it_was_given(self, layer):
        content = {"reply_channel": "w.process!c", "text": "hello"}
        message = Message(content, "websocket.receive", layer)
        assert message.content is content
        assert message.channel_layer is layer
        assert message.channel.name == "websocket.receive"
        assert message.channel.channel_layer is layer
        assert message.reply_channel.name == "w.process!c"
        assert message.reply_channel.channel_layer is layer
        assert message.channel is message.channel

    @pytest.mark.parametrize("content", [{}, {"reply_channel": None}, {"reply_channel": ""}])
    def test_may_have_no_reply_channel(self, layer, content):
        assert Message(content, "a", layer).reply_channel is None

    @pytest.mark.parametrize("layer", [None, "a string", False])
    def test_needs_no_layer_until_something_is_sent(self, layer):
        assert Message({}, "a", layer).channel.name == "a"
        assert Message({}, None, layer).channel.name is None

    def test_is_like_its_content(self, layer):
        message = Message({"a": 1}, "x", layer)
        message["b"] = 2
        assert message["b"] == 2
        assert message.content == {"a": 1, "b": 2}
        assert "a" in message
        assert "c" not in message
        assert message.get("a") == 1
        assert message.get("c") is None
        assert message.get("c", 3) == 3
        assert set(message.keys()) == {"a", "b"}
        assert set(message.values()) == {1, 2}
        assert set(message.items()) == {("a", 1), ("b", 2)}
        with pytest.raises(KeyError):
            message["c"]

    def test_is_no_dict(self, layer):
        message = Message({"a": 1}, "x", layer)
        with pytest.raises(KeyError):
            list(message)
        with pytest.raises(TypeError):
            len(message)

    def test_copies_deep_and_without_decorations(self, layer):
        message = Message({"a": [1]}, "x", layer, id="7", attempt=2)
        message.user = "somebody"
        twin = message.copy()
        twin["a"].append(2)
        assert message["a"] == [1]
        assert (twin.channel.name, twin.id, twin.attempt) == ("x", "7", 2)
        assert twin.channel_layer is layer
        assert not hasattr(twin, "user")

    def test_says_whether_it_was_run_before(self, layer):
        first = Message({}, "x", layer, id="7")
        assert (first.id, first.attempt, first.redelivered) == ("7", 1, False)
        assert Message({}, "x", layer, attempt=2).redelivered
        assert not first.__doomed__


class TestPendingMessageStore:
    """Consumer signals that a test sends by hand."""

    def test_sends_wait_between_the_signals(self, layer):
        Group("g", channel_layer=layer).add("b")
        consumer_started.send(sender=None, environ={})
        assert pending_message_store.active
        Channel("a", channel_layer=layer).send({"n": 1})
        pending_message_store.append(Group("g", channel_layer=layer), {"n": 2})
        assert layer.receive(["a", "b"]) == (None, None)
        consumer_finished.send(sender=None)
        assert not pending_message_store.active
        assert layer.receive(["a"]) == ("a", {"n": 1})
        assert layer.receive(["b"]) == ("b", {"n": 2})

    def test_a_start_forgets_what_an_earlier_one_left(self, layer):
        consumer_started.send(sender=None)
        Channel("a", channel_layer=layer).send({"n": 1})
        consumer_started.send(sender=None)
        Channel("a", channel_layer=layer).send({"n": 2})
        consumer_finished.send(sender=None)
        assert layer.receive(["a"]) == ("a", {"n": 2})
        assert layer.receive(["a"]) == (None, None)

    def test_is_immediate_outside(self, layer):
        assert not pending_message_store.active
        consumer_finished.send(sender=None)
        Channel("a", channel_layer=layer).send({"n": 1})
        assert layer.receive(["a"]) == ("a", {"n": 1})

    def test_the_signals_of_a_worker_change_nothing(self, layer):
        with outbox.opened(layer) as box:
            consumer_started.send(sender=None, environ={})
            Channel("a", channel_layer=layer).send({"n": 1})
            consumer_finished.send(sender=None)
            assert layer.receive(["a"]) == (None, None)
        assert len(box.words) == 1

    def test_a_full_channel_is_tried_for_a_while(self, caplog, monkeypatch):
        layer = InMemoryChannelLayer(capacity=1)
        monkeypatch.setattr(pending_message_store, "retry_time", 0.02)
        monkeypatch.setattr(pending_message_store, "retry_interval", 0.01)
        consumer_started.send(sender=None)
        for number in range(3):
            Channel("a", channel_layer=layer).send({"n": number})
        Channel("b", channel_layer=layer).send({})
        consumer_finished.send(sender=None)
        assert caplog.text.count("was lost") == 2
        assert layer.receive(["b"]) == ("b", {})
