"""What the site's consumers send for each message; the sockets themselves: test_browser.py."""

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from realtime import rooms
from realtime.models import Seat
from tests.realtime.site import SOCKET, Sent, socket
from workers.models import Job

pytestmark = pytest.mark.django_db

ROOM = "/ws/rooms/lobby/"
OTHER = "websocket.send.SERVER!2"


def lines(sent: list[Sent]) -> list[dict[str, Any]]:
    return [json.loads(call.what["text"]) for call in sent if "text" in call.what]


class TestEcho:
    def test_says_what_it_was_told(self, sent):
        socket("receive", "/chat/", text="hello world")
        assert sent == [Sent("send", SOCKET, {"text": "You said: hello world"}, {})]

    def test_bytes_have_no_echo(self, sent):
        socket("receive", "/chat/", bytes=b"\x00")
        assert sent == []

    @pytest.mark.parametrize("path", ["/", "/chat", "/chat/more/", "/other/", "/ws/chat/"])
    def test_is_at_no_other_path(self, sent, path):
        socket("receive", path, text="hello world")
        assert sent == []


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
            {"text": json.dumps({"text": "x" * (rooms.TEXT_LENGTH + 1)})},
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


class TestName:
    @pytest.mark.parametrize(
        ("query", "name"),
        [
            (b"", "anon"),
            (b"name=", "anon"),
            (b"name=%20%09", "anon"),
            (b"name=Ada&name=Bob", "Ada"),
            (b"name=%C3%85sa", "Åsa"),
            (b"name=a%0Ab%00c", "a b c"),
            (b"name=%E2%80%AEevil", "evil"),  # would turn the text that follows around
            (b"name=%ff", "\ufffd"),
            (b"name=" + b"x" * 10_000, "x" * 40),
        ],
    )
    def test_is_one_line_of_what_was_asked_for(self, query, name):
        assert rooms.display_name(query) == name


class TestJob:
    def test_a_page_joins_before_it_asks(self, sent):
        job = Job.objects.create()
        path = f"/ws/jobs/{job.pk}/"
        socket("connect", path)
        assert [call[:3] for call in sent] == [
            ("send", SOCKET, {"accept": True}),
            ("add", f"job-{job.pk}", SOCKET),
        ]
        sent.clear()
        socket("receive", path, text="state")
        assert [call[:2] for call in sent] == [("send", SOCKET)]
        assert lines(sent) == [job.as_state()]

    def test_a_page_of_no_job_is_closed(self, sent):
        socket("receive", f"/ws/jobs/{uuid.uuid4()}/", text="state")
        assert sent == [Sent("send", SOCKET, {"close": 4404}, {})]

    def test_a_page_that_is_left_is_no_member(self, sent):
        job = Job.objects.create()
        socket("disconnect", f"/ws/jobs/{job.pk}/", code=1001)
        assert [call[:3] for call in sent] == [("discard", f"job-{job.pk}", SOCKET)]

    @pytest.mark.parametrize("job_id", ["", "1", "x" * 36, "-" * 36])
    def test_what_is_no_id_has_no_consumer(self, sent, job_id):
        socket("receive", f"/ws/jobs/{job_id}/", text="state")
        assert sent == []
