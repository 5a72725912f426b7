"""The conformance of a layer, first half: messages, names, who reads what.

From ``test.conformance``; on to the layer, as ``test.layer_case`` has it.
"""

import string
import threading
import time
from collections import Counter
from functools import partial
from typing import Any

from djchan.test.layer_case import PATIENCE, LayerCase

BODY = 1_000_000


class MessageTests(LayerCase):
    __test__ = False

    # ---------------------------------------------------------------- channels

    def test_what_is_sent_is_received_once(self) -> None:
        for value in ("blue", "green", "yellow"):
            self.channel_layer.send("sr.one", {"value": value})
        self.channel_layer.send("sr.two", {"value": "red"})

        found = self.drained("sr.one")

        self.assertEqual({channel for channel, _ in found}, {"sr.one"})
        self.assertCountEqual(
            [message for _, message in found],
            [{"value": value} for value in ("blue", "green", "yellow")],
        )
        self.assertEqual(self.receive(["sr.one", "sr.two"]), ("sr.two", {"value": "red"}))
        self.assert_empty("sr.one", "sr.two")

    def test_a_message_is_what_it_was_at_send(self) -> None:
        items, table = [1, 2], {"key": "value"}
        self.channel_layer.send("snapshot", {"list": items, "dict": table})
        items.append(3)
        table["key"] = "another"

        received = self.receive(["snapshot"])[1]
        self.assertEqual(received, {"list": [1, 2], "dict": {"key": "value"}})

    def test_text_and_bytes_stay_what_they_are(self) -> None:
        message = {
            "nested": {
                "bytes that are UTF-8": b"\xc2\xa3",
                "the same as text": "\u00a3",
                "beyond 16 bits": "\U0001f612",
                "control": b"\x00\x01\x1f\xff",
                "empty": b"",
            }
        }
        self.channel_layer.send("strings", message)

        received = self.receive(["strings"])[1]
        self.assertEqual(received, message)
        assert received is not None
        for key, value in message["nested"].items():
            self.assertIs(type(received["nested"][key]), type(value), key)

    def test_every_kind_of_value(self) -> None:
        message = {
            "integers": [0, -1, 2**63 - 1, -(2**63)],
            "float": 1.5,
            "truth": [True, False, None],
            "list": [[], [{}], {"a": [b"x"]}],
        }
        self.channel_layer.send("values", message)
        self.assertEqual(self.receive(["values"]), ("values", message))

    def test_a_message_of_a_megabyte(self) -> None:
        message = {"body": bytes(range(250)) * (BODY // 250), "text": "é" * 1000}
        self.channel_layer.send("large", message)
        self.assertEqual(self.receive(["large"]), ("large", message))

    def test_a_message_expires(self) -> None:
        self.channel_layer.send("expiry", {"value": "old"})
        self.wait_for_expiry()
        self.assert_empty("expiry")
        self.channel_layer.send("expiry", {"value": "new"})
        self.assertEqual(self.receive(["expiry"]), ("expiry", {"value": "new"}))

    def test_the_exceptions_are_on_the_layer(self) -> None:
        for name in ("ChannelFull", "MessageTooLarge"):
            self.assertTrue(issubclass(getattr(self.channel_layer, name), Exception), name)

    def test_receive_many_is_the_old_name_of_receive(self) -> None:
        self.channel_layer.send("many", {"n": 1})
        with self.assertWarns(DeprecationWarning):
            self.assertEqual(self.channel_layer.receive_many(["many"]), ("many", {"n": 1}))

    # ------------------------------------------- single-reader, process-local

    def test_a_process_receives_all_that_begins_with_its_prefix(self) -> None:
        for name in ("spr!a", "spr!b"):
            self.channel_layer.send(name, {"to": name})
            self.assertEqual(self.receive(["spr!"]), (name, {"to": name}))
        self.assert_empty("spr!")

    def test_what_is_for_one_process_keeps_its_order(self) -> None:
        names = [f"fifo!{index % 2}" for index in range(self.room)]
        for index, name in enumerate(names):
            self.channel_layer.send(name, {"n": index})

        found = self.drained("fifo!")
        self.assertEqual(found, [(name, {"n": index}) for index, name in enumerate(names)])

    def test_a_local_part_cannot_be_received_from(self) -> None:
        with self.assertRaises(TypeError):
            self.receive(["spr!c"])

    def test_a_new_channel_is_nobody_elses(self) -> None:
        first = self.channel_layer.new_channel("new.one?")
        self.assertIsInstance(first, str)
        self.assertRegex(first, r"\Anew\.one\?[A-Za-z0-9]+\Z")
        self.channel_layer.send(first, {"n": 0})
        self.channel_layer.send(first, {"n": 1})
        second = self.channel_layer.new_channel("new.one?")
        self.assertNotEqual(first, second)

        # One reader: its order is kept.
        found = [self.receive([first, second]) for _ in range(2)]
        self.assertEqual(found, [(first, {"n": 0}), (first, {"n": 1})])

    def test_new_channels_are_for_single_readers_only(self) -> None:
        for pattern in ("new!", "new.one"):
            with self.assertRaises((AssertionError, TypeError, ValueError)):
                self.channel_layer.new_channel(pattern)

    # ------------------------------------------------------------------- names

    def test_names_that_are_allowed(self) -> None:
        alphabet = string.ascii_letters + string.digits + "-_."
        for name in ("a", alphabet, "a" * 99, "a?b", f"{'a' * 49}?{'b' * 49}"):
            self.channel_layer.send(name, {"to": name})
            self.assertEqual(self.receive([name]), (name, {"to": name}))

    def test_names_that_are_not(self) -> None:
        wrong: list[Any] = ["", "a" * 100, "a b", "a/b", "a:b", "a@b", "é", "a\n", "a?", "a?b!c"]
        for name in (*wrong, "?a", "a!b!c", b"bytes", None, 1):
            with self.subTest(name), self.assertRaises(TypeError):
                self.channel_layer.send(name, {"n": 1})
            with self.subTest(name), self.assertRaises(TypeError):
                self.channel_layer.receive([name])

    def test_names_of_groups_that_are_not(self) -> None:
        self.needs("groups")
        wrong: list[Any] = ["", "a" * 100, "a b", "a!b", "a?b", "é", "a\n", b"bytes", None]
        for name in wrong:
            with self.subTest(name), self.assertRaises(TypeError):
                self.channel_layer.group_add(name, "member")
            with self.subTest(name), self.assertRaises(TypeError):
                self.channel_layer.send_group(name, {"n": 1})

    def test_only_a_dict_is_a_message(self) -> None:
        for message in ([1], "text", b"bytes", None):
            with self.subTest(message), self.assertRaises((AssertionError, TypeError)):
                self.channel_layer.send("nodict", message)
        self.assert_empty("nodict")

    # ------------------------------------------------------ readers and senders

    def test_a_blocking_receive_ends_with_the_message(self) -> None:
        begun = threading.Event()

        def send() -> None:
            begun.wait(PATIENCE)
            self.channel_layer.send("blocking", {"n": 1})

        sender = threading.Thread(target=send)
        sender.start()
        deadline = time.monotonic() + PATIENCE
        got: Any = (None, None)
        begun.set()
        # It may come back with nothing at any time: callers loop.
        while got[0] is None and time.monotonic() < deadline:
            got = self.channel_layer.receive(["elsewhere", "blocking"], block=True)
        sender.join(PATIENCE)
        self.assertEqual(got, ("blocking", {"n": 1}))

    def test_no_channel_starves_beside_a_busy_one(self) -> None:
        self.fill("loud", self.room)
        self.channel_layer.send("quiet", {"n": 1})
        for _ in range(500):
            channel, _ = self.receive(["loud", "quiet"])
            if channel == "quiet":
                return
            if channel == "loud":
                self.channel_layer.send("loud", {})
        self.fail("In 500 receives the message on the quiet channel was never taken.")

    def test_no_message_reaches_two_readers(self) -> None:
        channels = [f"once.{index}" for index in range(8)]
        expected = Counter((name, index) for name in channels for index in range(self.room))
        for name in channels:
            self.fill(name, self.room)
        received: list[tuple[Any, Any]] = []

        def read() -> None:
            while (got := self.receive(channels))[1] is not None:
                received.append((got[0], got[1]["n"]))

        self.in_threads(*[read] * 4)
        self.assertEqual(Counter(received), expected)

    def test_threads_share_a_layer(self) -> None:
        def talk(name: str) -> None:
            for turn in range(5):
                self.fill(name, self.room)
                found = self.drained(name)
                self.assertEqual(
                    sorted(message["n"] for _, message in found if message),
                    list(range(self.room)),
                    f"{name}, turn {turn}",
                )

        self.in_threads(*[partial(talk, f"threads.{index}") for index in range(8)])
