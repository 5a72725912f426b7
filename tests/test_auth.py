"""djchan.auth: whose message it is.

The names of the tests are the lines of the contract (§3.10, §5.3, Appendix B 6).
"""

import secrets
from importlib import import_module

import pytest
from django.conf import settings as django_settings
from django.contrib import auth
from django.contrib.auth.models import AnonymousUser, User

from djchan import auth as djchan_auth
from djchan import sessions
from djchan.auth import (
    channel_and_http_session_user_from_http,
    channel_session,
    channel_session_user,
    channel_session_user_from_http,
    http_session_user,
    transfer_user,
)
from djchan.sessions import enforce_ordering, session_for_reply_channel
from tests.support.consumers import connecting, run, say

pytestmark = pytest.mark.django_db

ALL = [
    channel_session_user,
    http_session_user,
    channel_session_user_from_http,
    channel_and_http_session_user_from_http,
]
KEYS = {auth.SESSION_KEY, auth.BACKEND_SESSION_KEY, auth.HASH_SESSION_KEY}


@pytest.fixture(autouse=True, params=["layer", "cache", "db"])
def engine(request, settings):
    if request.param != "layer":
        engine = f"django.contrib.sessions.backends.{request.param}"
        settings.SESSION_ENGINE = settings.CHANNEL_SESSION_ENGINE = engine
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # Fast.


@pytest.fixture
def user():
    return User.objects.create_user("ann", password="secret")


@pytest.fixture
def cookie(client, user):
    """The session cookie of a browser where ``user`` is logged in."""
    client.force_login(user)
    return client.cookies[django_settings.SESSION_COOKIE_NAME].value


def browser_session(cookie):
    return import_module(django_settings.SESSION_ENGINE).SessionStore(cookie)


def who(message):
    return message.user


def test_the_session_decorators_import_from_auth():
    for name in ("channel_session", "http_session", "channel_and_http_session"):
        assert getattr(djchan_auth, name) is getattr(sessions, name)


class TestTransferUser:
    def test_it_copies_backend_id_and_hash(self, cookie):
        to = {}
        transfer_user(browser_session(cookie), to)
        assert to.keys() == KEYS

    @pytest.mark.parametrize("missing", sorted(KEYS))
    def test_only_if_all_three_exist(self, missing):
        to = {}
        transfer_user(dict.fromkeys(KEYS - {missing}, "x"), to)
        assert to == {}

    def test_nothing_is_modified_by_the_same_user(self, cookie, name):
        session = session_for_reply_channel(name)
        transfer_user(browser_session(cookie), session)
        session.modified = False
        transfer_user(browser_session(cookie), session)
        assert session.modified is False


class TestAll:
    @pytest.mark.parametrize("decorator", ALL)
    def test_anonymous_without_a_session(self, decorator, kind, name):
        assert isinstance(run(decorator(kind(who)), connecting(name)), AnonymousUser)

    @pytest.mark.parametrize("decorator", ALL)
    def test_without_a_message_is_a_value_error(self, decorator):
        with pytest.raises(ValueError, match=f"{decorator.__name__} called without Message"):
            decorator(who)("no message")

    @pytest.mark.parametrize("decorator", ALL)
    def test_on_a_method(self, decorator, kind, name):
        class Consumer:
            connect = decorator(kind(lambda self, message, room: (message.user, room)))

        user, room = run(Consumer().connect, connecting(name), room="r")
        assert user.is_anonymous
        assert room == "r"

    @pytest.mark.parametrize("decorator", ALL[1:])
    def test_login_before_connect(self, decorator, kind, name, cookie, user):
        assert run(decorator(kind(who)), connecting(name, cookie)) == user

    @pytest.mark.parametrize("decorator", ALL)
    @pytest.mark.parametrize("other", [*ALL, channel_session, enforce_ordering])
    def test_stacked_in_any_order(self, decorator, other, kind, name, cookie, user):
        message = connecting(name, cookie)
        run(channel_session_user_from_http(kind(who)), message)
        message = connecting(name, cookie)
        assert run(decorator(other(kind(who))), message) == user
        message = connecting(name, cookie)
        assert run(other(decorator(kind(who))), message) == user

    @pytest.mark.parametrize("decorator", ALL)
    def test_a_decorator_of_the_project_need_not_take_args(self, decorator, kind, name):
        def own(func):
            return lambda message: func(message)

        assert run(decorator(own(kind(who))), connecting(name)).is_anonymous
        assert run(own(decorator(kind(who))), connecting(name)).is_anonymous


