"""A worker in the test's own thread: what it runs, and when it ends."""

import threading
from typing import Any

import pytest

from djchan import Channel, route
from djchan.asgi import ChannelLayerWrapper, channel_layers
from djchan.exceptions import ConsumeLater
from djchan.layers import effects
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.operations import DeadLetters, Push, Send
from djchan.test import work_off


def wrapper(*routes: Any, **options: Any) -> ChannelLayerWrapper:
    return ChannelLayerWrapper(InMemoryChannelLayer(), "default", list(routes), **options)


def test_it_runs_what_waits_and_what_that_sends_in_this_thread():
    ran = []

    def consumer(message: Any) -> None:
        ran.append((message["n"], threading.current_thread()))
        if message["n"]:
            Channel("x", channel_layer=message.channel_layer).send({"n": message["n"] - 1})

    layer = wrapper(route("x", consumer))
    layer.send("x", {"n": 3})
    assert work_off(layer) == {"done": 4}
    assert ran == [(n, threading.current_thread()) for n in (3, 2, 1, 0)]
    assert work_off(layer) == {}


def test_the_layer_is_named_by_its_alias(settings):
    ran = []
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "djchan.layers.inmemory.InMemoryChannelLayer",
            "ROUTING": [route("x", lambda message: ran.append(message["n"]))],
        }
    }
    Channel("x").send({"n": 1})
    assert work_off() == {"done": 1}
    Channel("x").send({"n": 2})
    assert work_off(channel_layers["default"]) == {"done": 1}
    assert ran == [1, 2]


def test_an_async_consumer_is_run_to_its_end():
    ran = []

    async def consumer(message: Any) -> None:
        ran.append(message["n"])

    layer = wrapper(route("x", consumer))
    layer.send("x", {"n": 1})
    assert work_off(layer) == {"done": 1}
    assert ran == [1]


def test_it_waits_for_what_is_due_later():
    ran = []

    def consumer(message: Any) -> None:
        Channel("y", channel_layer=message.channel_layer).send({"n": 1}, delay=0.1)

    layer = wrapper(route("x", consumer), route("y", lambda message: ran.append(message["n"])))
    layer.send("x", {})
    work_off(layer)
    assert ran == [1]


def test_a_consumer_may_ask_for_a_later_run():
    ran = []

    def consumer(message: Any) -> None:
        ran.append(message.get("__retries__", 0))
        raise ConsumeLater

    layer = wrapper(route("x", consumer), worker_options={"retry_delay": 0.001})
    layer.send("x", {})
    assert work_off(layer) == {"later": 10, "exhausted": 1}
    assert ran == list(range(11))


def test_a_consumer_that_fails_is_counted(caplog):
    def consumer(message: Any) -> None:
        raise RuntimeError("a bug")

    layer = wrapper(route("x", consumer))
    layer.send("x", {})
    assert work_off(layer) == {"failed": 1}
    assert "a bug" in caplog.text


def test_what_is_not_run_is_given_up():
    layer = wrapper(route("x", lambda message: None))
    layer.send("x", {})
    old = effects.envelope(layer.channel_layer, "x", layer.encode({}), expires=1)
    layer.engine.link("x").perform(Send("", 0, (Push("x", old, expires=1),)))
    assert work_off(layer) == {"done": 1, "expired": 1}
    (letters,) = layer.engine.link("x").perform(DeadLetters("x"))
    assert len(letters) == 1


def test_it_does_not_run_for_ever():
    def consumer(message: Any) -> None:
        Channel("x", channel_layer=message.channel_layer).send({})

    layer = wrapper(route("x", consumer))
    layer.send("x", {})
    with pytest.raises(TimeoutError, match="own channel"):
        work_off(layer, timeout=0.1)
    # It has said goodbye: what it had not run is there for the next.
    assert layer.channel_statistics("x")["messages_pending"] == 1
