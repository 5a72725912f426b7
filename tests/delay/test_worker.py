"""rundelay's worker: rows where a layer would forget, the layer's own delay elsewhere."""

import json
import subprocess
import sys
import threading
from datetime import timedelta
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, InterfaceError
from django.db.utils import ConnectionHandler
from django.utils import timezone

from djchan import Channel, channel_layers
from djchan.delay import worker as module
from djchan.delay.management.commands import rundelay
from djchan.delay.models import DelayedMessage
from djchan.delay.worker import Worker
from djchan.exceptions import BrokerUnavailable
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.test import ChannelTestCase
from tests.support.waiting import wait_for


class Counted(Worker):
    """Runs so many turns."""

    turns = 0

    @property
    def termed(self):
        self.turns -= 1
        return self.turns < 0

    @termed.setter
    def termed(self, value):
        self.turns = value


class TestRows(ChannelTestCase):
    def run_for(self, turns=1):
        worker = Counted(channel_layers["default"], signal_handlers=False)
        worker.termed = turns
        worker.run()

    def ask(self, **changes):
        Channel("asgi.delay").send({"channel": "x", "delay": 1000, "content": {"n": 1}, **changes})

    def later(self, milliseconds):
        now = timezone.now() + timedelta(milliseconds=milliseconds)
        return mock.patch("django.utils.timezone.now", return_value=now)

    def test_a_message_is_kept_and_sent_when_it_is_due(self):
        self.ask()
        self.run_for()
        self.assertEqual(DelayedMessage.objects.count(), 1)
        self.assertIsNone(self.get_next_message("x"))
        with self.later(1001):
            self.run_for()
        self.assertEqual(DelayedMessage.objects.count(), 0)
        self.assertEqual(self.get_next_message("x", require=True).content, {"n": 1})

    def test_a_bad_message_does_not_end_it(self):
        for bad in ({"delay": "soon"}, {"content": {"bytes": b"\x00"}}, {"channel": "a b"}):
            self.ask(**bad)
        Channel("asgi.delay").send({"test": "value"})
        self.ask()
        with self.assertLogs("djchan.delay.worker", "ERROR") as logs:
            self.run_for(5)
        self.assertEqual(len(logs.output), 4)
        self.assertEqual(DelayedMessage.objects.count(), 1)

    def test_a_full_channel_keeps_the_row(self):
        for n in range(11):
            DelayedMessage.objects.create(
                channel_name="x", content=json.dumps({"n": n}), delay=1000
            )
        with self.later(2000):
            self.run_for()
        self.assertEqual(DelayedMessage.objects.count(), 1)
        for n in range(10):
            self.assertEqual(self.get_next_message("x").content, {"n": n})
        with self.later(3100):
            self.run_for()
        self.assertEqual(self.get_next_message("x").content, {"n": 10})

    def test_rows_are_sent_in_the_order_in_which_they_are_due(self):
        for n in (3, 1, 2):
            DelayedMessage.objects.create(
                channel_name="x", content=f'{{"n": {n}}}', delay=10_000 * n
            )
        with self.later(60_000):
            self.run_for()
        self.assertEqual([self.get_next_message("x")["n"] for _ in range(3)], [1, 2, 3])

    def test_a_row_that_can_never_be_sent_is_dropped_and_others_are_sent(self):
        for content in ("no json", '{"__retries__": 1}', '"no dict"', '{"n": 1}'):
            DelayedMessage.objects.create(channel_name="x", content=content, delay=-1)
        with self.assertLogs("djchan.delay.worker", "ERROR") as logs:
            self.run_for()
        self.assertEqual(len(logs.output), 3)
        self.assertEqual(DelayedMessage.objects.count(), 0)
        self.assertEqual(self.get_next_message("x").content, {"n": 1})

    def test_a_layer_that_is_away_leaves_the_row(self):
        DelayedMessage.objects.create(channel_name="x", content="{}", delay=-1)
        layer = channel_layers["default"].channel_layer
        with (
            mock.patch.object(layer, "apply", side_effect=BrokerUnavailable),
            self.assertLogs("djchan.delay.worker", "WARNING"),
        ):
            self.run_for()
        self.run_for()
        self.assertIsNotNone(self.get_next_message("x"))

    def test_a_database_that_is_away_does_not_end_it(self):
        for error in (DatabaseError("away"), InterfaceError("connection already closed")):
            with (
                self.subTest(error=error),
                mock.patch.object(module, "_has_table", side_effect=error),
                self.assertLogs("djchan.delay.worker", "ERROR"),
            ):
                self.run_for(2)

    def test_nor_when_a_message_is_to_be_kept(self):
        for error in (DatabaseError("away"), InterfaceError("connection already closed")):
            with (
                self.subTest(error=error),
                mock.patch.object(DelayedMessage, "save", side_effect=error),
                self.assertLogs("djchan.delay.worker", "ERROR"),
            ):
                Worker(channel_layers["default"]).keep({"channel": "x", "delay": 50, "content": {}})

    def test_without_the_table_there_is_nothing_to_send(self):
        with mock.patch.object(module, "_has_table", return_value=False):
            self.run_for()


def test_without_a_database_there_is_nothing_to_send(monkeypatch, caplog):
    monkeypatch.setattr(module, "connections", ConnectionHandler({}))
    Worker(channel_layers["default"], signal_handlers=False).send_due()
    assert caplog.text == ""


