"""asgi.delay in a worker: the layer's own delayed messages, no database, no process."""

import math
import time
from typing import Any

import pytest
from django.test import modify_settings

from djchan import Channel, route
from djchan.asgi import ChannelLayerWrapper
from djchan.delay.consumer import delay, serve_delay
from djchan.delay.request import MAX_DELAY, read
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.routing import Router
from djchan.test import work_off


@pytest.fixture
def layer():
    return ChannelLayerWrapper(InMemoryChannelLayer(), "default", [route("asgi.delay", delay)])


def ask(layer, **content: Any) -> None:
    Channel("asgi.delay", channel_layer=layer).send(content)
    assert work_off(layer) == {"done": 1}


def test_a_message_is_delayed_by_milliseconds_and_needs_no_database(layer):
    begun = time.monotonic()
    ask(layer, channel="x", delay=150, content={"n": 1})
    # work_off waits for what is due later.
    assert layer.receive(["x"]) == ("x", {"n": 1})
    assert 0.14 <= time.monotonic() - begun < 5


@pytest.mark.parametrize("none", [0, -5, 0.0])
def test_without_a_delay_it_is_sent_at_once(layer, none):
    ask(layer, channel="x", delay=none, content={"n": 1})
    assert layer.receive(["x"]) == ("x", {"n": 1})


def test_it_is_committed_with_its_delivery(layer):
    for n in range(200):
        # Over the capacity of x: what a consumer sends is not refused.
        Channel("asgi.delay", channel_layer=layer).send(
            {"channel": "x", "delay": 0, "content": {"n": n}}
        )
        work_off(layer)
    assert layer.channel_statistics("x")["messages_pending"] == 200


def test_bytes_may_be_in_the_content(layer):
    ask(layer, channel="x", delay=0, content={"bytes": b"\x00\xff"})
    assert layer.receive(["x"]) == ("x", {"bytes": b"\x00\xff"})


def test_a_reply_is_delayed_too():
    sent = []

    class Layer(InMemoryChannelLayer):
        def word(self, channel, message, **options):
            sent.append((channel, message, options))
            return super().word(channel, message, **options)

    layer = ChannelLayerWrapper(Layer(), "default", [route("asgi.delay", delay)])
    name = "websocket.send.nobody!7"
    request = {"channel": name, "delay": 50, "content": {"text": "hello"}}
    Channel("asgi.delay", channel_layer=layer).send(request)
    deadline = time.monotonic() + 5
    while len(sent) < 3 and time.monotonic() < deadline:
        work_off(layer)
        time.sleep(0.01)
    assert [(channel, options["delay"]) for channel, _, options in sent] == [
        ("asgi.delay", 0),
        ("asgi.delay", 0.05),
        (name, 0),
    ]
    assert sent[2][1] == {"text": "hello"}


BAD = {
    "no content": ({"channel": "x", "delay": 1}, "lacks 'content'"),
    "nothing": ({}, "lacks 'channel', 'content', 'delay'"),
    "channel of nonsense": ({"channel": "a b", "delay": 1, "content": {}}, "'a b'"),
    "channel is a number": ({"channel": 5, "delay": 1, "content": {}}, "not a valid channel"),
    "content is text": ({"channel": "x", "delay": 1, "content": "hi"}, "is a dict, not 'hi'"),
    "delay is text": ({"channel": "x", "delay": "1", "content": {}}, "number of milliseconds"),
    "delay is None": ({"channel": "x", "delay": None, "content": {}}, "number of milliseconds"),
    "delay is a bool": ({"channel": "x", "delay": True, "content": {}}, "number of milliseconds"),
    "delay is endless": (
        {"channel": "x", "delay": math.inf, "content": {}},
        "number of milliseconds",
    ),
    "delay is too long": ({"channel": "x", "delay": MAX_DELAY + 1, "content": {}}, "100 years"),
}


@pytest.mark.parametrize("which", BAD)
def test_a_bad_message_is_logged_and_dropped_and_the_next_one_is_served(layer, caplog, which):
    content, why = BAD[which]
    with pytest.raises(ValueError, match=r"asgi\.delay|valid channel"):
        read(content)
    ask(layer, **content)
    assert "is dropped" in caplog.text and why in caplog.text
    ask(layer, channel="x", delay=0, content={"n": 1})
    assert layer.receive(["x"]) == ("x", {"n": 1})


def test_a_reserved_key_in_the_content_is_a_bad_message(layer, caplog):
    ask(layer, channel="x", delay=0, content={"__retries__": 5})
    assert "reserved" in caplog.text
    assert layer.receive(["x"]) == (None, None)


# ----------------------------------------------------------------- who serves it


def test_workers_serve_it_when_the_app_is_installed():
    router = Router([])
    router.check_default()
    serve_delay(router)
    serve_delay(router)
    assert [each.consumer for each in router.root.routing].count(delay) == 1
    assert "asgi.delay" in router.channels


def test_a_route_of_the_project_goes_first():
    router = Router([route("asgi.delay", print)])
    serve_delay(router)
    assert [each.consumer for each in router.root.routing] == [print]


@modify_settings(INSTALLED_APPS={"remove": "djchan.delay"})
def test_workers_do_not_serve_it_without_the_app():
    router = Router([])
    serve_delay(router)
    assert router.channels == set()
