"""What the sockets of one person are told, and what they may ask."""

import json

import pytest
from django.conf import settings

from djchan.sessions import session_for_reply_channel
from realtime.notifications.models import Notification
from realtime.notifications.push import KEPT, notify
from tests.realtime.site import SOCKET, lines, socket

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("site")]

PATH = "/ws/notifications/"


@pytest.fixture
def bob(django_user_model):
    return django_user_model.objects.create_user("bob")


@pytest.fixture
def connected(client, bob, sent):
    """Bob has a socket, and nothing that was sent for it counts."""
    client.force_login(bob)
    connect(client.session.session_key)
    sent.clear()
    yield bob
    session_for_reply_channel(SOCKET).flush()


def connect(key: str) -> None:
    cookie = f"{settings.SESSION_COOKIE_NAME}={key}".encode()
    socket("connect", PATH, headers=[[b"cookie", cookie]])


def say(**words: object) -> None:
    socket("receive", PATH, text=json.dumps(words))


class TestConnect:
    def test_joins_the_group_of_its_person_alone(self, client, bob, sent):
        client.force_login(bob)
        connect(client.session.session_key)
        groups = [call.to for call in sent if call.verb == "add"]
        assert [name for name in groups if not name.startswith("login-")] == [f"user_{bob.pk}"]
        assert sent[-1][:3] == ("send", SOCKET, {"accept": True})

    def test_nobody_joins_nothing(self, sent):
        socket("connect", PATH)
        assert [call[:3] for call in sent] == [("send", SOCKET, {"accept": True, "close": 4401})]

    def test_nobody_asks_nothing(self, sent, bob):
        notify(bob, "secret", way="view")
        sent.clear()
        say(ask="list")
        assert [call[:3] for call in sent] == [("send", SOCKET, {"close": 4401})]


class TestReceive:
    def test_the_list_is_ones_own_oldest_first(self, connected, sent, django_user_model):
        notify(django_user_model.objects.create_user("eve"), "for Eve", way="view")
        notify(connected, "one", way="view")
        notify(connected, "two", way="command")
        sent.clear()
        say(ask="list")
        assert [call[:2] for call in sent] == [("send", SOCKET)]
        items = lines(sent)[0]["items"]
        assert [(item["text"], item["way"], item["read"]) for item in items] == [
            ("one", "view", False),
            ("two", "command", False),
        ]

    def test_what_is_read_is_told_to_all_tabs(self, connected, sent, django_user_model):
        eve = django_user_model.objects.create_user("eve")
        hers = notify(eve, "for Eve", way="view")
        first, second, third = (notify(connected, text, way="view") for text in "123")
        sent.clear()
        say(read=second.pk)
        assert [call.to for call in sent] == [f"user_{connected.pk}"]
        assert lines(sent) == [{"kind": "read", "upto": second.pk}]
        unread = set(Notification.objects.filter(read=None))
        assert unread == {hers, third}
        assert first not in unread

    @pytest.mark.parametrize(
        "frame",
        [
            {"text": "not JSON"},
            {"text": "[]"},
            {"text": "{}"},
            {"text": "[" * 100_000},
            {"text": '{"ask": "secrets"}'},
            {"text": '{"read": "1"}'},
            {"text": '{"read": true}'},
            {"text": '{"read": 0}'},
            {"text": f'{{"read": {2**63}}}'},
            {"bytes": b"\xff"},
        ],
    )
    def test_what_is_not_understood_is_refused(self, connected, sent, frame):
        socket("receive", PATH, **frame)
        assert [call[:2] for call in sent] == [("send", SOCKET)]
        assert lines(sent)[0]["kind"] == "refused"


class TestNotify:
    def test_is_kept_and_pushed_to_one_group_after_the_commit(self, bob, sent):
        made = notify(bob, "<b>dinner</b>", way="view")
        assert [(call.to, call.how) for call in sent] == [(f"user_{bob.pk}", {"on_commit": True})]
        assert lines(sent) == [{"kind": "new", "item": made.as_item()}]

    def test_the_last_of_each_person_are_kept(self, bob, sent, django_user_model):
        eve = django_user_model.objects.create_user("eve")
        notify(eve, "for Eve", way="view")
        for number in range(KEPT + 3):
            notify(bob, str(number), way="view")
        kept = Notification.objects.filter(user=bob).order_by("pk")
        assert [item.text for item in kept] == [str(number) for number in range(3, KEPT + 3)]
        assert Notification.objects.filter(user=eve).count() == 1
