"""From what a user sends to what a layer is told to do."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djchan.layers import codec, effects
from djchan.layers.operations import (
    Address,
    Delay,
    GroupAdd,
    GroupAddChannel,
    GroupDiscard,
    GroupDiscardChannel,
    GroupSend,
    Push,
    Tell,
)

NOW = 1_700_000_000_000
HI = codec.encode({"text": "hi"})


class Rules:
    """A layer's policy: ``slow`` expires after 1.5 s, and 7 messages fit into any channel.

    What consumers send is parked once a channel holds 70.
    """

    member_ttl = 0
    total_bytes = 7_000_000

    def capacity_of(self, channel: str) -> int:
        return 7

    def max_bytes_of(self, channel: str) -> int:
        return 70_000

    def limit_of(self, channel: str) -> int:
        return 70

    def expiry_of(self, channel: str) -> float | None:
        return 1.5 if channel == "slow" else None

    def at_most_once(self, channel: str) -> bool:
        return channel == "lossy"

    def now(self) -> int:
        return NOW


rules = Rules()


class TestSend:
    def test_to_a_channel_is_a_push_that_meets_its_capacity(self):
        push = effects.send(rules, "thumbnails", HI)

        assert isinstance(push, Push)
        assert (push.channel, push.capacity, push.frames, push.if_served) == (
            "thumbnails", 7, 1, False,
        )  # fmt: skip
        envelope = codec.decode_envelope(push.payload)
        assert (envelope.version, envelope.channel) == (codec.VERSION, "thumbnails")
        assert (envelope.created, envelope.expires) == (NOW, 0)
        assert (envelope.process, envelope.connection, envelope.seq) == ("", "", 0)
        assert codec.decode(envelope.common) == {}
        assert [codec.decode(frame) for frame in envelope.frames] == [{"text": "hi"}]

    def test_without_admission_it_is_exempt(self):
        push = effects.send(rules, "thumbnails", HI, admission=False)

        assert isinstance(push, Push)
        assert push.capacity == 0

    def test_what_a_consumer_sends_has_the_limit_of_its_channel(self):
        push = effects.send(rules, "thumbnails", HI, admission=False)

        assert isinstance(push, Push)
        assert (push.limit, push.max_bytes, push.total) == (70, 70_000, 7_000_000)

    def test_expiry_counts_from_when_the_message_is_due(self):
        now = effects.send(rules, "slow", HI)
        later = effects.send(rules, "slow", HI, delay=10_000)

        assert isinstance(now, Push) and isinstance(later, Delay)
        assert codec.decode_envelope(now.payload).expires == NOW + 1500
        assert codec.decode_envelope(later.payload).expires == NOW + 11_500
        assert later.delay == 10_000
        assert (now.expires, later.expires) == (NOW + 1500, NOW + 11_500)

    def test_what_may_be_lost_is_not_kept_when_it_expires(self):
        lossy, sure = effects.send(rules, "lossy", HI), effects.send(rules, "slow", HI)

        assert isinstance(lossy, Push) and isinstance(sure, Push)
        assert (lossy.keep, sure.keep) == (False, True)

    def test_every_message_has_an_id_of_its_own(self):
        pushes = [effects.send(rules, "thumbnails", HI) for _ in range(50)]

        ids = {codec.decode_envelope(push.payload).id for push in pushes}  # type: ignore[union-attr]
        assert len(ids) == 50

    def test_to_a_connection_is_a_reply(self):
        word = effects.send(rules, "websocket.send.PROC!c1", HI)

        assert word == effects.Reply("PROC", "c1", HI)

    def test_to_a_connection_later_is_refused_with_the_remedy(self):
        with pytest.raises(ValueError, match="send to a channel of your own with the delay"):
            effects.send(rules, "websocket.send.PROC!c1", HI, delay=5)


class TestGroups:
    def test_a_send_is_serialized_once_for_sockets_and_once_for_channels(self):
        send = effects.group_send(rules, "room", HI)

        assert isinstance(send, GroupSend)
        assert codec.decode(send.entry) == [codec.GROUP, "room", {"text": "hi"}]
        envelope = codec.decode_envelope(send.payload)
        assert [codec.decode(frame) for frame in envelope.frames] == [{"text": "hi"}]

    def test_a_connection_is_told_to_its_process(self):
        add = effects.group_add(rules, "room", "websocket.send.PROC!c1")
        discard = effects.group_discard("room", "websocket.send.PROC!c1")

        assert isinstance(add, GroupAdd) and isinstance(discard, GroupDiscard)
        assert (add.group, add.process) == (discard.group, discard.process) == ("room", "PROC")
        assert codec.decode(add.entry) == [codec.ADD, "room", "c1"]
        assert codec.decode(discard.entry) == [codec.DISCARD, "room", "c1"]

    def test_a_plain_channel_is_a_member_itself(self):
        assert effects.group_add(rules, "room", "audit") == GroupAddChannel(
            "room", "audit", 7, max_bytes=70_000, total=7_000_000
        )
        assert effects.group_discard("room", "audit") == GroupDiscardChannel("room", "audit")


class TestEntries:
    address = Address("PROC", "c1", 3)

    def test_an_answer_is_keyed_by_connection_and_seq(self):
        entry = codec.decode(effects.answer(self.address, [HI, HI], codec.POISON))

        assert entry == [codec.ANSWER, "c1", 3, [{"text": "hi"}, {"text": "hi"}], "poison"]

    def test_a_part_names_its_run(self):
        entry = codec.decode(effects.part(self.address, 81, 2, HI))

        assert entry == [codec.PART, "c1", 3, 81, 2, {"text": "hi"}]


def unpacked(packed: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Effects as the single words they stand for: replies one by one, others as they are."""
    words: list[tuple[Any, ...]] = []
    for effect in packed:
        if isinstance(effect, Tell):
            kind, connection, messages = codec.decode(effect.entry)
            assert kind == codec.REPLY
            words += [(effect.process, connection, message) for message in messages]
        else:
            words.append(effect)
    return words


