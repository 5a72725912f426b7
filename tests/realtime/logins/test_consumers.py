"""What binds a socket to a login, and what a look at the login does."""

import asyncio
from datetime import timedelta
from importlib import import_module

import pytest
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.utils import timezone

from djchan.message import Message
from realtime.logins import looks, reasons
from realtime.logins.binding import bound_to_login
from realtime.logins.models import Login, digest_of
from tests.realtime.site import SOCKET, Sent, run, socket

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("site")]

PATH = "/ws/logins/"


@pytest.fixture
def ada(django_user_model):
    return django_user_model.objects.create_user("ada", password="a long one")


@pytest.fixture
def login(client, ada):
    """Ada is signed in, and has opened a socket."""
    client.force_login(ada)
    return client.session.session_key


def connect(session_key: str | None) -> None:
    cookie = f"{settings.SESSION_COOKIE_NAME}={session_key}".encode()
    socket("connect", PATH, headers=[[b"cookie", cookie]] if session_key else [])


def joined(session_key: str, sent: list[Sent]) -> Login:
    connect(session_key)
    sent.clear()
    return Login.objects.get()


def closes(sent: list[Sent]) -> list[tuple[str, int]]:
    return [(call.to, call.what["close"]) for call in sent if "close" in call.what]


class TestBinding:
    def test_joins_and_has_somebody_look_again_after_the_join(self, sent, login, ada):
        connect(login)
        digest = digest_of(login)
        assert [call[:3] for call in sent] == [
            ("add", f"login-{digest}", SOCKET),
            ("add", f"login-user-{ada.pk}", SOCKET),
            ("send", "logins.look", {"login": digest}),
            ("send", SOCKET, {"accept": True, "text": '{"name": "ada"}'}),
        ]

    def test_the_key_of_the_session_goes_nowhere(self, sent, login):
        connect(login)
        assert login not in repr(sent)

    @pytest.mark.parametrize("key", [None, "x" * 32])
    def test_nobody_is_accepted_and_closed_with_a_code(self, sent, key):
        connect(key)
        assert [call[:3] for call in sent] == [("send", SOCKET, {"accept": True, "close": 4401})]
        assert not Login.objects.exists()

    def test_a_connect_that_is_run_again_remembers_once(self, sent, login):
        connect(login)
        connect(login)
        assert Login.objects.count() == 1

    @pytest.mark.parametrize("session_key", [None, "of ada"])
    @pytest.mark.parametrize("kind", ["async", "method"])
    def test_consumers_of_every_kind(self, sent, login, kind, session_key):
        ran = []

        class Consumer:
            @bound_to_login
            def connect(self, message, room):
                ran.append((message.user.get_username(), room))

        @bound_to_login
        async def connect(message, room):
            ran.append((message.user.get_username(), room))

        cookie = f"{settings.SESSION_COOKIE_NAME}={session_key and login}".encode()
        content = {"path": "/", "reply_channel": SOCKET, "headers": [[b"cookie", cookie]]}
        consumer = connect if kind == "async" else Consumer().connect
        value = consumer(Message(content, "websocket.connect", None), room="lobby")
        if kind == "async" and value is not None:
            asyncio.run(value)
        assert ran == ([("ada", "lobby")] if session_key else [])
        assert len([call for call in sent if call.verb == "add"]) == (2 if session_key else 0)

    def test_a_login_that_ended_before_the_join_is_closed_after_it(self, sent, login, client):
        connect(login)
        sent.clear()
        client.session.flush()  # No receiver: the test is in a transaction that never commits.
        run("logins.look", {"login": digest_of(login)})
        assert closes(sent) == [(f"login-{digest_of(login)}", reasons.LOGGED_OUT)]
        # Also where the row is gone, by the receiver that came between.
        sent.clear()
        run("logins.look", {"login": digest_of(login)})
        assert closes(sent) == [(f"login-{digest_of(login)}", reasons.LOGGED_OUT)]


class TestEnded:
    def test_goes_on(self, login, ada):
        assert looks.ended(Session.objects.get(), ada.pk) is None

    def test_by_time(self, login, ada):
        Session.objects.update(expire_date=timezone.now())
        assert looks.ended(Session.objects.get(), ada.pk) == reasons.EXPIRED

    def test_by_the_password(self, login, ada):
        ada.set_password("another")
        ada.save()
        assert looks.ended(Session.objects.get(), ada.pk) == reasons.PASSWORD_CHANGED
        assert Session.objects.exists()  # Who only looks ends nothing.

    def test_by_deactivation(self, login, ada, django_user_model):
        django_user_model.objects.update(is_active=False)
        assert looks.ended(Session.objects.get(), ada.pk) == reasons.DEACTIVATED

    def test_by_deletion(self, login, ada):
        key = ada.pk
        ada.delete()
        assert looks.ended(Session.objects.get(), key) == reasons.DEACTIVATED

    def test_by_somebody_else_in_the_same_session(self, login, ada, django_user_model):
        eve = django_user_model.objects.create_user("eve")
        assert looks.ended(Session.objects.get(), eve.pk) is not None

    def test_nothing_else_of_a_user_ends_it(self, login, ada):
        ada.first_name = "Ada"
        ada.save()
        assert looks.ended(Session.objects.get(), ada.pk) is None