class TestChannelSessionUser:
    def test_by_the_channel_session(self, kind, name, cookie, user):
        run(channel_session_user_from_http(kind(who)), connecting(name, cookie))
        message = say(name)
        assert run(channel_session_user(kind(who)), message) == user
        assert message.channel_session.session_key.startswith("chn")

    def test_login_in_a_consumer(self, name, user):
        @channel_session_user
        def login(message):
            request = type("Request", (), {"session": message.channel_session, "META": {}})()
            auth.login(request, user)

        login(say(name))
        assert channel_session_user(who)(say(name)) == user

    def test_logout_in_a_consumer(self, name, cookie):
        @channel_session_user
        def logout(message):
            auth.logout(type("Request", (), {"session": message.channel_session})())

        channel_session_user_from_http(who)(connecting(name, cookie))
        logout(say(name))
        assert channel_session_user(who)(say(name)).is_anonymous


class TestHttpSessionUser:
    def test_it_adds_the_http_session(self, kind, name, cookie):
        message = connecting(name, cookie)
        run(http_session_user(kind(who)), message)
        assert message.http_session.session_key == cookie

    def test_anonymous_on_receive_which_has_no_cookie(self, kind, name):
        assert run(http_session_user(kind(who)), say(name)).is_anonymous

    def test_a_cookie_of_nobody_s(self, kind, name):
        assert run(http_session_user(kind(who)), connecting(name, "x" * 32)).is_anonymous


class TestFromHttp:
    def test_it_adds_both_sessions(self, kind, name, cookie):
        message = connecting(name, cookie)
        run(channel_session_user_from_http(kind(who)), message)
        assert message.http_session.session_key == cookie
        assert set(message.channel_session.keys()) >= KEYS

    def test_logout_in_the_browser_leaves_the_socket_logged_in(self, client, name, cookie, user):
        channel_session_user_from_http(who)(connecting(name, cookie))
        client.logout()
        assert channel_session_user(who)(say(name)) == user

    def test_the_user_is_there_after_a_consumer_that_raised(self, kind, name, cookie, user):
        def consumer(message):
            raise KeyError("mine")

        with pytest.raises(KeyError):
            run(channel_session_user_from_http(kind(consumer)), connecting(name, cookie))
        assert channel_session_user(who)(say(name)) == user


class TestBothFromHttp:
    def test_the_http_session_is_there_on_later_messages(self, kind, name, cookie, user):
        consumer = channel_and_http_session_user_from_http(kind(who))
        run(consumer, connecting(name, cookie))
        message = say(name)
        assert run(consumer, message) == user
        assert message.http_session.session_key == cookie

    def test_logout_in_the_browser_counts_on_the_next_message(self, client, name, cookie, user):
        consumer = channel_and_http_session_user_from_http(who)
        assert consumer(connecting(name, cookie)) == user
        client.logout()
        assert consumer(say(name)).is_anonymous


class TestPasswordChange:
    def test_it_invalidates_and_flushes_the_channel_session(self, kind, name, cookie, user):
        run(channel_session_user_from_http(kind(who)), connecting(name, cookie))
        user.set_password("other")
        user.save()
        message = say(name)
        assert run(channel_session_user(kind(who)), message).is_anonymous
        assert not message.channel_session.exists(session_for_reply_channel(name).session_key)
        assert dict(session_for_reply_channel(name).items()) == {}

    def test_the_connection_can_have_a_session_again(self, kind, name, cookie, user):
        def write(message):
            message.channel_session["n"] = 1

        run(channel_session_user_from_http(kind(who)), connecting(name, cookie))
        user.set_password("other")
        user.save()
        run(channel_session_user(kind(write)), say(name))
        assert dict(session_for_reply_channel(name).items()) == {"n": 1}

    def test_it_invalidates_the_http_session(self, kind, name, cookie, user):
        user.set_password("other")
        user.save()
        assert run(http_session_user(kind(who)), connecting(name, cookie)).is_anonymous
        assert not browser_session(cookie).exists(cookie)


class TestSecretKeyFallbacks:
    def rotate(self, settings):
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another-" + secrets.token_hex(8)

    def test_the_channel_session_stays_with_its_reply_channel(
        self, settings, kind, name, cookie, user
    ):
        run(channel_session_user_from_http(kind(who)), connecting(name, cookie))
        before = session_for_reply_channel(name)[auth.HASH_SESSION_KEY]
        self.rotate(settings)
        assert run(channel_session_user(kind(who)), say(name)) == user
        after = session_for_reply_channel(name)[auth.HASH_SESSION_KEY]
        assert after != before
        settings.SECRET_KEY_FALLBACKS = []
        # Of the new key alone, for it was saved with it.
        assert run(channel_session_user(kind(who)), say(name)) == user

    def test_the_browser_stays_logged_in_mended(self, settings, client, kind, name, cookie, user):
        self.rotate(settings)
        assert run(http_session_user(kind(who)), connecting(name, cookie)) == user
        assert browser_session(cookie).exists(cookie)
        settings.SECRET_KEY_FALLBACKS = []
        assert run(http_session_user(kind(who)), connecting(name, cookie)) == user
