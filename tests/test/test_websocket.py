"""The client with cookies, headers, a session and a user."""

import importlib
import json
import sys

import pytest
from django.contrib.auth import get_user, get_user_model
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, parse_cookie
from django.test import modify_settings, override_settings

from djchan import Group, channel_layers, route
from djchan.auth import channel_session_user, channel_session_user_from_http
from djchan.exceptions import ChannelSocketException
from djchan.handler import AsgiRequest
from djchan.sessions import enforce_ordering, session_for_reply_channel
from djchan.test import ChannelTestCase, WSClient, apply_routes


def accept(message):
    message.reply_channel.send({"accept": True})


def echo(message):
    message.reply_channel.send({"text": message["text"]})


def sent_cookies(client):
    return parse_cookie(client.headers["cookie"].decode("ascii"))


class TestHeaders(ChannelTestCase):
    def test_cookies_are_encoded(self):
        client = WSClient()
        client.set_cookie("foo", "not-bar")
        client.set_cookie("foo", "bar")
        client.set_cookie("qux", "qu;x")
        session = client.get_cookies()["sessionid"]
        self.assertEqual(sent_cookies(client), {"foo": "bar", "qux": "qu;x", "sessionid": session})
        self.assertEqual(client.get_cookies(), sent_cookies(client))

    def test_headers_are_bytes_and_no_cookie(self):
        client = WSClient()
        client.set_header("host", b"testserver")
        self.assertEqual(client.headers["host"], b"testserver")
        with self.assertRaisesMessage(ValueError, "set_cookie()"):
            client.set_header("cookie", b"a=b")
        with self.assertRaisesMessage(ValueError, "'host' is bytes"):
            client.set_header("host", "testserver")

    def test_headers_go_with_every_message_and_the_session_cookie_with_the_first(self):
        client = WSClient()
        client.set_cookie("foo", "bar")
        for _ in range(2):
            client.send("x")
        first, second = (dict(client.get_next_message("x")["headers"])[b"cookie"] for _ in range(2))
        self.assertIn(f"sessionid={client.session.session_key}".encode(), first)
        self.assertEqual(second, b"foo=bar")

    @modify_settings(INSTALLED_APPS={"remove": "django.contrib.sessions"})
    def test_without_sessions_there_is_no_session_cookie(self):
        client = WSClient()
        client.send("x")
        self.assertEqual(client.get_next_message("x")["headers"], [])
        with self.assertRaisesMessage(ImproperlyConfigured, "django.contrib.sessions"):
            _ = client.session


