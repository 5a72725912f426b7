"""An interface that does not read: group messages are dropped for it alone, and it is told."""

import pytest

from djchan.layers import codec
from djchan.layers.operations import (
    Address,
    Beat,
    Counters,
    GroupAdd,
    GroupDiscard,
    GroupSend,
    Outcome,
    Part,
    Resume,
    Tell,
)
from tests.layers.talk import PLAIN, Talk

pytestmark = pytest.mark.parametrize("engine", PLAIN, indirect=True)
LIMIT = 1000
BIG = b"b" * 600


def gap(group: str) -> list[object]:
    return [codec.GAP, group]


def inbox(talk: Talk, process: str = "i1") -> list[object]:
    """What lies in the inbox: gaps decoded, everything else as it is."""
    entries: list[object] = []
    for entry in talk.entries(process):
        is_gap = entry[:2] == bytes([0x92, codec.GAP])
        entries.append(codec.decode(entry) if is_gap else entry)
    return entries


def members(talk: Talk, *groups: str) -> None:
    talk.interface("i1", inbox=LIMIT)
    talk.interface("i2", inbox=0)
    for group in groups:
        talk.send(GroupAdd(group, "i1", b"+"), GroupAdd(group, "i2", b"+"))


def dropped(talk: Talk) -> int:
    return int(talk(Counters()).get("gap", 0))


class TestGaps:
    def test_it_gets_a_gap_in_the_place_of_what_does_not_fit(self, talk: Talk) -> None:
        members(talk, "g")
        for entry in (BIG, b"2" * 500, b"3" * 500):
            assert talk.send(GroupSend("g", entry, b"")) == ("ok",)
        assert inbox(talk) == [b"+", BIG, gap("g")]
        assert inbox(talk, "i2") == [b"+", BIG, b"2" * 500, b"3" * 500]
        assert dropped(talk) == 2

    def test_what_fits_after_a_gap_comes_after_it(self, talk: Talk) -> None:
        members(talk, "g")
        for entry in (BIG, BIG, b"small", BIG):
            talk.send(GroupSend("g", entry, b""))
        assert inbox(talk) == [b"+", BIG, gap("g"), b"small"]

    def test_each_group_is_told(self, talk: Talk) -> None:
        members(talk, "g", "h")
        for group in ("g", "g", "h", "h", "g"):
            talk.send(GroupSend(group, BIG, b""))
        assert inbox(talk) == [b"+", b"+", BIG, gap("g"), gap("h")]

    def test_of_a_group_with_a_long_name(self, talk: Talk) -> None:
        group = "g" * 90
        members(talk, group)
        talk.send(GroupSend(group, BIG, b""), GroupSend(group, BIG, b""))
        assert inbox(talk)[-1] == gap(group)

    def test_without_a_limit_there_is_none(self, talk: Talk) -> None:
        talk.interface("i1")
        talk.send(GroupAdd("g", "i1", b"+"))
        for _ in range(50):
            talk.send(GroupSend("g", BIG, b""))
        assert inbox(talk) == [b"+", *[BIG] * 50]

    def test_groups_are_joined_and_left_all_the_same(self, talk: Talk) -> None:
        members(talk, "g")
        talk.send(GroupSend("g", BIG, b""))
        effects = (GroupAdd("h", "i1", b"a" * 600), GroupDiscard("g", "i1", b"d" * 600))
        assert talk.send(*effects) == ("ok", "ok")
        assert inbox(talk) == [b"+", BIG, b"a" * 600, b"d" * 600]

    def test_a_consumer_s_group_send_is_dropped_too(self, talk: Talk) -> None:
        members(talk, "g")
        token = talk.lease(talk.worker("w1"), "x")
        effects = (GroupSend("g", BIG, b""), GroupSend("g", BIG, b""))
        assert talk.commit("w1", Outcome(token, effects)) == ["done"]
        assert inbox(talk) == [b"+", BIG, gap("g")]


