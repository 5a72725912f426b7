import unittest.mock as mock

from channels import Channel
from channels.tests import ChannelTestCase, WSClient
from channels.tests.base import Client

from scorekeeper.consumers import later
from scorekeeper.models import Team


class ScoreTests(ChannelTestCase):
    def test_points_are_added(self):
        Team.objects.create(name="red", points=1)
        Channel("scores.add").send({"team": "red", "points": 2})
        Client().consume("scores.add")
        self.assertEqual(Team.objects.get().points, 3)

    def test_a_change_reaches_the_page(self):
        socket = WSClient()
        socket.send_and_consume("websocket.connect", path="/scores/")
        socket.join_group("teams")
        with self.captureOnCommitCallbacks(execute=True):
            Team.objects.create(name="blue", secret="x")
        change = socket.receive()
        self.assertEqual(change["stream"], "teams")
        self.assertEqual(change["payload"]["data"], {"name": "blue", "points": 0})

    def test_later(self):
        with mock.patch("channels.tests.base.Client.consume"):
            later("red", 1, 1000)
        self.assertEqual(self.get_next_message("asgi.delay")["delay"], 1000)
