from channels import Channel
from channels.test import ChannelTestCase, WSClient

from .models import Position


class PositionTests(ChannelTestCase):
    def test_a_position_is_kept_and_shown(self):
        socket = WSClient()
        socket.set_header("origin", b"http://www.fleet.example")
        socket.send_and_consume(
            "websocket.connect", {"path": "/", "query_string": "van-3"})
        socket.join_group("map")
        socket.send_and_consume("websocket.receive", {"path": "/", "text": "here"})
        socket.consume("positions")
        self.assertEqual(socket.receive(), {"van-3": "here"})
        self.assertEqual(Position.objects.get().place, "here")


class OrderTests(ChannelTestCase):
    def test_nothing_waits_at_first(self):
        self.assertIsNone(self.get_next_message("positions"))
        Channel("positions").send({"vehicle": "a", "place": "b"})
        self.assertEqual(self.get_next_message("positions", require=True)["place"], "b")
