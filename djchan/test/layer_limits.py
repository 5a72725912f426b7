"""The conformance of a layer, second half: capacity, groups, flush, statistics, keys.

From ``test.conformance``; on to the layer, as ``test.layer_case`` has it.
"""

import re
import time

from djchan.test.layer_case import PATIENCE, LayerCase


class LimitTests(LayerCase):
    __test__ = False

    # ---------------------------------------------------------------- capacity

    def test_a_full_channel_refuses(self) -> None:
        limit = self.needs_capacity()
        self.fill("full", limit)
        for _ in range(2):
            with self.assertRaises(self.channel_layer.ChannelFull):
                self.channel_layer.send("full", {"n": limit})

        self.channel_layer.send("another", {"n": 0})
        self.assertEqual(self.receive(["full"])[0], "full")
        self.channel_layer.send("full", {"n": limit})
        self.assertEqual(len(self.drained("full")), limit)

    def test_the_channels_of_a_process_share_its_capacity(self) -> None:
        limit = self.needs_capacity()
        for index in range(limit):
            self.channel_layer.send(f"fullp!{index}", {"n": index})
        with self.assertRaises(self.channel_layer.ChannelFull):
            self.channel_layer.send("fullp!last", {"n": limit})
        self.channel_layer.send("otherp!first", {"n": 0})

    def test_a_group_never_refuses(self) -> None:
        self.needs("groups")
        limit = self.needs_capacity()
        for name in ("fullg.one", "fullg.two"):
            self.channel_layer.group_add("fullg", name)
        for index in range(limit + 2):
            self.channel_layer.send_group("fullg", {"n": index})
            self.assertEqual(self.receive(["fullg.two"]), ("fullg.two", {"n": index}))
        # Who was full was skipped.
        expected = [("fullg.one", {"n": index}) for index in range(limit)]
        self.assertCountEqual(self.drained("fullg.one"), expected)

    def test_what_has_expired_does_not_make_a_channel_full(self) -> None:
        limit = self.needs_capacity()
        self.fill("fulle", limit)
        self.wait_for_expiry()
        self.channel_layer.send("fulle", {"n": "new"})
        self.assertEqual(self.drained("fulle"), [("fulle", {"n": "new"})])

    def test_capacity_goes_by_pattern(self) -> None:
        layer = self.other_layer(
            channel_capacity={"few.one": 1, "few.*": 2, re.compile(r"^.*\.three!$"): 3}
        )
        for name, capacity in (("few.one", 1), ("few.two", 2), ("few.three!a", 2), ("x.three!", 3)):
            with self.subTest(name):
                self.fill(name, capacity, layer)
                with self.assertRaises(layer.ChannelFull):
                    layer.send(name, {"n": capacity})

    # ------------------------------------------------------------------ groups

    def test_every_member_gets_what_is_sent_to_the_group(self) -> None:
        self.needs("groups")
        for name in ("g.one", "g.two", "g.left", "g.one"):
            self.channel_layer.group_add("members", name)
        self.channel_layer.group_discard("members", "g.left")
        self.channel_layer.group_discard("members", "g.never")
        self.channel_layer.send_group("members", {"value": "orange"})
        self.channel_layer.send_group("nobody", {"value": "blue"})

        for name in ("g.one", "g.two"):
            self.assertEqual(self.receive([name]), (name, {"value": "orange"}))
        self.assert_empty("g.one", "g.two", "g.left", "g.never")

    def test_the_channels_of_a_process_are_members_each(self) -> None:
        self.needs("groups")
        for name in ("gp!one", "gp!two", "gp!left"):
            self.channel_layer.group_add("processes", name)
        self.channel_layer.group_discard("processes", "gp!left")
        self.channel_layer.send_group("processes", {"value": "orange"})

        found = self.drained("gp!")
        self.assertCountEqual(found, [(f"gp!{x}", {"value": "orange"}) for x in ("one", "two")])

    def test_who_is_in_a_group(self) -> None:
        self.needs("groups")
        for name in ("gc.one", "gc.two", "gc!three"):
            self.channel_layer.group_add("listed", name)
        listed = set(self.channel_layer.group_channels("listed"))
        self.assertEqual(listed, {"gc.one", "gc.two", "gc!three"})
        self.channel_layer.group_discard("listed", "gc.two")
        listed = set(self.channel_layer.group_channels("listed"))
        self.assertEqual(listed, {"gc.one", "gc!three"})
        self.assertEqual(list(self.channel_layer.group_channels("nobody")), [])

    def test_membership_ends_with_group_expiry(self) -> None:
        self.needs("groups")
        self.assertIsInstance(self.channel_layer.group_expiry, int | float)
        if self.group_expiry_delay is None:
            return  # Membership has no age limit here.
        self.channel_layer.group_add("aged", "aged.one")
        time.sleep(self.group_expiry_delay)
        self.channel_layer.send_group("aged", {"value": "blue"})
        self.assert_empty("aged.one")

    # ------------------------------------------------------- flush, statistics

    def test_a_flush_takes_the_messages(self) -> None:
        self.needs("flush")
        for name in ("fl.one", "fl!two"):
            self.channel_layer.send(name, {"value": "blue"})
        self.channel_layer.flush()
        self.assert_empty("fl.one", "fl!")

    def test_a_flush_takes_the_groups(self) -> None:
        self.needs("groups")
        self.needs("flush")
        self.channel_layer.group_add("flushed", "flg.one")
        self.channel_layer.send_group("flushed", {"value": "blue"})
        self.channel_layer.flush()
        self.channel_layer.send_group("flushed", {"value": "green"})
        self.assert_empty("flg.one")

    def test_statistics(self) -> None:
        self.needs("statistics")
        limit = self.needs_capacity()
        self.fill("st.one", limit)
        self.channel_layer.send("st.two", {})
        for _ in range(3):
            with self.assertRaises(self.channel_layer.ChannelFull):
                self.channel_layer.send("st.one", {})
        self.receive(["st.two"])

        layer = self.channel_layer
        expected = {"messages_count": limit + 1, "channel_full_count": 3}
        self.assertEqual(expected, {key: layer.global_statistics()[key] for key in expected})
        for name, count, pending, full in (("st.one", limit, limit, 3), ("st.two", 1, 0, 0)):
            found = layer.channel_statistics(name)
            self.assertLess(found.pop("messages_max_age"), PATIENCE)
            self.assertEqual(found["messages_count"], count, name)
            self.assertEqual(found["messages_pending"], pending, name)
            self.assertEqual(found["channel_full_count"], full, name)

    # -------------------------------------------------------------- encryption

    def test_a_key_is_changed_without_a_message_lost(self) -> None:
        old, both, turned, new = (
            self.other_layer(symmetric_encryption_keys=keys)
            for keys in (["old"], ["old", "new"], ["new", "old"], ["new"])
        )
        # Each step of a change: who runs with the keys before, and who with those after it.
        for before, after in ((old, both), (both, turned), (turned, new)):
            for sender, reader in ((before, after), (after, before)):
                sender.send("keys", {"secret": "blue"})
                self.assertEqual(self.receive(["keys"], reader), ("keys", {"secret": "blue"}))

    def test_a_message_needs_its_key(self) -> None:
        sender, other = (
            self.other_layer(symmetric_encryption_keys=keys) for keys in (["one"], ["another"])
        )
        sender.send("nokey", {"secret": "blue"})
        try:
            got = self.receive(["nokey"], other)
        except Exception:
            return  # A layer may raise what it likes; it may not answer the message.
        self.assertEqual(got, (None, None))

    def test_keys_are_a_list(self) -> None:
        self.other_layer(symmetric_encryption_keys=["one"])
        with self.assertRaises(ValueError):
            self.make_layer(symmetric_encryption_keys="one")
