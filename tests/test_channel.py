"""djchan.channel: what a project sends with."""

import enum
import math
from datetime import datetime, timedelta

import pytest
from django.db import transaction
from django.test import override_settings
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy

from djchan import outbox
from djchan.asgi import ChannelLayerWrapper, channel_layers
from djchan.channel import Channel, Group
from djchan.exceptions import InvalidChannelName, InvalidGroupName, InvalidMessage, MessageTooLarge
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.message import Message


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

    @pytest.mark.parametrize(
        ("delay", "due"),
        [(timedelta(hours=1), False), (3600, False), (timedelta(), True), (-1.5, True), (0, True)],
    )
    def test_a_delay_is_a_timedelta_or_seconds(self, layer, delay, due):
        Channel("a", channel_layer=layer).send({"n": 1}, delay=delay)
        assert layer.receive(["a"]) == (("a", {"n": 1}) if due else (None, None))

    @pytest.mark.asyncio
    async def test_a_delay_on_an_event_loop(self, layer):
        await Channel("a", channel_layer=layer).asend({"n": 1}, delay=timedelta(hours=1))
        assert await layer.areceive(["a"]) == (None, None)

    @pytest.mark.parametrize(
        ("delay", "error"),
        [
            ("5", TypeError),
            (True, TypeError),
            (datetime(2030, 1, 1), TypeError),
            (math.nan, ValueError),
            (math.inf, ValueError),
            (1e30, ValueError),
        ],
    )
    def test_any_other_delay_is_refused_with_its_value(self, layer, delay, error):
        with pytest.raises(error, match=r"^delay is ") as raised:
            Channel("a", channel_layer=layer).send({}, delay=delay)
        assert repr(delay) in str(raised.value)


SOCKET = f"websocket.send.{'p' * 22}!1-x"
RESPONSE = f"http.response.{'p' * 22}!1-x"
# A reply, and what the error says of it.
NO_FRAMES = [
    ({"text": {"a": 1}}, r"not dict \(write json.dumps\(\)"),
    ({"text": ["a"]}, r"not list \(write json.dumps\(\)"),
    ({"accept": True, "text": 7}, "not int"),
    ({"text": b"a"}, "not bytes"),
    ({"bytes": "a"}, "not str"),
    ({"text": "a", "bytes": b"b"}, "both text and bytes"),
    ({"close": 1001}, "1001 is no close code"),
    ({"text": "a", "close": "3000"}, "'3000' is no close code"),
]
NO_PARTS = [
    ({"status": 200, "content": "text"}, "is bytes, not str"),
    ({"content": {"a": 1}, "more_content": True}, "is bytes, not dict"),
    ({"status": "200"}, "from 200 to 599, not '200'"),
    ({"status": 99}, "from 200 to 599, not 99"),
]


class TestReplies:
    """What the interface could not give to the client is refused on the line that sends it."""

    @pytest.mark.parametrize(
        ("name", "reply", "words"),
        [(SOCKET, *each) for each in NO_FRAMES]
        + [(SOCKET, {"txet": "a"}, "no key 'txet'")]
        + [(RESPONSE, *each) for each in NO_PARTS],
        ids=str,
    )
    def test_by_the_name_of_the_channel(self, layer, name, reply, words):
        with outbox.opened(layer) as box, pytest.raises(InvalidMessage, match=words):
            Channel(name, channel_layer=layer).send(reply)
        assert box.words == []

    @pytest.mark.parametrize(
        ("channel", "reply", "words"),
        [("websocket.receive", *each) for each in NO_FRAMES]
        + [("http.request", *each) for each in NO_PARTS],
        ids=str,
    )
    def test_a_test_client_gets_it_as_in_1x_with_a_warning(self, layer, channel, reply, words):
        message = Message({"reply_channel": "default-abcde"}, channel, layer)
        with pytest.warns(UserWarning, match=words) as warned:
            message.reply_channel.send(reply)
        assert "A live site raises InvalidMessage here." in str(warned[0].message)
        assert warned[0].filename == __file__
        assert layer.receive(["default-abcde"]) == ("default-abcde", reply)

    @pytest.mark.parametrize(("frame", "words"), NO_FRAMES, ids=str)
    def test_to_a_group(self, layer, frame, words):
        with pytest.raises(InvalidMessage, match=words):
            Group("g", channel_layer=layer).send(frame)

    @pytest.mark.parametrize(
        "frame",
        [
            {"accept": True},
            {"accept": True, "subprotocol": "v1", "text": "a", "close": 3000},
            {"text": "", "bytes": b"a"},
            {"bytes": bytearray(b"a"), "close": False},
            {"text": mark_safe("a"), "close": None},
            {"text": gettext_lazy("Yes")},
            {"text": SimpleLazyObject(lambda: "a")},
            {"text": "a", "type": "line"},
            {},
        ],
    )
    def test_a_frame_is_sent(self, layer, frame):
        with outbox.opened(layer) as box:
            Channel(SOCKET, channel_layer=layer).send(frame)
            Group("g", channel_layer=layer).send(frame)
        assert len(box.words) == 2

    def test_a_message_to_a_channel_is_what_the_project_likes(self, layer):
        Group("g", channel_layer=layer).add("a")
        for content in ({"text": {"a": 1}, "id": 7}, {"type": "line", "text": {"a": 1}}):
            Group("g", channel_layer=layer).send(content)
            assert layer.receive(["a"]) == ("a", content)
        Channel("a", channel_layer=layer).send({"text": {"a": 1}})
        assert layer.receive(["a"]) == ("a", {"text": {"a": 1}})


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
