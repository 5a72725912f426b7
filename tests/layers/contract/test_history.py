"""State that was lost: who notices, and what it says again.

A flush is seen by everybody, who are not known any more. A store that went back in time is
seen by its connections (History), and by the numbers that it has forgotten.
"""

import pytest

from djchan.layers.operations import (
    Address,
    Beat,
    Commit,
    DeadChannels,
    DeadLetters,
    Flush,
    GiveUp,
    GroupAdd,
    GroupSend,
    History,
    IsLeased,
    Later,
    Leave,
    Members,
    Outcome,
    Part,
    Push,
    Reap,
    Record,
    Register,
    Resume,
    Send,
    Tell,
)
from tests.layers.talk import Talk


def resume(process: str = "i1", **more: object) -> Resume:
    return Resume(process, b"", (), (), "0-0")._replace(**more)


class TestHistory:
    def test_another_run_is_told_once(self, talk: Talk) -> None:
        talk(Flush())
        assert talk(History("a")) is False
        assert talk(History("a")) is False
        assert talk(History("b")) is True
        assert talk(History("b")) is False
        assert talk(History("a")) is True

    def test_the_first_run_makes_nobody_stale(self, talk: Talk) -> None:
        talk(Flush())
        talk.interface("i1")
        assert talk(History("a")) is False
        assert talk(Beat("i1")) is not None

    def test_a_flush_forgets_it(self, talk: Talk) -> None:
        talk(History("a"))
        talk.interface("i1")
        talk(History("b"))
        talk(Flush())
        assert talk(History("c")) is False
        talk.interface("i1")
        assert talk(Beat("i1")) is not None


