"""Who is let in by a token, and what closes the socket again."""

import json
import logging
from datetime import timedelta

import pytest
from django.utils import timezone

from djchan.sessions import session_for_reply_channel
from realtime.tokens import reasons
from realtime.tokens.models import Token
from tests.realtime.site import SOCKET, lines, run, socket

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("site")]

PATH = "/ws/tokens/"


@pytest.fixture(autouse=True)
def forgotten():
    """The channel session, which outlives a test."""
    yield
    session_for_reply_channel(SOCKET).flush()


@pytest.fixture
def ada(django_user_model):
    return django_user_model.objects.create_user("ada")


@pytest.fixture
def made(ada, sent):
    """A token, and its text."""
    token, text = Token.issue(ada, "my script", seconds=60)
    sent.clear()
    return token, text


def connect(*protocols: str) -> None:
    header = [[b"sec-websocket-protocol", name.encode()] for name in protocols]
    socket("connect", PATH, headers=header)


def say(**words: object) -> None:
    socket("receive", PATH, text=json.dumps(words))


def expire(token: Token, seconds: float = 0) -> None:
    Token.objects.filter(pk=token.pk).update(expires=timezone.now() + timedelta(seconds=seconds))


class TestHandshake:
    def test_lets_in_and_echoes_no_token(self, made, sent):
        token, text = made
        connect(f"djchan, token.{text}")
        assert [call[:3] for call in sent] == [
            ("send", SOCKET, {"accept": True, "subprotocol": "djchan"}),
            ("add", f"token-{token.pk}", SOCKET),
            ("add", f"login-user-{token.user_id}", SOCKET),
            ("send", "tokens.look", {"token": token.pk}),
            ("send", SOCKET, {"text": '{"welcome": "ada"}'}),
        ]
        assert text not in repr(sent)

    def test_in_two_headers(self, made, sent):
        connect("djchan", f"token.{made[1]}")
        assert lines(sent) == [{"welcome": "ada"}]

    def test_a_wrong_one(self, made, sent):
        connect("djchan, token.wrong")
        assert [call[:3] for call in sent] == [
            ("send", SOCKET, {"accept": True, "subprotocol": "djchan"}),
            ("send", SOCKET, {"close": reasons.UNKNOWN}),
        ]

    @pytest.mark.parametrize(
        ("end", "code"),
        [
            (lambda token: token.revoke(), reasons.REVOKED),
            (expire, reasons.EXPIRED),
            (lambda token: type(token.user).objects.update(is_active=False), reasons.DEACTIVATED),
            (lambda token: token.delete(), reasons.UNKNOWN),
        ],
        ids=["revoked", "expired", "deactivated", "deleted"],
    )
    def test_one_that_is_over(self, made, sent, end, code):
        end(made[0])
        sent.clear()
        connect(f"djchan, token.{made[1]}")
        assert sent[-1].what == {"close": code}
        assert {call.verb for call in sent} == {"send"}

    def test_without_one_there_is_some_time(self, sent):
        connect("djchan")
        assert [call[:3] for call in sent] == [
            ("send", SOCKET, {"accept": True, "subprotocol": "djchan"}),
            ("send", "tokens.silent", {"reply_channel": SOCKET}),
        ]
        assert sent[-1].how == {"delay": 5}

    @pytest.mark.parametrize("protocols", [(), ("graphql-ws",), ("",), (" , ,",)])
    def test_names_no_subprotocol_that_was_not_offered(self, sent, protocols):
        connect(*protocols)
        assert sent[0].what == {"accept": True}


