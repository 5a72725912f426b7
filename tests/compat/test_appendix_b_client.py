"""Appendix B of the contract, line 11: the test client, against its section 3.16.

Each row of that table, as tests of a Channels 1.x project were written. See
test_appendix_b.py for the other lines.
"""

import sys
from importlib import import_module
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.test import TransactionTestCase

from djchan import Channel, Group, channel_layers, route
from djchan.auth import channel_session_user, channel_session_user_from_http
from djchan.exceptions import (
    ChannelFull,
    ConsumeLater,
    DenyConnection,
    WebsocketCloseException,
)
from djchan.generic.websockets import JsonWebsocketConsumer
from djchan.message import Message
from djchan.sessions import channel_session, enforce_ordering
from djchan.test import (
    ChannelLiveServerTestCase,
    ChannelTestCase,
    Client,
    TransactionChannelTestCase,
    WSClient,
    apply_routes,
)
from djchan.test.base import ChannelTestCaseMixin


class TestB11ChannelTestCase(ChannelTestCase):
    def test_b11_a_fresh_layer_that_holds_ten(self) -> None:
        for n in range(10):
            Channel("x").send({"n": n})
        with self.assertRaises(ChannelFull):
            Channel("x").send({})

    def test_b11_a_fresh_layer_for_each_test(self) -> None:
        self.assertIsNone(self.get_next_message("x"))
        self.assertNotIn("http.request", channel_layers["default"].router.channels)

    def test_b11_get_next_message(self) -> None:
        Channel("x").send({"n": 1})
        message = self.get_next_message("x", require=True)
        self.assertIsInstance(message, Message)
        assert message is not None
        self.assertEqual((message["n"], message.channel.name), (1, "x"))
        self.assertIsNone(self.get_next_message("x", alias="default"))
        with self.assertRaises(AssertionError):
            self.get_next_message("x", require=True)


class TestB11TransactionChannelTestCase(TransactionChannelTestCase):
    def test_b11_it_has_a_fresh_layer_too(self) -> None:
        self.assertIsInstance(self, ChannelTestCaseMixin)
        self.assertIsInstance(self, TransactionTestCase)
        for _ in range(10):
            Channel("x").send({})
        with self.assertRaises(ChannelFull):
            Channel("x").send({})


def consumer(message: Any, **kwargs: Any) -> str:
    Channel("elsewhere").send({"from": message.content.get("n")})
    message.reply_channel.send({"kwargs": kwargs})
    return "returned"


def raising(error: Exception) -> Any:
    def raises(message: Any) -> None:
        message.reply_channel.send({"text": "sent before"})
        raise error

    return raises


