import json

from channels import Group
from channels.tests import ChannelTestCase, WSClient
from django.contrib.auth import get_user_model

from .models import Note


class BoardTests(ChannelTestCase):
    def setUp(self):
        self.user = get_user_model().objects.create_user('ann', password='secret')
        self.socket = WSClient()
        self.socket.force_login(self.user)

    def test_a_note_reaches_everybody(self):
        self.socket.join_group('board-main')
        self.socket.send_and_consume('websocket.connect', path='/board/main/')
        self.socket.send_and_consume(
            'websocket.receive', path='/board/main/', text={'text': 'hello'})
        note = Note.objects.get()
        self.assertEqual(self.socket.receive(), {'id': note.pk, 'text': 'hello'})

    def test_a_view_sends_too(self):
        self.socket.join_group('board-main')
        self.client.force_login(self.user)
        self.client.post('/post/', {'text': 'hi'}, HTTP_X_REQUESTED_WITH='XMLHttpRequest')
        self.assertEqual(self.socket.receive()['text'], 'hi')

    def test_pages(self):
        self.client.force_login(self.user)
        self.assertContains(self.client.get('/'), 'Log out')