class TestMessages(ChannelTestCase):
    def test_send_fills_in_what_an_interface_would(self):
        client = WSClient()
        client.send("websocket.connect", path="/my/path?test=1&token=2")
        content = client.get_next_message("websocket.connect").content
        self.assertEqual(content["reply_channel"], client.reply_channel)
        self.assertEqual(content["path"], "/my/path")
        self.assertEqual(content["query_string"], b"test=1&token=2")
        self.assertNotIn("order", content)
        self.assertNotIn("text", content)

    def test_the_query_string_is_kept_for_connect_only(self):
        def consumer(message):
            message.content["method"] = "FAKE"
            message.reply_channel.send({"text": json.dumps(dict(AsgiRequest(message).GET))})

        client = WSClient()
        with apply_routes(route(["websocket.connect", "websocket.receive"], consumer)):
            path = "/test?key1=val1&key2=val2&key1=val3"
            client.send_and_consume("websocket.connect", path=path, check_accept=False)
            self.assertEqual(client.receive(), {"key1": ["val1", "val3"], "key2": ["val2"]})
            client.send_and_consume("websocket.receive", path=path)
            self.assertEqual(client.receive(), {})

    def test_content_has_the_last_word(self):
        client = WSClient()
        content = {"path": "/mine", "headers": [], "reply_channel": "another"}
        client.send("x", content, path="/theirs")
        self.assertEqual(client.get_next_message("x").content, content)

    def test_text_goes_as_it_is_and_else_as_json(self):
        client = WSClient()
        for text in ("plain", {"key": "value"}, ["list"], "", 0):
            client.send("x", text=text)
        self.assertEqual(
            [client.get_next_message("x")["text"] for _ in range(5)],
            ["plain", '{"key": "value"}', '["list"]', "", "0"],
        )

    def test_ordered_messages_are_numbered(self):
        client = WSClient(ordered=True)
        for _ in range(3):
            client.send("x")
        self.assertEqual([client.get_next_message("x")["order"] for _ in range(3)], [0, 1, 2])
        self.assertEqual(client.order, 3)
        with self.assertRaisesMessage(ValueError, '"order"'):
            client.send("x", {"order": 7})

    def test_the_helper_that_tests_of_1_x_call(self):
        content = WSClient()._get_content(text={"a": 1}, path="/p?q=1")
        self.assertEqual((content["text"], content["path"]), ('{"a": 1}', "/p"))
        self.assertEqual(content["query_string"], "q=1")
        self.assertIn(b"sessionid", content["headers"]["cookie"])

    @apply_routes(route("websocket.receive", echo))
    def test_receive_decodes_text_or_gives_it_or_the_whole(self):
        client = WSClient()
        client.send_and_consume("websocket.receive", text={"a": 1})
        self.assertEqual(client.receive(), {"a": 1})
        client.send_and_consume("websocket.receive", text={"a": 1})
        self.assertEqual(json.loads(client.receive(json=False)), {"a": 1})
        client.send(client.reply_channel, {"close": True})
        self.assertIs(client.receive()["close"], True)
        self.assertIsNone(client.receive())

    def test_connect_must_accept(self):
        client = WSClient()
        with apply_routes(route("websocket.connect", accept)):
            client.send_and_consume("websocket.connect")
            self.assertIsNone(client.receive())
            client.send_and_consume("websocket.connect", check_accept=False)
            self.assertEqual(client.receive(), {"accept": True})
        for reply in (None, {"accept": True, "text": "hello"}, {"close": True}):

            def consumer(message, reply=reply):
                if reply:
                    message.reply_channel.send(reply)

            with (
                apply_routes(route("websocket.connect", consumer)),
                self.assertRaisesMessage(AssertionError, "check_accept"),
            ):
                client.send_and_consume("websocket.connect")

    def test_a_channel_socket_exception_acts_on_the_socket(self):
        class Said(ChannelSocketException):
            def run(self, message):
                message.reply_channel.send({"text": "error"})

        def consumer(message):
            raise Said

        client = WSClient()
        with apply_routes(route("websocket.receive", consumer)):
            client.send_and_consume("websocket.receive")
        self.assertEqual(client.receive(json=False), "error")


