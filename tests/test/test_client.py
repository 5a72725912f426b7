"""The client that sends messages and runs their consumers in the test's thread."""

import pytest
from django.db import connection

from djchan import Channel, Group, channel_layers, route, route_class
from djchan.databases import close_stale_connections
from djchan.exceptions import (
    ChannelSocketException,
    ConsumeLater,
    DenyConnection,
    WebsocketCloseException,
)
from djchan.security.websockets import any_origin
from djchan.signals import consumer_finished, consumer_started
from djchan.test import ChannelTestCase, Client, apply_routes


class Classy:
    """What a class-based consumer is to the client: a class that runs in its constructor."""

    def __init__(self, message, **kwargs):
        self.message, self.kwargs = message, kwargs

    @classmethod
    def channel_names(cls):
        return {"x"}


def echo(message):
    message.reply_channel.send({"got": message["n"]})
    return "returned"


class TestClient(ChannelTestCase):
    def test_its_reply_channel_is_text_alias_and_five_letters(self):
        first, second = Client(), Client()
        self.assertRegex(first.reply_channel, r"\Adefault[a-zA-Z]{5}\Z")
        self.assertNotEqual(first.reply_channel, second.reply_channel)
        self.assertIs(first.channel_layer, channel_layers["default"])

    def test_send_sets_the_reply_channel_and_leaves_the_content_alone(self):
        client, content = Client(), {"n": 1}
        client.send("x", content)
        client.send("x", {"reply_channel": "another"})
        client.send("x")
        contents = [client.get_next_message("x").content for _ in range(3)]
        self.assertEqual(content, {"n": 1})
        self.assertEqual(
            contents,
            [
                {"n": 1, "reply_channel": client.reply_channel},
                {"reply_channel": "another"},
                {"reply_channel": client.reply_channel},
            ],
        )
        self.assertIsNone(client.get_next_message("x"))

    @apply_routes(route("x", echo))
    def test_consume_returns_what_the_consumer_returned_and_sends_what_it_sent(self):
        client = Client()
        client.send("x", {"n": 1})
        self.assertEqual(client.consume("x"), "returned")
        self.assertEqual(client.receive(), {"got": 1})
        self.assertIsNone(client.receive())

    @apply_routes(route("x", echo, n=r"(?P<letter>[a-z])"))
    def test_the_consumer_gets_what_its_route_found(self):
        with apply_routes(route("x", lambda message, letter: letter, n=r"(?P<letter>[a-z])")):
            self.assertEqual(Client().send_and_consume("x", {"n": "abc"}), "a")

    @apply_routes(route_class(Classy))
    def test_consume_returns_the_instance_of_a_class_based_consumer(self):
        consumer = Client().send_and_consume("x", {"n": 1})
        self.assertIsInstance(consumer, Classy)
        self.assertEqual(consumer.message["n"], 1)

    def test_an_async_consumer_is_run_to_its_end(self):
        async def consumer(message):
            await message.reply_channel.asend({"got": message["n"]})
            return "returned"

        client = Client()
        with apply_routes(route("x", consumer)):
            self.assertEqual(client.send_and_consume("x", {"n": 1}), "returned")
        self.assertEqual(client.receive(), {"got": 1})

    @apply_routes(route("x", echo, n="only this"))
    def test_no_message_or_no_route_fails(self):
        client = Client()
        with self.assertRaisesMessage(AssertionError, "no message on the channel 'x'"):
            client.consume("x")
        self.assertIsNone(client.consume("x", fail_on_none=False))
        with self.assertRaisesMessage(AssertionError, "no route matches"):
            client.send_and_consume("x", {"n": "that"})
        self.assertIsNone(client.send_and_consume("x", {"n": "that"}, fail_on_none=False))

    @apply_routes(route("x", echo))
    def test_get_consumer_by_channel(self):
        self.assertIs(Client().get_consumer_by_channel("x"), echo)
        self.assertIsNone(Client().get_consumer_by_channel("y"))

    def test_join_group(self):
        client = Client()
        client.join_group("room")
        Group("room").send({"n": 1})
        self.assertEqual(client.receive(), {"n": 1})

    def test_what_a_consumer_sends_waits_until_it_returns(self):
        def consumer(message):
            Channel("y").send({"n": 1})
            seen.append(self.get_next_message("y"))
            Channel("z").send({"n": 2}, immediately=True)
            seen.append(self.get_next_message("z").content)

        seen = []
        with apply_routes(route("x", consumer)):
            Client().send_and_consume("x")
        self.assertEqual(seen, [None, {"n": 2}])
        self.assertEqual(self.get_next_message("y").content, {"n": 1})

    def test_what_a_consumer_sends_meets_no_full_channel(self):
        def consumer(message):
            for n in range(15):
                Channel("y").send({"n": n})

        with apply_routes(route("x", consumer)):
            Client().send_and_consume("x")
        self.assertEqual([self.get_next_message("y")["n"] for _ in range(15)], list(range(15)))

    def test_what_a_consumer_raises_is_raised_and_what_it_had_sent_is_sent(self):
        def consumer(message):
            Channel("y").send({"n": 1})
            raise KeyError("a bug")

        async def later(message):
            await Channel("y").asend({"n": 2})
            raise KeyError("another")

        for each, name in ((consumer, "a bug"), (later, "another")):
            with apply_routes(route("x", each)), self.assertRaisesMessage(KeyError, name):
                Client().send_and_consume("x")
        self.assertEqual([self.get_next_message("y")["n"] for _ in range(2)], [1, 2])

    def test_deny_connection_propagates_and_nothing_is_replied(self):
        def consumer(message):
            Channel("y").send({"n": 1})
            raise DenyConnection

        client = Client()
        with apply_routes(route(["websocket.connect", "x"], consumer)):
            for channel in ("websocket.connect", "x"):
                with self.assertRaises(DenyConnection):
                    client.send_and_consume(channel)
                self.assertEqual(self.get_next_message("y").content, {"n": 1})
        self.assertIsNone(client.receive())

    def test_a_foreign_origin_is_denied_as_in_a_worker(self):
        def consumer(message):
            message.reply_channel.send({"accept": True})

        headers = {"headers": [[b"origin", b"https://evil.example"]]}
        client = Client()
        with apply_routes(route("websocket.connect", consumer)):
            with self.assertRaisesMessage(DenyConnection, "ALLOWED_HOSTS"):
                client.send_and_consume("websocket.connect", headers)
            self.assertIsNone(client.receive())
        with apply_routes(route("websocket.connect", any_origin(consumer))):
            client.send_and_consume("websocket.connect", headers)
        self.assertEqual(client.receive(), {"accept": True})

    def test_consume_later_propagates_and_nothing_is_sent(self):
        def consumer(message):
            Channel("y").send({"n": 1})
            raise ConsumeLater

        with apply_routes(route("x", consumer)), self.assertRaises(ConsumeLater):
            Client().send_and_consume("x")
        self.assertIsNone(self.get_next_message("y"))
        self.assertIsNone(self.get_next_message("x"))

    def test_a_channel_socket_exception_acts_on_the_socket(self):
        class Said(ChannelSocketException):
            def run(self, message):
                message.reply_channel.send({"text": "said"})

        def consumer(message):
            raise {"say": Said, "close": WebsocketCloseException}[message["do"]]

        client = Client()
        with apply_routes(route("x", consumer)):
            self.assertIsNone(client.send_and_consume("x", {"do": "say"}))
            client.send_and_consume("x", {"do": "close"})
        self.assertEqual(client.receive(), {"text": "said"})
        self.assertEqual(client.receive(), {"close": True})

    def test_a_channel_socket_exception_that_fails_is_raised(self):
        def consumer(message):
            raise ChannelSocketException("says nothing")

        with (
            apply_routes(route("x", consumer)),
            self.assertRaisesMessage(ChannelSocketException, "says nothing"),
        ):
            Client().send_and_consume("x")

    def test_a_routing_error_is_raised(self):
        class Broken:
            def match(self, message):
                raise RuntimeError("a bug in a route")

            def channel_names(self):
                return {"x"}

        with apply_routes(Broken()), self.assertRaisesMessage(RuntimeError, "a bug in a route"):
            Client().send_and_consume("x")

    @apply_routes(route("x", echo))
    def test_the_consumer_signals_are_sent_and_database_connections_stay(self):
        said = []

        def started(sender, **kwargs):
            said.append(("started", sender))

        def finished(sender, **kwargs):
            said.append(("finished", sender))

        consumer_started.connect(started)
        consumer_finished.connect(finished)
        self.addCleanup(consumer_started.disconnect, started)
        self.addCleanup(consumer_finished.disconnect, finished)
        connection.ensure_connection()
        before = connection.connection
        Client().send_and_consume("x", {"n": 1})
        self.assertEqual(said, [("started", Client), ("finished", Client)])
        self.assertIs(connection.connection, before)
        # And for others they are closed again when they are stale.
        for signal in (consumer_started, consumer_finished):
            self.assertTrue(signal.disconnect(close_stale_connections))
            signal.first.append(close_stale_connections)

    def test_an_http_request_is_answered_by_djangos_views(self):
        channel_layers["default"].router.check_default()
        client = Client()
        client.send_and_consume("http.request", {"path": "/hello/", "method": "GET"})
        reply = client.receive()
        self.assertEqual((reply["status"], reply["content"]), (200, b"hello"))


def test_a_client_of_another_alias(settings):
    settings.CHANNEL_LAYERS = {
        alias: {
            "BACKEND": "djchan.layers.inmemory.InMemoryChannelLayer",
            "ROUTING": [route("x", echo)],
        }
        for alias in ("default", "other")
    }
    client = Client("other")
    assert client.reply_channel.startswith("other")
    client.send_and_consume("x", {"n": 1})
    assert client.receive() == {"got": 1}
    with pytest.raises(AssertionError):
        Client().consume("x")
