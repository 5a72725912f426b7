from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from djchan import route
from djchan.asgi import channel_layers
from djchan.handler import ViewConsumer
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.redis import RedisChannelLayer
from djchan.management.commands import runworker
from djchan.message import Message
from djchan.signals import worker_process_ready, worker_ready
from djchan.staticfiles import StaticFilesConsumer
from djchan.worker import Worker
from tests.support.waiting import free_port

REQUEST = Message({"path": "/"}, "http.request", None)


class FarLayer(InMemoryChannelLayer):
    """A layer in memory that claims to reach other processes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.engine.local_only = False  # type: ignore[misc]


def layers(backend: str, **entry: Any) -> dict[str, Any]:
    routing = [route("mine", lambda message: None)]
    return {"default": {"BACKEND": backend, "ROUTING": routing, **entry}}


@pytest.fixture
def far(settings):
    settings.CHANNEL_LAYERS = layers(f"{__name__}.FarLayer")


@pytest.fixture
def made(monkeypatch, loggers):
    """The workers that the command made; none of them runs."""
    made: list[Worker] = []

    class Idle(Worker):
        def run(self) -> None:
            made.append(self)

    monkeypatch.setattr(runworker, "Worker", Idle)
    return made


def test_a_layer_in_memory_is_refused_with_the_remedy():
    with pytest.raises(CommandError, match="RedisChannelLayer"):
        call_command("runworker")


def test_an_unknown_layer_is_refused_with_its_name():
    with pytest.raises(CommandError, match="nowhere"):
        call_command("runworker", layer="nowhere")


def test_a_redis_that_is_not_there_is_one_sentence(settings):
    port = free_port()
    settings.CHANNEL_LAYERS = layers(
        f"{RedisChannelLayer.__module__}.{RedisChannelLayer.__qualname__}",
        CONFIG={"hosts": [("127.0.0.1", port)]},
    )
    with pytest.raises(CommandError, match=str(port)) as raised:
        call_command("runworker")
    assert "\n" not in str(raised.value)


def test_wrong_worker_options_are_refused(settings, far):
    settings.CHANNEL_LAYERS = layers(f"{__name__}.FarLayer", WORKER={"thread": 1})
    with pytest.raises(CommandError, match="thread"):
        call_command("runworker")


def test_the_options_reach_the_worker(far, made):
    call_command(
        "runworker",
        "--only-channels=http.*",
        "--only-channels=websocket.*",
        "--exclude-channels=thumbnails",
        "--threads=3",
        "--concurrency=7",
    )
    (worker,) = made
    assert worker.channel_layer is channel_layers["default"]
    assert worker.only_channels == ["http.*", "websocket.*"]
    assert worker.exclude_channels == ["thumbnails"]
    assert (worker.threads, worker.options.concurrency) == (3, 7)
    assert worker.signal_handlers is True
    assert worker.callback is None


def test_the_settings_stand_where_no_option_is_given(settings, made):
    settings.CHANNEL_LAYERS = layers(f"{__name__}.FarLayer", WORKER={"threads": 5})
    call_command("runworker")
    assert made[0].threads == 5


def test_another_layer_is_served(settings, far, made):
    settings.CHANNEL_LAYERS = {
        **layers(f"{__name__}.FarLayer"),
        "other": layers(f"{__name__}.FarLayer")["default"],
    }
    call_command("runworker", "--layer=other")
    assert made[0].channel_layer is channel_layers["other"]
    assert made[0].channel_layer.alias == "other"


def test_with_verbosity_2_each_message_is_a_line(far, made):
    out = StringIO()
    call_command("runworker", verbosity=2, stdout=out)

    class Message:
        id = "the-id"
        attempt = 2

    made[0].callback("mine", Message())
    assert out.getvalue() == "mine the-id (attempt 2)\n"


def test_sockets_and_pages_are_served_without_a_route(far, made):
    call_command("runworker")
    router = channel_layers["default"].router
    assert router.channels >= {"mine", "http.request", "websocket.connect", "websocket.receive"}
    assert isinstance(router.root.routing[-4].consumer, ViewConsumer)


def test_delayed_messages_are_served_when_their_app_is_installed(far, made):
    call_command("runworker")
    assert "asgi.delay" in channel_layers["default"].router.channels


def test_in_debug_static_files_are_served_too(settings, far, made):
    settings.DEBUG = True
    call_command("runworker")
    router = channel_layers["default"].router
    assert isinstance(router.root.routing[-4].consumer, StaticFilesConsumer)


def test_the_ready_signals_are_sent(far, made):
    said = []

    def process_ready(sender, **kwargs):
        said.append(("process", sender))

    def ready(sender, **kwargs):
        said.append(("worker", sender))

    worker_process_ready.connect(process_ready)
    worker_ready.connect(ready)
    try:
        call_command("runworker", threads=2)
    finally:
        worker_process_ready.disconnect(process_ready)
        worker_ready.disconnect(ready)
    assert said == [("process", made[0]), ("worker", made[0]), ("worker", made[0])]


@pytest.mark.parametrize("restart", [True, False])
def test_a_worker_that_is_spent_is_started_anew(far, monkeypatch, restart):
    begun = []

    class Spent(Worker):
        def run(self) -> None:
            self.restart = self.can_restart and restart

    monkeypatch.setattr(runworker, "Worker", Spent)
    monkeypatch.setattr(runworker, "begin_anew", lambda beginning: begun.append(1))
    call_command("runworker")
    assert len(begun) == restart


def test_reload_leaves_signals_to_the_reloader(far, made, monkeypatch):
    ran = []
    monkeypatch.setenv("RUN_MAIN", "true")
    monkeypatch.setattr(
        runworker.autoreload,
        "run_with_reloader",
        lambda main, *args, **kwargs: ran.append(main(*args, **kwargs)),
    )
    call_command("runworker", reload=True)
    assert ran == [None]
    assert made[0].signal_handlers is False
    assert made[0].can_restart is False


def test_a_projects_own_command_overrides_what_it_likes(far, made):
    seen = []

    class Own(runworker.Command):
        def add_arguments(self, parser):
            super().add_arguments(parser)
            parser.add_argument("--color")

        def handle(self, *args, **options):
            seen.append(options["color"])
            super().handle(*args, **options)

        def get_layer(self, alias):
            seen.append(alias)
            return super().get_layer("default")

        def get_consumer(self):
            return views

        def make_worker(self, **options):
            worker = super().make_worker(**options)
            seen.append((self.channel_layer is worker.channel_layer, self.verbosity))
            return worker

        def consumer_called(self, channel, message):
            seen.append((channel, message, self.options["color"], self.logger.name))

    views = ViewConsumer()
    call_command(Own(), "--color=red", "--layer=mine", verbosity=2)
    (worker,) = made
    worker.callback("x", "message")
    assert seen == ["red", "mine", (True, 2), ("x", "message", "red", "djchan")]
    assert worker.channel_layer.router.match(REQUEST)[0] is views


# Channels 1.x had no get_layer(); its subclasses override handle() and consumer_called() alone.
def test_a_command_of_channels_1_x_works_as_it_is(far, made):
    class Own(runworker.Command):
        def handle(self, *args, **options):
            options["only_channels"] = ["mine"]
            super().handle(*args, **options)

    call_command(Own())
    assert made[0].apply_channel_filters(["mine", "yours"]) == ["mine"]
