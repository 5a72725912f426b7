"""djchan.generic.base: a consumer that is a class."""

import re
from typing import Any, ClassVar

import pytest

import djchan.generic
from djchan import route, route_class
from djchan.asgi import ChannelLayerWrapper
from djchan.dispatch import Run, dispatch
from djchan.generic.base import BaseConsumer
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.message import Message
from djchan.outcomes import Outcome
from djchan.sessions import session_for_reply_channel

REPLY = "websocket.send.PROCESS!1-abc"


def message_on(channel: str, **content: Any) -> Message:
    layer = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])
    return Message({"reply_channel": REPLY, **content}, channel, layer)


def run(message: Message, *routes: Any) -> Run:
    router = ChannelLayerWrapper(InMemoryChannelLayer(), "default", list(routes)).router
    return dispatch(message, router=router, sender=object)


class Images(BaseConsumer):
    method_mapping: ClassVar = {"images.make": "make", "images.drop": "drop"}
    kind = "png"

    def make(self, message: Any, **kwargs: Any) -> None:
        self.done = ("made", message, kwargs, self.kind)

    def drop(self, message: Any, **kwargs: Any) -> None:
        self.done = ("dropped", message, kwargs, self.kind)


def test_generic_exports_base_consumer():
    assert djchan.generic.BaseConsumer is BaseConsumer


def test_each_channel_of_the_mapping_has_its_method():
    message = message_on("images.make")
    assert Images(message).done == ("made", message, {}, "png")
    message = message_on("images.drop")
    assert Images(message).done == ("dropped", message, {}, "png")


def test_calling_the_class_dispatches_and_returns_the_instance():
    message = message_on("images.make")
    ran = run(message, route_class(Images))
    assert ran.outcome is Outcome.DONE
    assert isinstance(ran.value, Images)
    assert ran.value.done[0] == "made"


def test_message_and_kwargs_are_there_before_dispatch():
    class Early(Images):
        def dispatch(self, message: Any, **kwargs: Any) -> Any:
            self.seen = (self.message, self.kwargs)
            return super().dispatch(message, **kwargs)

    message = message_on("images.make")
    assert Early(message, size="7").seen == (message, {"size": "7"})


def test_the_named_groups_of_the_route_are_kwargs_of_the_method():
    message = message_on("images.make", path="/7/")
    ran = run(message, route_class(Images, path=r"^/(?P<size>\d+)/"))
    assert ran.value.done == ("made", message, {"size": "7"}, "png")
    assert ran.value.kwargs == {"size": "7"}


def test_channel_names_are_the_keys_of_the_mapping():
    assert Images.channel_names() == {"images.make", "images.drop"}
    assert BaseConsumer.method_mapping == {}
    assert BaseConsumer.channel_names() == set()


def test_a_channel_that_is_not_in_the_mapping_is_named():
    with pytest.raises(KeyError, match=re.escape("images.turn")):
        Images(message_on("images.turn"))
    ran = run(message_on("images.turn"), route("images.turn", Images))
    assert ran.outcome is Outcome.FAILED


class TestAsRoute:
    def test_without_attrs_the_consumer_of_the_route_is_the_class(self):
        made = Images.as_route(path="^/x")
        assert made.consumer is Images
        assert made.channels == {"images.make", "images.drop"}
        assert made.filters["path"].pattern == "^/x"

    def test_with_attrs_it_is_a_subclass_and_the_class_is_as_it_was(self):
        attrs = {"kind": "webp", "method_mapping": {"other": "make"}}
        made = Images.as_route(attrs, kind="^w")
        assert issubclass(made.consumer, Images)
        assert made.consumer is not Images
        assert made.channels == {"other"}
        assert attrs == {"kind": "webp", "method_mapping": {"other": "make"}}
        assert run(message_on("other", kind="webp"), made).value.done[3] == "webp"
        assert (Images.kind, Images.channel_names()) == ("png", {"images.make", "images.drop"})

    def test_the_subclass_is_called_as_the_class_in_logs(self):
        assert str(Images.as_route({"kind": "gif"})).endswith(f"-> {Images.__module__}.Images")

    def test_attrs_that_are_empty_are_none(self):
        assert Images.as_route({}).consumer is Images

    def test_attrs_that_are_no_dict_are_an_assertion_error(self):
        with pytest.raises(AssertionError, match="dict of class attributes, not 'webp'"):
            Images.as_route("webp")  # type: ignore[arg-type]


def test_get_handler_is_where_decorators_are_added():
    heard = []

    def noted(func):
        def inner(message: Any, **kwargs: Any) -> Any:
            heard.append(message.channel.name)
            return func(message, **kwargs)

        return inner

    class Noted(Images):
        def get_handler(self, message: Any, **kwargs: Any) -> Any:
            return noted(super().get_handler(message, **kwargs))

    assert Noted(message_on("images.make"), size="7").done[2] == {"size": "7"}
    assert heard == ["images.make"]


@pytest.mark.django_db
class TestSessions:
    def test_neither_is_there_by_default(self):
        message = message_on("images.make")
        Images(message)
        assert (Images.channel_session, Images.channel_session_user) == (False, False)
        assert not hasattr(message, "channel_session")
        assert not hasattr(message, "user")

    def test_channel_session_wraps_the_handler(self):
        class Counting(Images):
            channel_session = True

            def make(self, message: Any, **kwargs: Any) -> None:
                message.channel_session["n"] = message.channel_session.get("n", 0) + 1

        message = message_on("images.make")
        Counting(message)
        Counting(message.copy())
        session = session_for_reply_channel(REPLY, channel_layer=message.channel_layer)
        assert session["n"] == 2

    def test_channel_session_user_wraps_the_handler(self):
        class Users(Images):
            channel_session_user = True

        message = message_on("images.make")
        Users(message)
        assert message.user.is_anonymous
        assert message.channel_session.session_key.startswith("chn")