class TestReading:
    def test_what_was_read_makes_room(self, talk: Talk) -> None:
        members(talk, "g")
        talk.send(GroupSend("g", BIG, b""))
        talk(Beat("i1", read=600))
        talk.send(GroupSend("g", b"2" * 600, b""))
        assert inbox(talk) == [b"+", BIG, b"2" * 600]
        assert dropped(talk) == 0

    def test_after_the_backlog_has_gone_there_is_a_new_gap(self, talk: Talk) -> None:
        members(talk, "g")
        for _ in range(2):
            talk.send(GroupSend("g", BIG, b""))
        # A beat that has seen nothing go changes nothing.
        talk(Beat("i1", read=0))
        talk.send(GroupSend("g", BIG, b""))
        assert inbox(talk) == [b"+", BIG, gap("g")]
        talk(Beat("i1", read=600))
        for _ in range(3):
            talk.send(GroupSend("g", b"2" * 600, b""))
        assert inbox(talk) == [b"+", BIG, gap("g"), b"2" * 600, gap("g")]

    def test_half_of_it_must_be_free(self, talk: Talk) -> None:
        members(talk, "g")
        for entry in (b"1" * 400, b"2" * 600, b"3"):
            talk.send(GroupSend("g", entry, b""))
        talk(Beat("i1", read=400))  # 600 of 1000 still wait.
        talk.send(GroupSend("g", BIG, b""))
        assert inbox(talk).count(gap("g")) == 1
        talk(Beat("i1", read=1000))
        talk.send(GroupSend("g", BIG, b""), GroupSend("g", BIG, b""))
        assert inbox(talk).count(gap("g")) == 2

    def test_resuming_begins_anew(self, talk: Talk) -> None:
        members(talk, "g")
        for _ in range(2):
            talk.send(GroupSend("g", BIG, b""))
        cursor = talk.inbox("i1")[-1][0]
        talk(Resume("i1", b"", (), ("g",), cursor, read=123_456, inbox=LIMIT))
        talk.send(GroupSend("g", b"2" * 900, b""))
        assert talk.entries("i1", after=cursor) == [b"2" * 900]
        talk(Beat("i1", read=123_456 + 900))
        talk.send(GroupSend("g", b"3" * 900, b""))
        assert talk.entries("i1", after=cursor) == [b"2" * 900, b"3" * 900]
        talk.send(GroupSend("g", BIG, b""))
        assert inbox(talk)[-1] == gap("g")

    def test_resuming_may_set_the_limit(self, talk: Talk) -> None:
        talk.interface("i1")
        talk(Resume("i1", b"", (), ("g",), "1-0", inbox=LIMIT))
        talk.send(GroupSend("g", BIG, b""), GroupSend("g", BIG, b""))
        assert inbox(talk) == [BIG, gap("g")]


class TestTell:
    def test_a_direct_one_is_refused_while_it_is_over_its_limit(self, talk: Talk) -> None:
        members(talk)
        token = talk.lease(talk.worker("w1"), "x")
        talk.commit("w1", Outcome(token, (Tell("i1", b"1" * 1100),)))
        assert talk.send(Tell("i1", b"2")) == ("full",)
        talk(Beat("i1", read=1100))
        assert talk.send(Tell("i1", b"3")) == ("ok",)
        assert inbox(talk) == [b"1" * 1100, b"3"]

    def test_a_consumer_s_is_not(self, talk: Talk) -> None:
        members(talk)
        token = talk.lease(talk.worker("w1"), "x")
        effects = tuple(Tell("i1", BIG) for _ in range(5))
        assert talk.commit("w1", Outcome(token, effects)) == ["done"]
        assert inbox(talk) == [BIG] * 5

    def test_both_share_the_room(self, talk: Talk) -> None:
        members(talk, "g")
        assert talk.send(Tell("i1", BIG)) == ("ok",)
        talk.send(GroupSend("g", BIG, b""))
        assert inbox(talk) == [b"+", BIG, gap("g")]

    def test_answers_and_parts_do_not_count(self, talk: Talk) -> None:
        members(talk, "g")
        talk.worker("w1")
        for seq in range(1, 4):
            assert talk.answer("w1", "x", Address("i1", "c1", seq), answer=BIG) == "done"
        token = talk.lease("w1", "x")
        assert talk(Part("w1", token, "i1", "c1", BIG)) == "ok"
        assert talk.send(GroupSend("g", b"1" * 900, b""), Tell("i1", b"2")) == ("ok", "ok")
        assert inbox(talk)[-2:] == [b"1" * 900, b"2"]

    def test_one_for_who_is_gone(self, talk: Talk) -> None:
        members(talk)
        talk.bury("i1")
        assert talk.send(Tell("i1", BIG)) == ("gone",)