class TestStale:
    @pytest.fixture
    def stale(self, talk: Talk, run: str) -> Talk:
        """An interface i1 with a floor, before a new run of the store; and a worker w1."""
        talk(History("the run before"))
        talk.worker("w1")
        talk.interface("i1")
        assert talk.answer("w1", "x", Address("i1", "c1", 1)) == "done"
        assert talk(History(run)) is True
        return talk

    def test_it_neither_sends_nor_beats(self, stale: Talk) -> None:
        for _ in range(2):
            assert stale(Send("i1", 1, (Push("x", b""),), link="out")) is None
            assert stale(Beat("i1")) is None
        assert stale.length("x") == 0

    def test_its_beats_are_not_counted(self, stale: Talk) -> None:
        stale(Beat("i1"))
        assert stale(Beat("w1")).processes["i1"][0] == 0

    def test_a_worker_is_not(self, stale: Talk) -> None:
        assert stale(Beat("w1")) is not None
        assert stale(Send("w1", 1, (Push("x", b""),), link="out")).results == ("ok",)
        assert stale.payloads("w1", "x") == [b""]

    def test_others_may_send_to_it(self, stale: Talk) -> None:
        stale.send(GroupAdd("g", "i1", b"+"))
        assert stale.send(Tell("i1", b"told"), GroupSend("g", b"all", b"")) == ("ok", "ok")
        assert stale.entries("i1") == [b"done", b"+", b"told", b"all"]

    def test_one_that_comes_later_is_not(self, stale: Talk) -> None:
        stale.interface("i2")
        assert stale(Beat("i2")) is not None
        assert stale.answer("w1", "x", Address("i2", "c1", 1)) == "done"

    def test_to_register_again_is_not_enough(self, stale: Talk) -> None:
        assert isinstance(stale(Register("i1", "interface", b"")), int)
        assert stale(Beat("i1")) is None

    @pytest.mark.parametrize(
        "ending",
        [{}, {"later": Later(0, 1, b"rest", "x")}, {"progress": 2}],
        ids=["end", "later", "progress"],
    )
    def test_nothing_is_committed_to_its_connections(
        self, stale: Talk, ending: dict[str, object]
    ) -> None:
        token = stale.lease("w1", "x")
        outcome = Outcome(token, (Push("y", b""),), Address("i1", "c1", 2), b"two")
        outcome = outcome._replace(**ending)
        assert stale.commit("w1", outcome) == ["stale"]
        assert (stale.length("y"), stale.claim("w1", "x")) == (0, [])
        # It is leased still, and committed with a new number when the interface has resumed.
        assert stale.commit("w1", outcome) == ["stale"]
        assert isinstance(stale(resume(floors=(("c1", 1, 0),))), int)
        assert stale.commit("w1", outcome) == ["done"]
        assert stale.length("y") == 1

    def test_what_the_interface_has_seen_answered_is_not_answered_again(self, stale: Talk) -> None:
        token = stale.lease("w1", "x")
        outcome = Outcome(token, (Push("y", b""),), Address("i1", "c1", 5), b"five")
        assert stale.commit("w1", outcome) == ["stale"]
        stale(resume(floors=(("c1", 5, 0),)))
        assert stale.commit("w1", outcome) == ["superseded"]
        assert stale.commit("w1", outcome) == ["fenced"]
        assert stale.length("y") == 0

    def test_the_rest_of_the_commit_is_applied(self, stale: Talk) -> None:
        stale.push("x", b"1", b"2", b"3")
        tokens = [each.token for each in stale.claim("w1", "x")]
        outcomes = [
            Outcome(tokens[0], (Push("y", b"1"),)),
            Outcome(tokens[1], (Push("y", b"2"),), Address("i1", "c1", 2), b"two"),
            Outcome(tokens[2], (Push("y", b"3"),), Address("i2", "c1", 1), b"one"),
        ]
        stale.interface("i2")
        assert stale.commit("w1", *outcomes) == ["done", "stale", "done"]
        assert stale.payloads("w1", "y") == [b"1", b"3"]

    def test_a_repeated_number_answers_the_same_words(self, stale: Talk) -> None:
        stale.push("x", b"1", b"2")
        first, second = (each.token for each in stale.claim("w1", "x"))
        outcomes = (
            Outcome(first, (Push("y", b"1"),)),
            Outcome(second, (Push("y", b"2"),), Address("i1", "c1", 2), b"two"),
        )
        number = stale.number()
        said = Commit("w1", "commits", number, outcomes)
        assert list(stale(said)) == ["done", "stale"]
        assert list(stale(said)) == ["done", "stale"]
        stale(resume(floors=(("c1", 1, 0),)))
        # Also now: what was stale is to be said with a number of its own.
        assert list(stale(said)) == ["done", "stale"]
        assert stale.length("y") == 1
        assert list(stale(said._replace(number=number + 1))) == ["fenced", "done"]
        assert list(stale(said)) == ["already", "already"]
        assert stale.length("y") == 2

    def test_a_lost_lease_comes_first(self, stale: Talk) -> None:
        token = stale.lease("w1", "x")
        stale.bury("w1")
        stale.worker("w2")
        outcome = Outcome(token, (), Address("i1", "c1", 2), b"two")
        assert stale.commit("w2", outcome) == ["fenced"]

    def test_parts_are_as_ever(self, stale: Talk) -> None:
        token = stale.lease("w1", "x")
        assert stale(Part("w1", token, "i1", "c1", b"part")) == "ok"
        assert stale.entries("i1") == [b"done", b"part"]

    @pytest.mark.parametrize("bury", [True, False])
    @pytest.mark.parametrize(
        ("floor", "result", "letters"), [(1, "done", [b"a job"]), (2, "superseded", [])]
    )
    def test_nothing_is_given_up_before_it_is_known_to_be_unanswered(
        self, stale: Talk, bury: bool, floor: int, result: str, letters: list[bytes]
    ) -> None:
        stale.push("x", b"a job")
        (leased,) = stale.claim("w1", "x")
        address = Address("i1", "c1", 2)
        give_up = GiveUp("w1", leased.token, "poison", bury, address, b"poison")
        for _ in range(2):
            assert stale(give_up) == "stale"
            assert stale(IsLeased("w1", leased.token)) is True
        assert stale(DeadChannels()) == {}
        assert stale.entries("i1") == [b"done"]
        assert isinstance(stale(resume(floors=(("c1", floor, 0),))), int)
        assert stale(give_up) == result
        assert stale(give_up) == "fenced"
        kept = stale(DeadLetters("x")) if stale(DeadChannels()) else []
        assert [each.payload for each in kept] == (letters if bury else [])

    def test_what_has_no_address_is_given_up_at_once(self, stale: Talk) -> None:
        token = stale.lease("w1", "x")
        assert stale(GiveUp("w1", token, "poison", True)) == "done"

    def test_it_can_be_buried(self, stale: Talk) -> None:
        assert stale(Reap("i1", 0)) is True
        assert stale(resume()) is None
        # Not stale, but over.
        assert stale.answer("w1", "x", Address("i1", "c1", 2)) == "superseded"

    def test_it_goes_on_when_it_has_resumed(self, stale: Talk, run: str) -> None:
        assert isinstance(stale(resume(floors=(("c1", 1, 0),))), int)
        assert stale(Beat("i1")) is not None
        assert stale(Send("i1", 1, (Push("x", b""),), link="out")).results == ("ok",)
        assert stale(History(run)) is False
        assert stale(Beat("i1")) is not None
        assert stale(History("the run after")) is True
        assert stale(Beat("i1")) is None


