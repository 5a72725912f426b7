"""djchan.message: what a consumer receives, and the store of Channels 1.x."""

import asyncio

import pytest

from djchan import outbox
from djchan.channel import Channel, Group
from djchan.exceptions import MissingDecorator, NoReplyChannel, WebsocketCloseException
from djchan.generic.websockets import WebsocketMultiplexer
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.message import Message, pending_message_store
from djchan.sessions import channel_session, requeue_messages
from djchan.signals import consumer_finished, consumer_started

# What uses the reply channel of a message.
USES = {
    "name": lambda message: message.reply_channel.name,
    "layer": lambda message: message.reply_channel.channel_layer,
    "send": lambda message: message.reply_channel.send({"text": "hello"}),
    "send text": lambda message: message.reply_channel.send("hello"),
    "asend": lambda message: asyncio.run(message.reply_channel.asend({"text": "hello"})),
    "add": lambda message: Group("g").add(message.reply_channel),
    "aadd": lambda message: asyncio.run(Group("g").aadd(message.reply_channel)),
    "discard": lambda message: Group("g").discard(message.reply_channel),
    "stream": lambda message: WebsocketMultiplexer("s", message.reply_channel).send({}),
    "close": lambda message: WebsocketCloseException().run(message),
    "session": lambda message: channel_session(lambda message: None)(message),
    "requeue": lambda message: requeue_messages(message),
}


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
        message = Message(content, "a", layer)
        assert not message.reply_channel
        assert str(message.reply_channel) == "(no reply channel)"
        assert repr(message.reply_channel) == "<Channel (none)>"
        assert not hasattr(message.reply_channel, "nmae")

    @pytest.mark.parametrize("use", USES)
    def test_every_use_of_a_reply_channel_that_is_not_there_names_the_remedy(self, layer, use: str):
        with pytest.raises(NoReplyChannel, match=r"on 'jobs'.*has no(ne| reply channel)") as raised:
            USES[use](Message({}, "jobs", layer))
        assert isinstance(raised.value, ValueError)

    @pytest.mark.parametrize(
        ("name", "decorators"),
        [
            ("channel_session", ["@channel_session ", "channel_session = True"]),
            ("http_session", ["@http_session ", "http_user_and_session = True"]),
            ("user", ["@channel_session_user ", "@http_session_user ", "http_user = True"]),
        ],
    )
    def test_what_a_decorator_sets_names_it_when_it_is_missing(self, layer, name, decorators):
        message = Message({}, "jobs", layer)
        with pytest.raises(MissingDecorator, match="'jobs'") as raised:
            getattr(message, name)
        assert all(each in str(raised.value) for each in decorators)
        assert getattr(message, name, None) is None
        assert not hasattr(message, name)
        setattr(message, name, "given")
        assert getattr(message, name) == "given"

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
