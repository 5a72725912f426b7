"""A worker in the test's own thread: what it runs, and when it ends."""

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from djchan import Channel, route
from djchan.asgi import ChannelLayerWrapper, channel_layers
from djchan.exceptions import ConsumeLater
from djchan.layers import effects
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.operations import DeadLetters, Push, Send
from djchan.layers.redis import RedisChannelLayer
from djchan.test import ChaosLayer, work_off


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


class TestUntil:
    """The clock of a layer in memory is moved, and nobody waits."""

    @pytest.fixture
    def ran(self) -> list[Any]:
        return []

    @pytest.fixture
    def layer(self, ran) -> Any:
        def consumer(message: Any) -> None:
            ran.append(message["n"])

        return wrapper(route("x", consumer), route("y", consumer))

    def send(self, layer: Any, n: int, delay: float, channel: str = "x") -> None:
        Channel(channel, channel_layer=layer).send({"n": n}, delay=delay)

    def test_what_is_due_by_then_runs_in_order_and_the_rest_stays(self, layer, ran):
        self.send(layer, 3, 7200)
        self.send(layer, 2, 3600, "y")
        self.send(layer, 1, 60)
        assert work_off(layer, until=59) == {}
        assert work_off(layer, until=timedelta(seconds=1)) == {"done": 1}
        assert work_off(layer, until=3600) == {"done": 1}
        assert ran == [1, 2]
        assert work_off(layer, until=timedelta(hours=1)) == {"done": 1}
        assert ran == [1, 2, 3]

    def test_a_moment_is_one_too(self, layer, ran, settings):
        self.send(layer, 1, 3600)
        assert work_off(layer, until=timezone.now() + timedelta(minutes=59)) == {}
        assert work_off(layer, until=timezone.now() + timedelta(minutes=61)) == {"done": 1}
        self.send(layer, 2, 3600)
        settings.USE_TZ = False
        assert work_off(layer, until=timezone.now() + timedelta(hours=3)) == {"done": 1}
        assert ran == [1, 2]

    def test_what_runs_then_may_send_for_later(self, ran):
        def consumer(message: Any) -> None:
            ran.append(round((message.channel_layer.now() - begin) / 60_000))
            Channel("x", channel_layer=message.channel_layer).send({}, delay=600)

        layer = wrapper(route("x", consumer))
        begin = layer.now()
        layer.send("x", {})
        # The clock goes on while consumers run, so a little more than an hour.
        assert work_off(layer, until=timedelta(minutes=61)) == {"done": 7}
        assert ran == [0, 10, 20, 30, 40, 50, 60]
        assert round((layer.now() - begin) / 60_000) == 61

    def test_a_message_that_waited_so_has_not_expired(self, ran):
        layer = ChannelLayerWrapper(
            InMemoryChannelLayer(expiry=60), "x", [route("x", lambda message: ran.append(1))]
        )
        self.send(layer, 1, 3600)
        assert work_off(layer, until=3600) == {"done": 1}
        layer.send("x", {})
        layer.channel_layer.move_clock(61_000)
        assert work_off(layer) == {"expired": 1}

    def test_messages_on_asgi_delay_are_delayed(self, layer, ran):
        layer.send("asgi.delay", {"channel": "x", "delay": 3_600_000, "content": {"n": 1}})
        assert work_off(layer, until=3599) == {"done": 1}  # That on asgi.delay.
        assert work_off(layer, until=10) == {"done": 1}
        assert ran == [1]

    def test_faults_and_encryption_change_nothing(self, layer, ran):
        key = {"symmetric_encryption_keys": ["a key that is long enough for anybody"]}
        for made in (ChaosLayer(seed=1), InMemoryChannelLayer(**key)):
            each = ChannelLayerWrapper(made, "default", layer.routing)
            self.send(each, 1, 3600)
            assert work_off(each, until=3600) == {"done": 1}
        assert ran == [1, 1]

    def test_a_test_that_moves_the_time_of_its_process_needs_no_until(
        self, layer, ran, monkeypatch
    ):
        # What freezegun and time-machine do.
        self.send(layer, 1, 3600)
        later = time.time() + 3600
        monkeypatch.setattr(time, "time", lambda: later)
        assert work_off(layer) == {"done": 1}

    def test_where_the_time_stands_still_nobody_waits_for_it(self, layer, monkeypatch):
        monkeypatch.setattr(time, "time", lambda: 2e9)
        monkeypatch.setattr(time, "monotonic", lambda: 1.0)
        self.send(layer, 1, 3600)
        with pytest.raises(TimeoutError, match=r"due in 3600 s.*stands still.*until="):
            work_off(layer)

    def test_the_clock_of_redis_cannot_be_moved(self):
        for layer in (RedisChannelLayer(), ChaosLayer(RedisChannelLayer())):
            with pytest.raises(ValueError, match=r"RedisChannelLayer cannot be moved.*until="):
                work_off(ChannelLayerWrapper(layer, "default", []), until=1)

    @pytest.mark.parametrize("until", ["1", True, object()])
    def test_what_is_no_time_is_refused(self, layer, until):
        with pytest.raises(TypeError, match="until is a datetime, a timedelta or a number"):
            work_off(layer, until=until)
