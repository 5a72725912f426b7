"""A test sends the messages of a connection in any order; a consumer may mind, or not."""

import pytest

from djchan import route, route_class
from djchan.exceptions import ConsumeLater
from djchan.generic.websockets import WebsocketConsumer
from djchan.sessions import enforce_ordering
from djchan.test import ChannelTestCase, Client, WSClient, apply_routes


def plain(message):
    return message["order"]


@enforce_ordering
def ordered(message):
    return message["order"]


@enforce_ordering
async def ordered_async(message):
    return message["order"]


def send(client, *orders):
    for order in orders:
        client.send("x", {"order": order})


def consume(client, times):
    return [client.consume("x") for _ in range(times)]


class TestTurns(ChannelTestCase):
    def test_what_comes_early_waits_for_its_turn(self):
        for consumer in (ordered, ordered_async):
            with self.subTest(consumer.__name__), apply_routes(route("x", consumer)):
                client = Client()
                send(client, 2, 1, 0)
                self.assertEqual(consume(client, 5), [None, None, 0, 1, 2])
                self.assertIsNone(client.consume("x", fail_on_none=False))

    def test_a_class_with_strict_ordering_minds_as_well(self):
        class Strict(WebsocketConsumer):
            strict_ordering = True

        with apply_routes(route_class(Strict)):
            client = WSClient()
            client.send("websocket.connect", {"order": 1})
            client.send("websocket.connect", {"order": 0})
            self.assertIsNone(client.consume("websocket.connect", check_accept=False))
            self.assertEqual(client.consume("websocket.connect").message["order"], 0)
            self.assertEqual(client.consume("websocket.connect").message["order"], 1)

    @apply_routes([route("x", ordered, minds="^yes"), route("x", plain)])
    def test_a_message_counts_whoever_takes_it(self):
        client = Client()
        client.send("x", {"order": 0})
        client.send("x", {"order": 1, "minds": "yes"})
        self.assertEqual(consume(client, 2), [0, 1])

    @apply_routes(route("x", plain))
    def test_nothing_waits_where_nobody_minds(self):
        client = Client()
        send(client, 5, 0, "text", None)
        self.assertEqual(consume(client, 4), [5, 0, "text", None])

    @apply_routes([route("x", ordered, minds="^yes"), route("x", plain)])
    def test_what_waits_is_let_go_by_one_that_overtakes_it(self):
        client = Client()
        client.send("x", {"order": 2, "minds": "yes"})
        client.send("x", {"order": 7})
        self.assertEqual(consume(client, 3), [None, 7, 2])

    @apply_routes(route("x", ordered))
    def test_connections_do_not_wait_for_each_other(self):
        first, second = Client(), Client()
        send(first, 0)
        send(second, 0)
        send(second, 1)
        send(first, 1)
        # Whoever consumes it, it is the sender's.
        self.assertEqual(consume(first, 4), [0, 0, 1, 1])

    def test_one_that_fails_lets_the_next_one_pass_and_one_put_off_does_not(self):
        for error, expected in ((KeyError, 1), (ConsumeLater, None)):

            @enforce_ordering
            def raising(message, error=error):
                if message["order"] == 0:
                    raise error
                return message["order"]

            with self.subTest(error.__name__), apply_routes(route("x", raising)):
                client = Client()
                send(client, 0, 1)
                with pytest.raises(error):
                    client.consume("x")
                self.assertEqual(client.consume("x"), expected)

    @apply_routes(route("x", ordered))
    def test_one_without_a_reply_channel_is_refused_as_ever(self):
        client = Client()
        client.channel_layer.send("x", {"order": 1})
        with self.assertRaisesMessage(ValueError, "reply_channel"):
            client.consume("x")
