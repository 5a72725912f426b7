"""What the rooms' consumers send for each message, and what they keep."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from realtime.rooms import history
from realtime.rooms import lines as of_a_room
from realtime.rooms.models import Line, Seat
from tests.realtime.site import SOCKET, lines, run, socket

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("site")]

ROOM = "/ws/rooms/lobby/"
OTHER = "websocket.send.SERVER!2"


def say(text, *, id, reply_channel=SOCKET, path=ROOM):
    """As ``socket("receive", …)``, by the message with this id."""
    content = {"path": path, "reply_channel": reply_channel, "text": json.dumps({"text": text})}
    run("websocket.receive", content, id=id)


def ask(reply_channel=SOCKET, **frame):
    socket("receive", ROOM, text=json.dumps(frame), reply_channel=reply_channel)


def seat(reply_channel=SOCKET):
    return Seat.objects.get(reply_channel=reply_channel)


class TestJoin:
    def test_is_accepted_and_told_to_the_room_and_to_oneself(self, sent):
        socket("connect", ROOM, query_string=b"name=Ada+L.")
        assert [call[:2] for call in sent] == [
            ("send", SOCKET),
            ("send", SOCKET),  # the room, in front of all that is said in it from now on
            ("add", "room-lobby"),
            ("group_send", "room-lobby"),
        ]
        assert sent[0].what == {"accept": True}
        assert sent[2].what == SOCKET
        ada = {"seat": seat().pk, "name": "Ada L.", "signed_in": False}
        assert lines(sent) == [
            {"kind": "room", "you": seat().pk, "here": [ada], "lines": []},
            {"kind": "joined", **ada},
        ]

    def test_that_is_run_again_takes_one_seat(self, sent):
        socket("connect", ROOM, query_string=b"name=Ada")
        first = list(sent)
        sent.clear()
        socket("connect", ROOM, query_string=b"name=Ada")
        assert sent == first
        assert Seat.objects.count() == 1

    def test_of_who_is_signed_in_has_that_name_and_no_other(self, sent):
        browser = Client()
        browser.force_login(get_user_model().objects.create(username="ada" * 20))
        cookie = f"sessionid={browser.cookies['sessionid'].value}".encode()
        socket("connect", ROOM, query_string=b"name=bob", headers=[(b"cookie", cookie)])
        assert (seat().name, seat().signed_in) == (("ada" * 20)[:40], True)
        say("hello", id="1")
        assert lines(sent)[-1]["name"] == seat().name
        assert lines(sent)[-1]["signed_in"] is True

    def test_shows_the_last_lines_in_order_and_none_of_another_room(self, sent):
        for number in range(history.SHOWN + 5):
            say(f"line {number}", id=str(number))
        say("elsewhere", id="elsewhere", path="/ws/rooms/coffee/")
        sent.clear()
        socket("connect", ROOM)
        said = lines(sent)[0]["lines"]
        assert [line["text"] for line in said] == [f"line {n}" for n in range(5, 55)]
        assert [line["id"] for line in said] == sorted(line["id"] for line in said)

    def test_removes_seats_that_were_left_long_ago(self, sent):
        long_ago = timezone.now() - timedelta(hours=2)
        Seat.objects.create(reply_channel="old", room="lobby", left=long_ago)
        Seat.objects.create(reply_channel="new", room="lobby", left=timezone.now())
        socket("connect", ROOM)
        assert not Seat.objects.filter(reply_channel="old").exists()
        assert Seat.objects.filter(reply_channel="new").exists()


class TestSay:
    def test_goes_to_the_room_with_the_name(self, sent):
        socket("connect", ROOM, query_string=b"name=Ada")
        sent.clear()
        say(" hello <b>all</b> ", id="1")
        assert [call[:2] for call in sent] == [("group_send", "room-lobby")]
        kept = Line.objects.get()
        assert lines(sent) == [
            {
                "kind": "said",
                "seat": seat().pk,
                "id": kept.pk,
                "name": "Ada",
                "signed_in": False,
                "text": "hello <b>all</b>",
                "at": kept.said.isoformat(),
            }
        ]

    def test_two_sockets_have_two_names(self, sent):
        socket("connect", ROOM, query_string=b"name=Ada")
        socket("connect", ROOM, reply_channel=OTHER)
        sent.clear()
        say("1", id="1")
        say("2", id="2", reply_channel=OTHER)
        assert [line["name"] for line in lines(sent)] == ["Ada", "anon"]

    def test_that_is_run_again_is_kept_once_and_told_the_same(self, sent):
        socket("connect", ROOM)
        sent.clear()
        say("hello", id="1")
        say("hello", id="1")
        say("hello", id="2")  # said twice, by two messages
        first, again, second = lines(sent)
        assert first == again
        assert second["id"] > first["id"]
        assert Line.objects.count() == 2

    def test_keeps_some_hundreds_of_each_room(self, sent, monkeypatch):
        monkeypatch.setattr(history, "KEPT", 3)
        say("of another room", id="other", path="/ws/rooms/coffee/")
        for number in range(5):
            say(str(number), id=str(number))
        kept = Line.objects.order_by("pk").values_list("text", flat=True)
        assert list(kept) == ["of another room", "2", "3", "4"]

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
            {"text": '{"text": "\\ud83d"}'},
            {"text": '{"text": "a\\u0000b"}'},
            {"text": '{"typing": 1.5}'},
            {"text": '{"since": -1}'},
            {"text": '{"since": "1"}'},
            {"text": f'{{"since": {2**63}}}'},
            {"bytes": b"\xff"},
        ],
    )
    def test_what_is_no_line_is_refused_to_its_sender_alone(self, sent, frame):
        socket("connect", ROOM)
        sent.clear()
        socket("receive", ROOM, **frame)
        assert [call[:2] for call in sent] == [("send", SOCKET)]
        assert [line["kind"] for line in lines(sent)] == ["refused"]
        assert not Line.objects.exists()

    @pytest.mark.parametrize("room", ["", "a b", "x" * 61, "caf%C3%A9", "a/b", "a.b"])
    def test_no_room_has_such_a_name(self, sent, room):
        say("hello", id="1", path=f"/ws/rooms/{room}/")
        assert sent == []


class TestMissed:
    def test_what_was_said_while_one_came_in_is_there_to_ask_for(self, sent):
        say("before", id="1")
        socket("connect", ROOM)
        shown = lines(sent)[-2]["lines"]
        # Its socket is not in the group before that message is done.
        say("meanwhile", id="2", reply_channel=OTHER)
        socket("connect", ROOM, query_string=b"name=Bob", reply_channel=OTHER)
        sent.clear()
        ask(since=shown[-1]["id"])
        assert [call[:2] for call in sent] == [("send", SOCKET)]
        (room,) = lines(sent)
        assert [line["text"] for line in room["lines"]] == ["meanwhile"]
        assert [person["name"] for person in room["here"]] == ["anon", "Bob"]
        assert room["you"] == seat().pk


class TestHere:
    def test_leaving_is_told_with_the_name(self, sent):
        socket("connect", ROOM, query_string=b"name=Ada")
        sent.clear()
        socket("disconnect", ROOM, code=1001)
        assert [call[:2] for call in sent] == [
            ("discard", "room-lobby"),
            ("group_send", "room-lobby"),
        ]
        left = {"kind": "left", "seat": seat().pk, "name": "Ada", "signed_in": False}
        assert lines(sent) == [left]
        assert history.here("lobby") == []

    def test_a_disconnect_that_is_run_again_says_the_same(self, sent):
        socket("connect", ROOM, query_string=b"name=Ada")
        sent.clear()
        socket("disconnect", ROOM, code=1001)
        socket("disconnect", ROOM, code=1001)
        first, second = lines(sent)
        assert first == second

    def test_who_never_joined_does_not_leave(self, sent):
        socket("disconnect", ROOM, code=1006)
        assert lines(sent) == []

    def test_who_was_silent_for_long_is_gone_and_comes_in_again(self, sent):
        socket("connect", ROOM, query_string=b"name=Ada")
        socket("connect", ROOM, query_string=b"name=Bob", reply_channel=OTHER)
        long_ago = timezone.now() - 2 * history.SILENT
        Seat.objects.filter(reply_channel=OTHER).update(seen=long_ago)
        assert [person["name"] for person in history.here("lobby")] == ["Ada"]
        sent.clear()
        ask(here=True)
        bob = seat(OTHER).pk
        assert [(line["kind"], line["seat"]) for line in lines(sent)] == [("left", bob)]
        sent.clear()
        ask(here=True)
        assert sent == []  # said once
        say("I am back", id="1", reply_channel=OTHER)
        assert lines(sent)[0]["name"] == "Bob"  # nothing that was said is lost
        sent.clear()
        ask(here=True, reply_channel=OTHER)
        assert [call[:3] for call in sent] == [("send", OTHER, {"close": 3000})]

    def test_who_says_so_now_and_then_stays(self, sent):
        socket("connect", ROOM)
        Seat.objects.update(seen=timezone.now() - 2 * history.SILENT)
        ask(here=True)
        assert [person["name"] for person in history.here("lobby")] == ["anon"]

    def test_typing_is_told_and_not_kept(self, sent):
        socket("connect", ROOM, query_string=b"name=Ada")
        sent.clear()
        ask(typing=True)
        assert [call[:2] for call in sent] == [("group_send", "room-lobby")]
        typing = {"kind": "typing", "seat": seat().pk, "name": "Ada", "signed_in": False}
        assert lines(sent) == [typing]
        assert not Line.objects.exists()
