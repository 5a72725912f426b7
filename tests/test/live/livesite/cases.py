"""The live tests: ``manage.py test livesite.cases``. ``tests.test.test_live`` runs them."""

import json
import os
import tempfile
import unittest
from contextlib import contextmanager
from typing import Any
from urllib.request import urlopen

from django.contrib.auth.models import User
from django.test import modify_settings, override_settings
from websockets.sync.client import connect

from djchan import Group, channel_layers
from djchan.test import ChannelLiveServerTestCase
from djchan.test.liveserver import WorkerProcess

IN_MEMORY = channel_layers["default"].local_only()
FOLDER = tempfile.gettempdir() + f"/of-{os.getpid()}"


class Case(ChannelLiveServerTestCase):
    def about(self) -> dict[str, Any]:
        with urlopen(self.live_server_url + "/about", timeout=10) as response:
            found: dict[str, Any] = json.load(response)
        return found

    @contextmanager
    def socket(self):
        with connect(
            self.live_server_ws_url + "/", origin=self.live_server_url, open_timeout=10
        ) as client:
            yield client


# COLORS: JSON has no sets. FOLDER: the processes would come to another one by themselves.
@override_settings(FOLDER_OF_THE_TEST=FOLDER, COLORS={"red"})
class LiveTests(Case):
    def setUp(self):
        User.objects.create(username="of-the-test")

    def test_sockets_views_and_database(self):
        with self.socket() as client:
            client.send("ann")
            self.assertEqual(client.recv(timeout=10), "made ann")
        self.assertEqual(
            list(User.objects.order_by("pk").values_list("username", flat=True)),
            ["of-the-test", "ann"],
        )
        about = self.about()
        self.assertEqual(about["users"], ["of-the-test", "ann"])
        self.assertEqual(about["folder"], FOLDER)
        self.assertEqual(about["colors"], ["red"])
        self.assertIs(about["debug"], False)
        self.assertNotEqual(about["pid"], os.getpid())

    def test_each_has_an_empty_database_and_layer_and_static_files(self):
        self.assertEqual(self.about()["users"], ["of-the-test"])
        with urlopen(self.live_server_url + "/static/plain.txt", timeout=10) as response:
            self.assertEqual(response.read(), b'plain = "text"\n')

    @unittest.skipIf(IN_MEMORY, "A layer in memory is that of Daphne's process alone.")
    def test_what_the_test_sends_reaches_its_sockets(self):
        with self.socket() as client:
            Group("all").send({"text": "hello"})
            self.assertEqual(client.recv(timeout=10), "hello")


class Patched(WorkerProcess):
    def run(self) -> None:
        os.environ["PATCHED"] = f"by {self.case.__name__}"
        super().run()


@unittest.skipIf(IN_MEMORY, "The worker is in Daphne's process.")
@modify_settings(COLORS={"append": "green"})
class PatchedTests(Case):
    WorkerProcess = Patched
    serve_static = False
    worker_threads = 2
    host = "127.0.0.1"

    def test_the_worker_is_the_projects_own(self):
        about = self.about()
        self.assertEqual(about["patched"], "by PatchedTests")
        self.assertEqual(about["colors"], ["green"])
        self.assertTrue(self.live_server_url.startswith("http://127.0.0.1:"))


@unittest.skip("Nothing is started for it.")
class SkippedTests(Case):
    ProtocolServerProcess = None  # type: ignore[assignment]

    def test_nothing(self):
        raise AssertionError