class TestB11Client(ChannelTestCase):
    def test_b11_names(self) -> None:
        client = Client()
        self.assertRegex(client.reply_channel, r"^default[a-zA-Z]{5}$")
        self.assertIs(client.channel_layer, channel_layers["default"])

    def test_b11_send_and_consume(self) -> None:
        client = Client()
        with apply_routes([route("go", consumer, n="(?P<number>1)")]):
            client.send("go", {"n": "1"})
            self.assertEqual(client.consume("go"), "returned")
            self.assertEqual(client.receive(), {"kwargs": {"number": "1"}})
            self.assertIsNone(client.receive())
            # What it sent has been flushed.
            message = client.get_next_message("elsewhere")
            assert message is not None
            self.assertEqual(message.content, {"from": "1"})
            self.assertEqual(client.send_and_consume("go", {"n": "1"}), "returned")

    def test_b11_consume_nothing(self) -> None:
        client = Client()
        with apply_routes([route("go", consumer, n="1")]):
            with self.assertRaises(AssertionError):
                client.consume("go")
            self.assertIsNone(client.consume("go", fail_on_none=False))
            with self.assertRaises(AssertionError):
                client.send_and_consume("go", {"n": "2"})
            self.assertIsNone(client.send_and_consume("go", {"n": "2"}, fail_on_none=False))

    def test_b11_get_consumer_by_channel(self) -> None:
        with apply_routes([route("go", consumer)]):
            self.assertIs(Client().get_consumer_by_channel("go"), consumer)

    def test_b11_class_based_consumers_are_returned(self) -> None:
        class Json(JsonWebsocketConsumer):
            def receive(self, content: Any, **kwargs: Any) -> None:
                self.send({"heard": content})

        client = WSClient()
        with apply_routes([Json.as_route(path="^/")]):
            self.assertIsInstance(client.send_and_consume("websocket.connect"), Json)
            made = client.send_and_consume("websocket.receive", text={"a": 1})
            self.assertIsInstance(made, Json)
            self.assertEqual(client.receive(), {"heard": {"a": 1}})

    def test_b11_join_group(self) -> None:
        client = Client()
        client.join_group("g")
        Group("g").send({"text": "all"})
        self.assertEqual(client.receive(), {"text": "all"})

    def test_b11_a_socket_exception_acts_on_the_socket(self) -> None:
        client = Client()
        with apply_routes([route("go", raising(WebsocketCloseException(4000)))]):
            client.send_and_consume("go", {"reply_channel": client.reply_channel})
            self.assertEqual(client.receive(), {"text": "sent before"})
            self.assertEqual(client.receive(), {"close": 4000})

    def test_b11_deny_and_later_propagate(self) -> None:
        client = Client()
        for error in (DenyConnection, ConsumeLater):
            with apply_routes([route("websocket.connect", raising(error()))]):
                client.send("websocket.connect", {"path": "/"})
                with self.assertRaises(error):
                    client.consume("websocket.connect")


def accept(message: Any) -> None:
    message.reply_channel.send({"accept": True})


class TestB11WSClient(ChannelTestCase):
    def test_b11_headers_and_cookies(self) -> None:
        client = WSClient()
        client.set_cookie("color", "blue")
        client.set_header("host", b"example.org")
        with self.assertRaises(ValueError):
            client.set_header("Cookie", b"a=1")
        with self.assertRaises(ValueError):
            client.set_header("x", "text")  # type: ignore[arg-type]
        self.assertEqual(client.get_cookies()["color"], "blue")
        self.assertIsInstance(client.headers, dict)
        self.assertIn(b"color=blue", client.headers["cookie"])

    def test_b11_what_a_message_has(self) -> None:
        client = WSClient(ordered=True)
        with apply_routes([route("websocket.connect", accept), route("websocket.receive", accept)]):
            client.send("websocket.connect", path="/x/?a=1")
            first = client.get_next_message("websocket.connect")
            client.send("websocket.receive", text={"json": True})
            second = client.get_next_message("websocket.receive")
        assert first is not None and second is not None
        # As an interface sends it: of 1.x's WSClient the query string was text, the headers were a
        # dict, and every message had them.
        self.assertEqual((first["path"], first["query_string"]), ("/x/", b"a=1"))
        self.assertIn([b"host", b"testserver"], first["headers"])
        self.assertEqual(
            (first["order"], second["order"], second["text"]), (0, 1, '{"json": true}')
        )
        self.assertNotIn("headers", second)
        self.assertNotIn("query_string", second)

    def test_b11_connect_must_accept(self) -> None:
        client = WSClient()
        with apply_routes([route("websocket.connect", accept)]):
            client.send_and_consume("websocket.connect")
            self.assertIsNone(client.receive())
        with apply_routes([route("websocket.connect", lambda message: None)]):
            with self.assertRaises(AssertionError):
                client.send_and_consume("websocket.connect")
            client.send_and_consume("websocket.connect", check_accept=False)

    def test_b11_receive(self) -> None:
        client = WSClient()
        reply = Channel(client.reply_channel)
        for content in ({"text": '{"a": 1}'}, {"text": "plain"}, {"bytes": b"x"}):
            reply.send(content)
        self.assertEqual(client.receive(), {"a": 1})
        self.assertEqual(client.receive(json=False), "plain")
        self.assertEqual(client.receive(), {"bytes": b"x"})
        self.assertIsNone(client.receive())

    def test_b11_session_and_login(self) -> None:
        user = get_user_model().objects.create_user("ann", password="secret")
        seen: list[Any] = []

        @channel_session_user_from_http
        def connect(message: Any) -> None:
            seen.append(message.user)
            accept(message)

        @channel_session_user
        def receive(message: Any) -> None:
            seen.append(message.user)

        client = WSClient()
        before = client.session.session_key
        self.assertFalse(client.login(username="ann", password="wrong"))
        self.assertTrue(client.login(username="ann", password="secret"))
        self.assertNotEqual(client.session.session_key, before)
        with apply_routes(
            [route("websocket.connect", connect), route("websocket.receive", receive)]
        ):
            client.send_and_consume("websocket.connect")
            client.send_and_consume("websocket.receive", text="hi")
        self.assertEqual(seen, [user, user])

    def test_b11_force_login_and_session_identity(self) -> None:
        seen: list[Any] = []

        @channel_session
        def connect(message: Any) -> None:
            seen.append(message.channel_session["color"])
            accept(message)

        client = WSClient()
        client.session["color"] = "blue"
        client.session.save()
        with apply_routes([route("websocket.connect", connect)]):
            client.send_and_consume("websocket.connect")
        self.assertEqual(seen, ["blue"])
        client.force_login(get_user_model().objects.create_user("ann"))

    def test_b11_ordered(self) -> None:
        ran: list[int] = []

        @enforce_ordering
        def ordered(message: Any) -> None:
            ran.append(message["order"])
            accept(message)

        client = WSClient(ordered=True)
        with apply_routes([route(["websocket.connect", "websocket.receive"], ordered)]):
            client.send_and_consume("websocket.connect")
            client.send_and_consume("websocket.receive", text="1")
        self.assertEqual(ran, [0, 1])


