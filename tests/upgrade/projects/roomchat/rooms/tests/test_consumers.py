from channels.test import ChannelTestCase, WSClient
from django.contrib.auth import get_user_model


class RoomTests(ChannelTestCase):
    def setUp(self):
        self.user = get_user_model().objects.create_user("ben", is_staff=True)

    def socket(self):
        socket = WSClient()
        socket.force_login(self.user)
        return socket

    def test_a_room(self):
        socket = self.socket()
        socket.send_and_consume("websocket.connect", path="/rooms/a-b/")
        self.assertEqual(socket.receive(), {"joined": "ben"})
        socket.send_and_consume("websocket.receive", path="/rooms/a-b/", text={"text": "hi"})
        self.assertEqual(socket.receive(), {"text": "hi"})

    def test_the_lobby_is_for_staff(self):
        socket = self.socket()
        socket.send_and_consume("websocket.connect", path="/lobby/")
        socket.send_and_consume("websocket.receive", path="/lobby/", text={})
        self.assertEqual(socket.receive(), {"staff": "ben"})

    def test_pages(self):
        self.assertContains(self.client.get("/"), "/static/djchan/js/websocketbridge.js")
