"""djchan.lazy: values of Django that stand for others travel as what they stand for."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.utils import translation
from django.utils.functional import SimpleLazyObject, lazystr
from django.utils.translation import gettext_lazy

from djchan.channel import Channel, Group
from djchan.exceptions import InvalidMessage
from djchan.generic.websockets import JsonWebsocketConsumer, WebsocketMultiplexer
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.sockets.content import to_json
from djchan.strict_json import loads

LAZY = [
    (lazystr("lazy"), "lazy"),
    (gettext_lazy("Yes"), "Oui"),
    (SimpleLazyObject(lambda: "a"), "a"),
    (SimpleLazyObject(lambda: 5), 5),
    (SimpleLazyObject(lambda: None), None),
    (SimpleLazyObject(lambda: {"a": [SimpleLazyObject(lambda: 1.5)]}), {"a": [1.5]}),
    (SimpleLazyObject(lambda: [True]), [True]),
]


@pytest.fixture
def layer():
    return InMemoryChannelLayer()


@pytest.mark.parametrize(("value", "plain"), LAZY, ids=[str(plain) for _, plain in LAZY])
class TestLazyValues:
    @pytest.fixture(autouse=True)
    def french(self):
        with translation.override("fr"):
            yield

    def test_in_a_message(self, layer, value, plain):
        Channel("a", channel_layer=layer).send({"deep": [value], "x": value})
        Group("g", channel_layer=layer).add("a")
        Group("g", channel_layer=layer).send({"x": value})
        layer.send("a", {"x": value})

        with translation.override("de"):  # The sender's language, not the receiver's.
            assert layer.receive(["a"]) == ("a", {"deep": [plain], "x": plain})
            assert layer.receive(["a"]) == ("a", {"x": plain})
            assert layer.receive(["a"]) == ("a", {"x": plain})

    @pytest.mark.parametrize(
        "encode",
        [
            JsonWebsocketConsumer.encode_json,
            WebsocketMultiplexer.encode_json,
            lambda value: to_json("send_json()", value),
        ],
        ids=["json consumer", "multiplexer", "socket view"],
    )
    def test_as_json(self, value, plain, encode):
        assert loads(encode({"x": [value]})) == {"x": [plain]}


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        (SimpleLazyObject(lambda: User(pk=1)), "of type User (send its primary key)"),
        (User(pk=1), "(send its primary key)"),
        (User.objects.none(), "(send a list)"),
        ({1}, "(send a list)"),
        (UUID(int=7), "(send it as text, with str())"),
        (Decimal("1.5"), "(send it as text, with str())"),
        (Path("/a"), "(send it as text, with str())"),
        (datetime(2026, 1, 1, tzinfo=UTC), "(send its isoformat())"),
        (timedelta(seconds=1), "(send its total_seconds())"),
        ({7: "a"}, "the key 7 is not text (write str() around it)"),
        (object(), "is of type object. A message holds"),
    ],
)
def test_what_cannot_travel_is_refused_with_what_to_send_instead(layer, value, remedy):
    with pytest.raises(InvalidMessage) as raised:
        Channel("a", channel_layer=layer).send({"x": [value]})
    assert remedy in str(raised.value)


def test_a_json_consumer_sends_the_types_of_djangos_encoder():
    value = {
        "id": UUID(int=7),
        "price": Decimal("1.50"),
        "at": datetime(2026, 1, 1, 12, tzinfo=UTC),
        "for": timedelta(minutes=1),
    }
    assert loads(JsonWebsocketConsumer.encode_json(value)) == {
        "id": "00000000-0000-0000-0000-000000000007",
        "price": "1.50",
        "at": "2026-01-01T12:00:00Z",
        "for": "P0DT00H01M00S",
    }
    with pytest.raises(TypeError, match="User is not JSON serializable"):
        JsonWebsocketConsumer.encode_json(User())