class TestWatermark:
    def test_a_send_whose_forerunner_is_not_known(self, talk: Talk) -> None:
        talk.interface("i1")
        send = Send("i1", 1, (Push("x", b"1"),), link="out")
        assert talk(send).results == ("ok",)
        assert talk(send._replace(number=3)) is None
        assert talk(send._replace(number=3, link="other")) is None
        assert talk(send._replace(number=1, link="other")).results == ("ok",)
        assert talk(send._replace(number=2)).results == ("ok",)
        assert talk(send._replace(number=3)).results == ("ok",)
        assert talk.length("x") == 4

    def test_one_that_was_fenced_has_its_number(self, talk: Talk) -> None:
        talk.worker("w1")
        send = Send("w1", 1, (Push("x", b"1"),), fence=("w1", 5), link="out")
        assert talk(send).results == ("fenced",)
        assert talk(send).results == ("fenced",)
        assert talk(send._replace(number=2, fence=None)).results == ("ok",)
        assert talk.length("x") == 1

    def test_a_beat_that_knows_of_more_beats(self, talk: Talk) -> None:
        talk.interface("i1")
        assert talk(Beat("i1", beat=1)) is None
        assert talk(Beat("i1", beat=0)).processes["i1"][0] == 1
        assert talk(Beat("i1", beat=1)).processes["i1"][0] == 2
        # The answer to the last one was lost.
        assert talk(Beat("i1", beat=1)).processes["i1"][0] == 3
        assert talk(Beat("i1", beat=4)) is None

    def test_a_beat_that_knows_of_more_sends(self, talk: Talk) -> None:
        talk.interface("i1")
        assert talk(Beat("i1", link="out", number=1)) is None
        talk(Send("i1", 1, (), link="out"))
        assert talk(Beat("i1", link="out", number=1)) is not None
        assert talk(Beat("i1", link="out", number=0)) is not None
        assert talk(Beat("i1", link="other", number=1)) is None
        assert talk(Beat("i1", link="out", number=2)) is None

    def test_a_worker_s_too(self, talk: Talk) -> None:
        talk.worker("w1")
        assert talk(Beat("w1", "7", 0)) is not None
        assert talk(Beat("w1", "7", 2)) is None

    def test_resuming_raises_the_number(self, talk: Talk) -> None:
        talk.interface("i1")
        talk(Send("i1", 1, (), link="out"))
        assert isinstance(talk(resume(link="out", number=6)), int)
        assert talk(Beat("i1", link="out", number=6)) is not None
        assert talk(Send("i1", 7, (Push("x", b""),), link="out")).results == ("ok",)
        # A lower one leaves it alone, and what was answered.
        talk(resume(link="out", number=3))
        assert talk(Send("i1", 7, (Push("x", b""),), link="out")).results == ("ok",)
        assert talk.length("x") == 1