class TestFirstMessage:
    def test_lets_in(self, made, sent):
        connect()
        sent.clear()
        say(token=made[1])
        assert [call.to for call in sent if call.verb == "add"] == [
            f"token-{made[0].pk}",
            f"login-user-{made[0].user_id}",
        ]
        assert lines(sent) == [{"welcome": "ada"}]

    def test_run_again_it_joins_again(self, made, sent):
        connect()
        for _ in range(2):
            sent.clear()
            say(token=made[1])
            assert sent[0][:3] == ("add", f"token-{made[0].pk}", SOCKET)

    @pytest.mark.parametrize(
        "frame",
        [
            {"text": "hello"},
            {"text": "[]"},
            {"text": '{"ask": "who am I"}'},
            {"text": '{"token": 1}'},
            {"text": "[" * 100_000},
            {"bytes": b"\xff"},
        ],
    )
    def test_anything_else_closes(self, made, sent, frame):
        connect()
        sent.clear()
        socket("receive", PATH, **frame)
        assert [call[:3] for call in sent] == [("send", SOCKET, {"close": reasons.NO_TOKEN})]

    @pytest.mark.parametrize("text", ["", "wrong", "\ud800", "x" * 100_000])
    def test_a_wrong_one(self, made, sent, text):
        connect()
        sent.clear()
        say(token=text)
        assert [call[:3] for call in sent] == [("send", SOCKET, {"close": reasons.UNKNOWN})]

    def test_who_is_silent_is_closed_who_has_spoken_is_not(self, made, sent):
        connect()
        sent.clear()
        run("tokens.silent", {"reply_channel": SOCKET})
        assert [call[:3] for call in sent] == [("send", SOCKET, {"close": reasons.SILENT})]
        say(token=made[1])
        sent.clear()
        run("tokens.silent", {"reply_channel": SOCKET})
        assert sent == []


class TestInside:
    @pytest.fixture
    def inside(self, made, sent):
        connect(f"djchan, token.{made[1]}")
        sent.clear()
        return made[0]

    def test_who_am_i(self, inside, sent):
        say(ask="who am I")
        assert lines(sent) == [{"you": "ada", "by": "my script"}]

    @pytest.mark.parametrize(
        ("end", "code"),
        [(Token.revoke, reasons.REVOKED), (expire, reasons.EXPIRED)],
        ids=["revoked", "expired"],
    )
    def test_nothing_is_answered_any_more(self, inside, sent, end, code):
        end(inside)
        sent.clear()
        say(ask="who am I")
        assert [call[:3] for call in sent] == [("send", SOCKET, {"close": code})]

    def test_revoking_closes_its_sockets(self, inside, sent):
        inside.revoke()
        assert [call[:] for call in sent] == [
            ("group_send", f"token-{inside.pk}", {"close": reasons.REVOKED}, {"on_commit": True})
        ]

    def test_revoked_before_the_join_it_is_closed_after_it(self, inside, sent):
        inside.revoke()
        sent.clear()
        run("tokens.look", {"token": inside.pk})
        assert sent[0][:3] == ("group_send", f"token-{inside.pk}", {"close": reasons.REVOKED})

    def test_at_its_end(self, inside, sent):
        run("tokens.look", {"token": inside.pk})
        assert sent == []
        # Too early by a little: once more.
        run("tokens.look", {"token": inside.pk, "at": "end"})
        assert sent[0].to == "tokens.look"
        assert sent[0].how["delay"] == pytest.approx(60, abs=30)
        expire(inside)
        sent.clear()
        run("tokens.look", {"token": inside.pk, "at": "end"})
        assert sent[0][:3] == ("group_send", f"token-{inside.pk}", {"close": reasons.EXPIRED})

    def test_a_token_that_is_gone_has_no_end(self, sent):
        run("tokens.look", {"token": 4711, "at": "end"})
        assert sent == []


class TestToken:
    def test_its_text_is_nowhere_in_the_database(self, made):
        token, text = made
        assert len(text.removeprefix("djt_")) == 43  # 256 bits
        assert text not in repr(Token.objects.values())
        assert Token.of(text) == token

    def test_two_are_two(self, made, ada, sent):
        assert Token.issue(ada, "my script", seconds=60)[1] != made[1]

    def test_is_looked_at_when_its_time_is_up(self, ada, sent):
        token, _ = Token.issue(ada, "my script", seconds=60)
        (call,) = sent
        assert (call.to, call.what) == ("tokens.look", {"token": token.pk, "at": "end"})
        assert call.how == {"delay": pytest.approx(60, abs=20), "on_commit": True}

    def test_its_use_is_noted_once_an_hour(self, made):
        def used():
            return Token.objects.get().last_used

        made[0].note_use()
        first = used()
        assert first is not None
        made[0].note_use()
        assert used() == first
        Token.objects.update(last_used=first - timedelta(hours=2))
        made[0].note_use()
        assert used() >= first

    def test_no_log_has_it(self, made, sent, caplog):
        caplog.set_level(logging.DEBUG)
        connect(f"djchan, token.{made[1]}")
        say(token=made[1])
        assert made[1] not in caplog.text
