"""djchan.channel: what a project sends with."""

import enum

import pytest
from django.db import transaction
from django.test import override_settings

from djchan import outbox
from djchan.asgi import ChannelLayerWrapper, channel_layers
from djchan.channel import Channel, Group
from djchan.exceptions import InvalidChannelName, InvalidGroupName, InvalidMessage, MessageTooLarge
from djchan.layers.inmemory import InMemoryChannelLayer


@pytest.fixture
def layer():
    return InMemoryChannelLayer()


@pytest.fixture
def default_layer(layer):
    """The layer under the alias "default", for this test."""
    before = channel_layers.set("default", ChannelLayerWrapper(layer, "default", []))
    yield layer
    channel_layers.set("default", before)


class TestChannel:
    def test_takes_a_name_as_text_or_bytes(self, layer):
        assert Channel("a", channel_layer=layer).name == "a"
        assert Channel(b"a", channel_layer=layer).name == "a"
        assert str(Channel("a", channel_layer=layer)) == "a"

    def test_a_name_is_checked_when_it_is_used(self, layer):
        channel = Channel("not valid", channel_layer=layer)
        with pytest.raises(InvalidChannelName, match="not valid"):
            channel.send({})
        assert Channel(None, channel_layer=layer).name is None

    def test_uses_the_layer_of_its_alias(self, default_layer):
        Channel("a").send({"n": 1})
        assert default_layer.receive(["a"]) == ("a", {"n": 1})
        assert Channel("a").channel_layer is channel_layers["default"]

    def test_uses_the_layer_it_was_given(self, layer):
        assert Channel("a", channel_layer=layer).channel_layer is layer
        wrapper = ChannelLayerWrapper(layer, "other", [])
        Channel("a", channel_layer=wrapper).send({"n": 1})
        assert layer.receive(["a"]) == ("a", {"n": 1})

    @pytest.mark.parametrize("content", [None, "text", 7, [1], ("a", 1)])
    def test_a_message_is_a_dict(self, layer, content):
        with pytest.raises(TypeError, match="dict"):
            Channel("a", channel_layer=layer).send(content)

    @pytest.mark.parametrize("key", ["__retries__", "__asgi_channel__", "original_channel", "____"])
    def test_reserved_keys_are_refused_at_the_call(self, layer, key):
        with outbox.opened(layer), pytest.raises(InvalidMessage, match=key):
            Channel("a", channel_layer=layer).send({key: 1})
        with pytest.raises(InvalidMessage, match=key):
            Group("a", channel_layer=layer).send({key: 1})

    def test_a_reply_channel_may_be_forwarded(self, layer):
        Channel("a", channel_layer=layer).send({"reply_channel": "w.p!c", "__x": 1, "order": 2})
        assert layer.receive(["a"])[1] == {"reply_channel": "w.p!c", "__x": 1, "order": 2}

    def test_what_cannot_travel_is_refused_at_the_call(self, layer):
        with outbox.opened(layer), pytest.raises(TypeError, match="object"):
            Channel("a", channel_layer=layer).send({"value": object()})

    def test_the_size_is_limited(self):
        layer = InMemoryChannelLayer(max_message_size=100)
        with pytest.raises(MessageTooLarge, match="max_message_size"):
            Channel("a", channel_layer=layer).send({"value": b"x" * 100})

    def test_what_is_plain_at_heart_travels(self, layer):
        class Color(enum.IntEnum):
            RED = 1

        Channel("a", channel_layer=layer).send({"color": Color.RED, "pair": (1, b"2")})
        assert layer.receive(["a"])[1] == {"color": 1, "pair": [1, b"2"]}

    def test_a_full_channel_is_told(self):
        layer = InMemoryChannelLayer(capacity=2)
        channel = Channel("a", channel_layer=layer)
        channel.send({})
        channel.send({})
        with pytest.raises(layer.ChannelFull, match=r"'a' holds 2 messages"):
            channel.send({})

    def test_a_delay_keeps_it_back(self, layer):
        Channel("a", channel_layer=layer).send({"n": 1}, delay=60)
        assert layer.receive(["a"]) == (None, None)

    def test_a_delay_on_a_reply_channel_is_refused(self, layer):
        with pytest.raises(ValueError, match="delay"):
            Channel("websocket.send.P!c", channel_layer=layer).send({"text": ""}, delay=1)

    @pytest.mark.asyncio
    async def test_asend(self, layer):
        await Channel("a", channel_layer=layer).asend({"n": 1})
        assert await layer.areceive(["a"]) == ("a", {"n": 1})
        with outbox.opened(layer) as box:
            await Channel("a", channel_layer=layer).asend({"n": 2})
            await Channel("a", channel_layer=layer).asend({"n": 3}, immediately=True)
        assert await layer.areceive(["a"]) == ("a", {"n": 3})
        assert len(box.words) == 1
        await layer.aclose()

    @pytest.mark.asyncio
    async def test_asend_to_a_full_channel(self):
        layer = InMemoryChannelLayer(capacity=1)
        await Channel("a", channel_layer=layer).asend({})
        with pytest.raises(layer.ChannelFull):
            await Channel("a", channel_layer=layer).asend({})
        await layer.aclose()