replies = st.builds(
    effects.Reply,
    st.sampled_from(["P", "Q"]),
    st.sampled_from(["c1", "c2"]),
    st.integers(0, 9).map(lambda number: codec.encode({"n": number})),
)
others = st.sampled_from(
    [Push("a", b"1"), GroupAddChannel("g", "a"), GroupSend("g", b"entry", b"payload")]
)


class TestPack:
    address = Address("P", "c1", 5)

    @given(st.lists(replies | others, max_size=12))
    def test_nothing_is_lost_or_reordered(self, words: list[effects.Words]):
        for address in (None, self.address):
            packed, last = effects.pack(words, address)

            ours = [("P", "c1", codec.decode(message)) for message in last]
            said = [
                (word.process, word.connection, codec.decode(word.message))
                if isinstance(word, effects.Reply)
                else word
                for word in words
            ]
            assert unpacked(packed) + ours == said

    @given(st.lists(replies | others, max_size=12))
    def test_neighbors_to_one_connection_are_one_entry(self, words: list[effects.Words]):
        packed, _ = effects.pack(words)

        tells = [
            (effect.process, codec.decode(effect.entry)[1]) if isinstance(effect, Tell) else None
            for effect in packed
        ]
        assert all(one is None or one != other for one, other in pairwise(tells))

    def test_the_last_replies_to_the_address_ride_with_its_answer(self):
        words = [effects.Reply("P", "c1", HI), Push("a", b"1"), effects.Reply("P", "c1", HI)]

        packed, last = effects.pack(words, self.address)

        assert [type(effect) for effect in packed] == [Tell, Push]
        assert last == [HI]

    def test_replies_to_another_connection_at_the_end_do_not(self):
        packed, last = effects.pack([effects.Reply("P", "c2", HI)], self.address)

        assert [type(effect) for effect in packed] == [Tell]
        assert last == []

    def test_nothing_is_nothing(self):
        assert effects.pack([], self.address) == ((), [])