class TestB11ApplyRoutes(ChannelTestCase):
    def test_b11_forms(self) -> None:
        go = route("go", consumer)
        for routes in (go, [go], [[go]]):
            with apply_routes(routes):
                self.assertEqual(channel_layers["default"].router.channels, {"go"})
        # In 1.x an IndexError.
        with apply_routes([]):
            self.assertEqual(channel_layers["default"].router.channels, set())
        applied = apply_routes([go])
        applied.enter()
        self.assertIn("go", channel_layers["default"].router.channels)
        applied.exit()
        self.assertNotIn("go", channel_layers["default"].router.channels)

    @apply_routes([route("go", consumer)])
    def test_b11_decorator(self) -> None:
        self.assertEqual(Client().send_and_consume("go"), "returned")


@apply_routes([route("go", consumer)])
class TestB11ApplyRoutesOnAClass(ChannelTestCase):
    def test_b11_class_decorator(self) -> None:
        self.assertEqual(Client().send_and_consume("go"), "returned")


def test_b11_http_client_is_deprecated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "djchan.test.http", raising=False)
    with pytest.warns(DeprecationWarning, match="WSClient"):
        module = import_module("djchan.test.http")
    assert module.HttpClient is WSClient


def test_b11_live_server_test_case(settings: Any) -> None:
    # At work: tests/test/test_live.py.
    assert issubclass(ChannelLiveServerTestCase, TransactionTestCase)
    case = ChannelLiveServerTestCase
    assert (case.host, case.worker_threads, case.serve_static) == ("localhost", 1, True)
    for name in ("ProtocolServerProcess", "WorkerProcess", "live_server_url", "live_server_ws_url"):
        assert hasattr(case, name), name
    with pytest.raises(ImproperlyConfigured):
        # No TEST_CONFIG, a layer and a database in memory.
        case("run").debug()