def test_two_processes_send_each_row_once(tmp_path):
    code = """
import sys, django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["djchan", "djchan.delay"], USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
    CHANNEL_LAYERS={"default": {"BACKEND": "djchan.layers.inmemory.InMemoryChannelLayer",
                                "ROUTING": [], "CONFIG": {"capacity": 1000}}},
)
django.setup()
from django.core.management import call_command
from djchan import channel_layers
from djchan.delay.models import DelayedMessage
from djchan.delay.worker import Worker
layer = channel_layers["default"]
if sys.argv[2] == "fill":
    call_command("migrate", verbosity=0)
    for n in range(100):
        DelayedMessage.objects.create(channel_name="x", content="{}", delay=-1)
else:
    rows = list(DelayedMessage.objects.is_due())
    print("ready", flush=True)
    sys.stdin.readline()
    for row in rows:
        row.send(layer)
    print(layer.channel_statistics("x")["messages_pending"])
"""
    command = [sys.executable, "-c", code, str(tmp_path / "db.sqlite3")]
    subprocess.run([*command, "fill"], check=True)
    pair = [
        subprocess.Popen(
            [*command, "send"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for each in pair:
        assert each.stdout.readline() == "ready\n"
    for each in pair:
        each.stdin.write("go\n")
        each.stdin.flush()
    sent = [int(each.communicate(timeout=15)[0]) for each in pair]
    assert [each.returncode for each in pair] == [0, 0]
    assert sum(sent) == 100


# ------------------------------------------------------- layers that reach other processes


class FarLayer(InMemoryChannelLayer):
    """A layer in memory that claims to reach other processes."""

    def __init__(self, **options):
        super().__init__(**options)
        self.engine.local_only = False


@pytest.fixture
def far(settings):
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": f"{__name__}.FarLayer", "ROUTING": [], "WORKER": {"grace": 1}}
    }
    return channel_layers["default"]


@pytest.fixture
def run():
    """Run a worker in a thread of its own, until the test ends."""
    started = []

    def run(worker):
        thread = threading.Thread(target=worker.run)
        thread.start()
        started.append((worker, thread))

    yield run
    for worker, thread in started:
        worker.stop()
        thread.join(10)
        assert not thread.is_alive()


def test_such_a_layer_delays_by_itself_and_no_row_is_made(far, run, monkeypatch):
    monkeypatch.setattr(module, "_has_table", lambda: False)
    run(Worker(far, signal_handlers=False))
    Channel("asgi.delay").send({"bad": 1})
    Channel("asgi.delay").send({"channel": "x", "delay": 50, "content": {"n": 1}})
    got = []
    wait_for(
        lambda: got.append(far.receive(["x"])) or got[-1][0] is not None,
        timeout=10,
        what="the delayed message",
    )
    assert got[-1] == ("x", {"n": 1})


def test_beside_it_the_rows_are_looked_after(far, run, monkeypatch):
    looked = threading.Event()
    monkeypatch.setattr(Worker, "send_due", lambda self: looked.set())
    run(Worker(far, signal_handlers=False, database_sleep_duration=0.01))
    assert looked.wait(10)


@pytest.mark.parametrize("error", [InterfaceError("closed"), RuntimeError("whatever")])
def test_no_error_ends_the_thread_that_sends_rows(far, run, monkeypatch, caplog, error):
    looked = threading.Event()

    def fail_once(self):
        if looked.is_set() or "next in a while" in caplog.text:
            looked.set()
            return
        raise error

    monkeypatch.setattr(Worker, "send_due", fail_once)
    run(Worker(far, signal_handlers=False, database_sleep_duration=0.01))
    assert looked.wait(10)
    assert str(error) in caplog.text


def test_a_worker_stopped_before_it_ran_ends_at_once(far, monkeypatch):
    monkeypatch.setattr(module, "_has_table", lambda: False)
    worker = Worker(far, signal_handlers=False)
    worker.stop()
    worker.run()


# ------------------------------------------------------------------- the command


@pytest.fixture
def made(monkeypatch, loggers):
    made = []

    class Idle(Worker):
        def run(self):
            made.append(self)

    monkeypatch.setattr(rundelay, "Worker", Idle)
    return made


def test_rundelay_options(far, made):
    call_command("rundelay")
    call_command("rundelay", "--layer=default", "--sleep=0.5")
    call_command("rundelay", "-s", "3")
    assert [worker.database_sleep_duration for worker in made] == [1.0, 0.5, 3.0]
    assert {worker.channel_layer for worker in made} == {far}
    assert all(worker.signal_handlers for worker in made)


def test_rundelay_refuses_a_layer_in_memory(made):
    with pytest.raises(CommandError, match="in memory"):
        call_command("rundelay")


def test_rundelay_refuses_a_layer_that_is_not_there(made):
    with pytest.raises(CommandError, match="nowhere"):
        call_command("rundelay", layer="nowhere")


@pytest.mark.parametrize("wrong", ["0", "-1", "inf", "soon"])
def test_rundelay_refuses_a_wrong_sleep(far, made, wrong):
    with pytest.raises(CommandError):
        call_command("rundelay", f"--sleep={wrong}")