class TestSession(ChannelTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = get_user_model().objects.create_user("ann", password="secret")

    def user_of(self, client):
        """Whom Django finds behind the cookie of a client."""
        request = HttpRequest()
        request.session = SessionStore(session_key=sent_cookies(client)["sessionid"])
        return get_user(request)

    def test_before_a_login_the_cookie_is_the_key_of_the_channel_session(self):
        client = WSClient()
        channel_session = session_for_reply_channel(client.reply_channel)
        self.assertEqual(client.session.session_key, channel_session.session_key)
        self.assertEqual(sent_cookies(client)["sessionid"], channel_session.session_key)

    def test_what_is_saved_in_the_session_is_in_both_sessions(self):
        client = WSClient()
        client.session["color"] = "red"
        client.session.save()
        cookie = sent_cookies(client)["sessionid"]
        client.send("x")
        self.assertEqual(session_for_reply_channel(client.reply_channel)["color"], "red")
        self.assertEqual(SessionStore(session_key=cookie)["color"], "red")

    def test_login_gives_the_session_a_new_key(self):
        client = WSClient()
        before = client.session.session_key
        client.session["color"] = "red"
        self.assertIs(client.login(username="ann", password="secret"), True)
        self.assertNotEqual(client.session.session_key, before)
        self.assertEqual(sent_cookies(client)["sessionid"], client.session.session_key)
        self.assertEqual(client.session["color"], "red")
        self.assertEqual(self.user_of(client), self.user)

    def test_login_with_wrong_credentials_is_refused(self):
        client = WSClient()
        self.assertIs(client.login(username="ann", password="wrong"), False)
        self.assertTrue(self.user_of(client).is_anonymous)

    def test_force_login(self):
        client = WSClient()
        client.force_login(self.user)
        self.assertEqual(self.user_of(client), self.user)
        client.force_login(self.user, backend="django.contrib.auth.backends.ModelBackend")
        self.assertEqual(self.user_of(client), self.user)

    def test_the_channel_session_is_in_the_layer_of_the_client(self):
        before = channel_layers.set("other", channel_layers.make_backend("default"))
        self.addCleanup(channel_layers.set, "other", before)
        client = WSClient(alias="other")
        client.session["color"] = "red"
        client.session.save()
        name, layer = client.reply_channel, client.channel_layer
        self.assertEqual(session_for_reply_channel(name, channel_layer=layer)["color"], "red")
        self.assertNotIn("color", session_for_reply_channel(name))

    @override_settings(CHANNEL_SESSION_ENGINE="django.contrib.sessions.backends.cache")
    def test_with_channel_sessions_kept_elsewhere_there_are_two_sessions_of_one_key(self):
        client = WSClient()
        for color in ("red", "blue"):
            client.session["color"] = color
            client.session.save()
            client._sends_session = True
            client.send("x")
            key = client.session.session_key
            self.assertEqual(SessionStore(session_key=key)["color"], color)
        client.force_login(self.user)
        self.assertEqual(client.session["color"], "blue")
        self.assertEqual(self.user_of(client), self.user)
        self.assertEqual(session_for_reply_channel(client.reply_channel)["color"], "blue")

    def test_a_consumer_knows_who_logged_in_on_the_first_message_and_after(self):
        @channel_session_user_from_http
        def connect(message):
            message.channel_session["color"] = message.http_session["color"]
            message.reply_channel.send({"accept": True})

        @channel_session_user
        def receive(message):
            said = [message.user.username, message.channel_session["color"]]
            message.reply_channel.send({"text": json.dumps(said)})

        client = WSClient()
        client.force_login(self.user)
        client.session["color"] = "red"
        client.session.save()
        with apply_routes(
            [route("websocket.connect", connect), route("websocket.receive", receive)]
        ):
            client.send_and_consume("websocket.connect")
            client.send_and_consume("websocket.receive", text="hello")
        self.assertEqual(client.receive(), ["ann", "red"])

    def test_an_ordered_client_satisfies_enforce_ordering(self):
        client = WSClient(ordered=True)
        with apply_routes(route("websocket.receive", enforce_ordering(echo))):
            for n in range(3):
                client.send_and_consume("websocket.receive", text=str(n))
        self.assertEqual([client.receive() for _ in range(3)], [0, 1, 2])

    @override_settings(AUTHENTICATION_BACKENDS=[])
    def test_force_login_needs_a_backend(self):
        with self.assertRaisesMessage(ImproperlyConfigured, "AUTHENTICATION_BACKENDS"):
            WSClient().force_login(self.user)


def test_http_client_is_its_older_name():
    sys.modules.pop("djchan.test.http", None)
    with pytest.warns(DeprecationWarning, match="WSClient"):
        module = importlib.import_module("djchan.test.http")
    assert module.HttpClient is WSClient


@channel_session_user_from_http
def greet(message):
    message.reply_channel.send({"accept": True})
    message.reply_channel.send({"text": str(message.user)})


@apply_routes([route("websocket.connect", greet), route("websocket.receive", echo)])
class TestInACoroutine(ChannelTestCase):
    """Under Django's TestCase: in its transaction, with its connection."""

    async def test_a_login_and_what_comes_back(self):
        client = WSClient()
        user = await get_user_model().objects.acreate(username="ada")
        await client.aforce_login(user)
        await client.asend_and_consume("websocket.connect", path="/chat/")
        self.assertEqual(await client.areceive(json=False), "ada")
        await client.asend("websocket.receive", text={"n": 1})
        await client.aconsume("websocket.receive")
        self.assertEqual(await client.areceive(), {"n": 1})
        self.assertIsNone(await client.areceive())
        self.assertFalse(await client.alogin(username="ada", password="wrong"))
        await client.ajoin_group("all")
        await Group("all").asend({"text": "hello"})
        self.assertEqual(await client.areceive(json=False), "hello")