class TestTime:
    def look(self, login: Login, **more: str) -> None:
        run("logins.look", {"login": login.digest, **more})

    def delays(self, sent: list[Sent]) -> list[float]:
        assert {call.to for call in sent} <= {"logins.look"}
        return [call.how["delay"] for call in sent]

    def ends_in(self, seconds: float) -> None:
        Session.objects.update(expire_date=timezone.now() + timedelta(seconds=seconds))

    def test_the_first_look_sends_one_for_the_end_of_the_session(self, sent, login):
        found = joined(login, sent)
        self.look(found)
        assert self.delays(sent) == [pytest.approx(settings.SESSION_COOKIE_AGE, abs=60)]
        self.look(found)
        assert len(sent) == 1  # Ten tabs, one message.

    def test_a_shorter_time_is_looked_at_earlier(self, sent, login):
        found = joined(login, sent)
        self.look(found)
        self.ends_in(30)
        self.look(found)
        assert self.delays(sent)[1:] == [pytest.approx(30, abs=10)]

    def test_a_prolonged_session_stays_open_until_its_new_end(self, sent, login):
        found = joined(login, sent)
        self.ends_in(30)
        self.look(found)
        self.ends_in(300)
        sent_with = sent[0].what
        sent.clear()
        self.look(found)
        assert sent == []
        self.look(found, due=sent_with["due"])
        assert closes(sent) == []
        assert self.delays(sent) == [pytest.approx(300, abs=10)]
        # Its twin, of a run that died before, and an older one have nothing to add.
        self.look(found, due=sent_with["due"])
        assert len(sent) == 1

    def test_a_look_that_is_run_again_sends_again(self, sent, login):
        found = joined(login, sent)
        self.look(found)
        run("logins.look", {"login": found.digest}, attempt=2)
        assert len(self.delays(sent)) == 2

    def test_a_look_that_was_lost_is_made_up_for(self, sent, login):
        found = joined(login, sent)
        Login.objects.update(next_look=timezone.now() - timedelta(hours=1))
        self.look(found)
        assert len(self.delays(sent)) == 1

    def test_at_its_end_it_is_closed_and_forgotten(self, sent, login):
        found = joined(login, sent)
        self.ends_in(0)
        self.look(found)
        assert closes(sent) == [(f"login-{found.digest}", reasons.EXPIRED)]
        assert not Login.objects.exists()


class TestSignals:
    @pytest.fixture
    def events(self, sent, login, django_capture_on_commit_callbacks):
        joined(login, sent)
        return lambda: django_capture_on_commit_callbacks(execute=True)

    def test_a_logout(self, client, login, sent, events):
        with events():
            client.logout()
        assert closes(sent) == [(f"login-{digest_of(login)}", reasons.LOGGED_OUT)]

    def test_a_password(self, login, sent, events, ada):
        with events():
            ada.set_password("another")
            ada.save()
        assert closes(sent) == [(f"login-{digest_of(login)}", reasons.PASSWORD_CHANGED)]

    @pytest.mark.parametrize("end", ["deactivate", "delete"])
    def test_an_account(self, login, sent, events, ada, end):
        group = f"login-user-{ada.pk}"
        with events():
            if end == "delete":
                ada.delete()
            else:
                ada.is_active = False
                ada.save()
        assert closes(sent)[0] == (group, reasons.DEACTIVATED)

    def test_a_shorter_session_is_looked_at_earlier(self, client, sent, events):
        with events():
            session = client.session
            session.set_expiry(5)
            session.save()
        assert [call.to for call in sent] == ["logins.look"]
        assert sent[0].how["delay"] == pytest.approx(5, abs=5)

    def test_nothing_else(self, login, sent, events, ada, django_user_model):
        joined(login, sent)
        looks.look(digest_of(login))
        sent.clear()
        with events():
            ada.first_name = "Ada"
            ada.save()
            eve = django_user_model.objects.create_user("eve")
            other = import_module(settings.SESSION_ENGINE).SessionStore()
            other[SESSION_KEY] = str(eve.pk)
            other.save()
            other.flush()
            eve.set_password("another")
            eve.save()
        assert sent == []