class TestResume:
    def test_floors_of_connections_that_it_does_not_name_go(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        for connection in ("c1", "c2"):
            assert talk.answer("w1", "x", Address("i1", connection, 3)) == "done"
        talk(resume(floors=(("c1", 0, 0), ("c3", 2, 0))))
        assert talk.answer("w1", "x", Address("i1", "c1", 3)) == "superseded"
        assert talk.answer("w1", "x", Address("i1", "c3", 2)) == "superseded"
        assert talk.answer("w1", "x", Address("i1", "c3", 3)) == "done"
        # It is over, so that a copy from before changes nothing.
        assert talk.answer("w1", "x", Address("i1", "c2", 4)) == "superseded"

    def test_connections_that_it_names_are_known(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1", begin=())
        talk(resume(floors=(("c1", 0, 0),)))
        assert talk.answer("w1", "x", Address("i1", "c1", 1)) == "done"

    def test_groups_that_it_does_not_name_are_left(self, talk: Talk) -> None:
        talk.interface("i1")
        talk.send(GroupAdd("g", "i1", b"+"), GroupAdd("h", "i1", b"+"))
        cursor = talk.inbox("i1")[-1][0]
        talk(resume(groups=("g",), cursor=cursor))
        assert talk(Members("g")) == (("i1",), ())
        assert talk(Members("h")) == ((), ())
        talk.bury("i1")
        assert talk(Members("g")) == ((), ())

    def test_not_one_whose_member_it_has_not_heard_of(self, talk: Talk) -> None:
        talk.interface("i1")
        talk.send(GroupAdd("g", "i1", b"+"))
        cursor = talk.inbox("i1")[-1][0]
        talk.send(GroupAdd("h", "i1", b"+"))
        talk(resume(groups=("g",), cursor=cursor))
        assert talk(Members("h")) == (("i1",), ())
        # And once it has heard, it can leave.
        last = talk.inbox("i1")[-1][0]
        talk(Leave("i1", ("h",), last))
        assert talk(Members("h")) == ((), ())

    def test_records_are_those_that_it_names(self, talk: Talk) -> None:
        talk.worker("w1", "websocket.disconnect")
        talk.interface("i1")
        kept, new = (
            Record("i1", name, "websocket.disconnect", name.encode()) for name in ("c1", "c2")
        )
        talk.send(kept, Record("i1", "old", "websocket.disconnect", b"old"))
        talk(resume(records=(kept._replace(payload=b"c1 again"), new)))
        talk.bury("i1")
        got = talk.payloads("w1", "websocket.disconnect")
        assert sorted(got) == [b"c1 again", b"c2"]

    def test_ids_of_an_inbox_that_is_there_go_on_above_the_cursor(self, talk: Talk) -> None:
        talk.interface("i1")
        talk.send(Tell("i1", b"old"))
        far = "99999999999999-3"
        talk(resume(cursor=far))
        talk.send(GroupAdd("g", "i1", b"new"))
        assert talk.entries("i1", after=far) == [b"new"]
        talk(Leave("i1", ("g",), far))
        assert talk(Members("g")) == (("i1",), ())

    def test_a_cursor_below_takes_nothing_back(self, talk: Talk) -> None:
        talk.interface("i1")
        talk.send(Tell("i1", b"1"))
        ((first, _),) = talk.inbox("i1")
        talk(resume(cursor="5-0"))
        talk.send(Tell("i1", b"2"))
        assert talk.entries("i1", after=first) == [b"2"]

    def test_it_is_beaten_for_as_before(self, talk: Talk) -> None:
        talk.interface("i1")
        talk(Beat("i1"))
        talk(resume())
        assert talk(Beat("i1")).processes["i1"] == (2, "interface", "")
