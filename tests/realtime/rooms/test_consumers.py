"""What the rooms' consumers send for each message."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from realtime.rooms import lines as of_a_room
from realtime.rooms.models import Seat
from tests.realtime.site import SOCKET, lines, socket

pytestmark = pytest.mark.django_db

ROOM = "/ws/rooms/lobby/"
OTHER = "websocket.send.SERVER!2"


class TestRoom:
    def test_joining_is_accepted_and_told_to_the_room_and_to_oneself(self, sent):
        socket("connect", ROOM, query_string=b"name=Ada+L.")
        assert [call[:2] for call in sent] == [
            ("send", SOCKET),
            ("add", "room-lobby"),
            ("group_send", "room-lobby"),
        ]
        assert sent[0].what == {"accept": True}
        assert sent[1].what == SOCKET
        assert lines(sent) == [{"kind": "joined", "name": "Ada L."}]

    def test_what_is_said_goes_to_the_room_with_the_name(self, sent):
        socket("connect", ROOM, query_string=b"name=Ada")
        sent.clear()
        socket("receive", ROOM, text='{"text": " hello <b>all</b> "}')
        assert sent[0][:2] == ("group_send", "room-lobby")
        assert lines(sent) == [{"kind": "said", "name": "Ada", "text": "hello <b>all</b>"}]

    def test_two_sockets_have_two_names(self, sent):
        socket("connect", ROOM, query_string=b"name=Ada")
        socket("connect", ROOM, reply_channel=OTHER)
        sent.clear()
        socket("receive", ROOM, text='{"text": "1"}')
        socket("receive", ROOM, text='{"text": "2"}', reply_channel=OTHER)
        assert [line["name"] for line in lines(sent)] == ["Ada", "anon"]

    def test_leaving_is_told_with_the_name(self, sent):
        socket("connect", ROOM, query_string=b"name=Ada")
        sent.clear()
        socket("disconnect", ROOM, code=1001)
        assert [call[:2] for call in sent] == [
            ("discard", "room-lobby"),
            ("group_send", "room-lobby"),
        ]
        assert lines(sent) == [{"kind": "left", "name": "Ada"}]

    def test_a_disconnect_that_is_run_again_says_the_same(self, sent):
        socket("connect", ROOM, query_string=b"name=Ada")
        sent.clear()
        socket("disconnect", ROOM, code=1001)
        socket("disconnect", ROOM, code=1001)
        assert lines(sent) == [{"kind": "left", "name": "Ada"}] * 2

    def test_a_connect_that_is_run_again_takes_one_seat(self, sent):
        socket("connect", ROOM, query_string=b"name=Ada")
        socket("connect", ROOM, query_string=b"name=Ada")
        assert Seat.objects.count() == 1

    def test_who_never_joined_does_not_leave(self, sent):
        socket("disconnect", ROOM, code=1006)
        assert lines(sent) == []

    def test_seats_that_were_left_long_ago_are_removed(self, sent):
        Seat.objects.create(
            reply_channel="old", room="lobby", left=timezone.now() - timedelta(hours=2)
        )
        Seat.objects.create(reply_channel="new", room="lobby", left=timezone.now())
        socket("connect", ROOM)
        assert not Seat.objects.filter(reply_channel="old").exists()
        assert Seat.objects.filter(reply_channel="new").exists()

    @pytest.mark.parametrize(
        "frame",
        [
            {"text": "not JSON"},
            {"text": "[]"},
            {"text": "1"},
            {"text": '{"text": 1}'},
            {"text": '{"text": "  "}'},
            {"text": json.dumps({"text": "x" * (of_a_room.TEXT_LENGTH + 1)})},
            {"text": "[" * 100_000},
            {"bytes": b"\xff"},
        ],
    )
    def test_what_is_no_line_is_refused_to_its_sender_alone(self, sent, frame):
        socket("receive", ROOM, **frame)
        assert [call[:2] for call in sent] == [("send", SOCKET)]
        assert [line["kind"] for line in lines(sent)] == ["refused"]

    @pytest.mark.parametrize("room", ["", "a b", "x" * 61, "caf%C3%A9", "a/b", "a.b"])
    def test_no_room_has_such_a_name(self, sent, room):
        socket("receive", f"/ws/rooms/{room}/", text='{"text": "hello"}')
        assert sent == []