class TestGroup:
    def test_members_get_what_is_sent(self, layer):
        group = Group("g", channel_layer=layer)
        group.add("a")
        group.add("a")
        group.add(Channel("b", channel_layer=layer))
        group.send({"n": 1})
        group.discard(Channel("b", channel_layer=layer))
        group.discard("stranger")
        group.send({"n": 2})
        assert layer.receive(["a"]) == ("a", {"n": 1})
        assert layer.receive(["a"]) == ("a", {"n": 2})
        assert layer.receive(["a"]) == (None, None)
        assert layer.receive(["b"]) == ("b", {"n": 1})
        assert layer.receive(["b"]) == (None, None)

    def test_takes_names_as_bytes(self, layer):
        group = Group(b"g", channel_layer=layer)
        group.add(b"a")
        assert group.name == "g"
        assert list(layer.group_channels("g")) == ["a"]

    def test_a_message_is_a_dict(self, layer):
        # ValueError, where Channel has TypeError: as in Channels 1.x.
        with pytest.raises(ValueError, match="dict"):
            Group("g", channel_layer=layer).send("text")

    def test_names_are_checked_at_the_call(self, layer):
        with outbox.opened(layer):
            with pytest.raises(InvalidGroupName):
                Group("a:b", channel_layer=layer).send({})
            with pytest.raises(InvalidGroupName):
                Group("a:b", channel_layer=layer).add("a")
            with pytest.raises(InvalidChannelName):
                Group("g", channel_layer=layer).add("a b")
            with pytest.raises(InvalidChannelName):
                Group("g", channel_layer=layer).discard("a b")

    def test_is_never_full(self):
        layer = InMemoryChannelLayer(capacity=1)
        group = Group("g", channel_layer=layer)
        group.add("a")
        for _ in range(3):
            group.send({})

    def test_uses_the_layer_of_its_alias(self, default_layer):
        Group("g").add("a")
        assert list(default_layer.group_channels("g")) == ["a"]
        assert list(Group("g").channel_layer.group_channels("g")) == ["a"]

    @pytest.mark.asyncio
    async def test_its_async_twins(self, layer):
        group = Group("g", channel_layer=layer)
        await group.aadd("a")
        await group.asend({"n": 1})
        await group.adiscard("a")
        await group.asend({"n": 2})
        assert await layer.areceive(["a"]) == ("a", {"n": 1})
        assert await layer.areceive(["a"]) == (None, None)
        await layer.aclose()


@pytest.mark.django_db(transaction=True)
class TestOnCommit:
    def test_waits_for_the_transaction(self, layer):
        with transaction.atomic():
            Channel("a", channel_layer=layer).send({"n": 1}, on_commit=True)
            assert layer.receive(["a"]) == (None, None)
        assert layer.receive(["a"]) == ("a", {"n": 1})

    def test_a_rollback_takes_it_along(self, layer):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            Channel("a", channel_layer=layer).send({"n": 1}, on_commit=True)
            Group("g", channel_layer=layer).send({"n": 1}, on_commit="default")
            1 / 0  # noqa: B018
        assert layer.receive(["a"]) == (None, None)

    def test_is_checked_and_copied_at_the_call(self, layer):
        content = {"n": 1}
        with transaction.atomic():
            Channel("a", channel_layer=layer).send(content, on_commit=True)
            content["n"] = 2
            with pytest.raises(TypeError):
                Channel("a", channel_layer=layer).send({"n": object()}, on_commit=True)
        assert layer.receive(["a"]) == ("a", {"n": 1})

    def test_inside_a_consumer_it_joins_the_outbox(self, layer):
        with outbox.opened(layer) as box:
            with transaction.atomic():
                Channel("a", channel_layer=layer).send({"n": 1}, on_commit=True)
                assert box.words == []
            assert len(box.words) == 1
        assert layer.receive(["a"]) == (None, None)

    def test_a_group(self, layer):
        Group("g", channel_layer=layer).add("a")
        with transaction.atomic():
            Group("g", channel_layer=layer).send({"n": 1}, on_commit=True)
            assert layer.receive(["a"]) == (None, None)
        assert layer.receive(["a"]) == ("a", {"n": 1})


@override_settings(CHANNEL_LAYERS={})
def test_an_alias_that_is_not_there():
    with pytest.raises(KeyError, match="default"):
        Channel("a").send({})
