"""Tests as Django's documentation has them: nothing in them is of djchan but what they send."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.core import mail
from django.core.checks import run_checks
from django.test import SimpleTestCase, TestCase, TransactionTestCase

from djchan import Channel, Group, channel_layers
from djchan.exceptions import ChannelFull
from djchan.test import ChaosLayer, WSClient, use_test_config, work_off
from suite.asgi import channel_layer  # Made when this module is imported.
from tests.support.waiting import wait_for

MANAGE = Path(__file__).resolve().parents[1] / "manage.py"


def pending() -> dict[str, int]:
    waiting: dict[str, int] = channel_layers["default"].waiting()
    return waiting


def send_from_another_process() -> None:
    import django

    django.setup()
    Channel("jobs").send({"by": "a child"})


class PlainTests(TestCase):
    def test_what_is_sent_is_run_here(self) -> None:
        Channel("jobs").send({"n": 1})
        self.assertEqual(work_off(), {"done": 1})

    def test_a_view_sends_to_memory(self) -> None:
        self.client.get("/start/")
        self.assertEqual(pending(), {"jobs": 1})

    def test_layers_that_were_made_before_the_tests(self) -> None:
        channel_layer.send("jobs", {})
        Group("all", channel_layer=channel_layer).add("jobs")
        Group("all", channel_layer=channel_layer).send({})
        self.assertEqual(pending(), {"jobs": 2})

    def test_a_layer_that_is_made_by_hand(self) -> None:
        made = channel_layers.make_backend("default")
        self.assertTrue(made.local_only())
        made.send("jobs", {})

    def test_channels_4_sends_to_memory(self) -> None:
        async_to_sync(get_channel_layer().send)("jobs", {"type": "job"})
        self.assertEqual(pending(), {"jobs": 1})

    def test_sessions_and_sockets(self) -> None:
        client = WSClient()
        client.session["color"] = "red"
        client.session.save()
        client.send_and_consume("websocket.connect")


class EmptyAtFirstTests(SimpleTestCase):
    """More than the channel holds, in two tests."""

    def fill(self) -> None:
        self.assertEqual(pending(), {})
        for number in range(40):
            Channel("jobs").send({"n": number})
            mail.outbox = []  # As the documentation has it, to empty the outbox.
        self.assertEqual(pending(), {"jobs": 40})

    def test_one(self) -> None:
        self.fill()

    def test_another(self) -> None:
        self.fill()

    def test_the_capacity_is_the_configured_one(self) -> None:
        for _ in range(70):
            Channel("jobs").send({})
        with self.assertRaises(ChannelFull):
            Channel("jobs").send({})

    def test_a_layer_that_makes_faults_makes_them_in_memory(self) -> None:
        wrapper = channel_layers["faulty"]
        self.assertIsInstance(wrapper.channel_layer, ChaosLayer)
        self.assertTrue(wrapper.local_only())
        with self.assertRaises(ChannelFull):
            wrapper.send("refused", {})
        wrapper.send("jobs", {})
        self.assertEqual(wrapper.waiting(), {"jobs": 1})

    def test_no_check_complains_of_the_layer_in_memory(self) -> None:
        found = run_checks(include_deployment_checks=True)
        self.assertEqual([each for each in found if each.id == "djchan.W002"], [])


class ProcessTests(TransactionTestCase):
    def test_a_worker_that_a_test_starts_does_not_serve_the_live_layer(self) -> None:
        ran = subprocess.run(
            [sys.executable, str(MANAGE), "runworker"], capture_output=True, text=True, timeout=30
        )
        self.assertEqual(ran.returncode, 1)
        self.assertIn("in memory, since tests run (DJCHAN_TEST_LAYERS is 'memory')", ran.stderr)
        self.assertIn("use_test_config()", ran.stderr)

    def test_a_child_sends_to_memory(self) -> None:
        child = multiprocessing.get_context("spawn").Process(target=send_from_another_process)
        child.daemon = False
        multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
        child.start()
        child.join(20)
        self.assertEqual(child.exitcode, 0)


class RealLayerTests(TransactionTestCase):
    @use_test_config()
    def test_a_worker_serves_the_layer_of_test_config(self) -> None:
        self.assertFalse(channel_layers["default"].local_only())
        self.assertTrue(channel_layers["faulty"].local_only())  # It has no TEST_CONFIG.
        log = Path(os.environ["FOLDER"], f"worker-of-a-test-{os.getpid()}.log")
        with log.open("w") as file:
            worker = subprocess.Popen(
                [sys.executable, str(MANAGE), "runworker", "--only-channels", "jobs"],
                stderr=file,
                env={**os.environ, "MARKS": str(log.with_suffix(".marks"))},
            )
        try:
            channel_layer.send("jobs", {"by": "a test with a real layer"})
            wait_for(log.with_suffix(".marks").exists, timeout=15, what="the worker runs it")
        finally:
            worker.terminate()
            worker.wait(15)

    def test_the_next_one_has_a_layer_in_memory_again(self) -> None:
        self.assertTrue(channel_layers["default"].local_only())
        self.assertTrue(channel_layer.local_only())
        self.assertEqual(os.environ["DJCHAN_TEST_LAYERS"], "memory")
