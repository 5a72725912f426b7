"""Copies of deliveries: those that would be refused at their commit are not leased at all."""

import pytest

from djchan.layers.operations import (
    Address,
    Delay,
    Flush,
    History,
    Later,
    Outcome,
    Push,
    Reap,
    Record,
    Resume,
    Send,
)
from tests.layers.talk import Talk, Waiting


def frame(seq: int, payload: bytes, *, connection: str = "c1", done: int = 0) -> Push:
    return Push("x", payload, owner=("i1", connection), seq=seq, done=done)


def resume(*floors: tuple[str, int, int]) -> Resume:
    return Resume("i1", b"", floors, (), "0-0", link="begin", number=1)


@pytest.fixture
def resumed(talk: Talk) -> Talk:
    """Worker w1, and interface i1, which has announced c1 (answered up to 1) and c2 again while
    the layer held something."""
    talk.worker("w1", "x")
    talk.interface("i1")
    talk.send(Push("elsewhere", b"job"))
    assert isinstance(talk(resume(("c1", 1, 0), ("c2", 0, 0))), int)
    return talk


class TestAfterAResume:
    def test_a_copy_of_what_was_answered_is_not_leased(self, resumed: Talk) -> None:
        resumed.send(frame(1, b"copy"), frame(2, b"new"), frame(1, b"other", connection="c2"))
        assert resumed.payloads("w1", "x") == [b"new", b"other"]
        assert resumed.length("x") == 0

    def test_a_copy_of_a_connection_that_is_over_is_not_leased(self, resumed: Talk) -> None:
        resumed.send(frame(2, b"copy"), Push("x", b"job"))
        assert resumed(Send("i1", 2, (), ("c1",), link="begin")) is not None
        assert resumed.payloads("w1", "x") == [b"job"]

    def test_one_that_was_answered_in_part_is_leased(self, resumed: Talk) -> None:
        assert isinstance(resumed(resume(("c1", 1, 2))), int)
        resumed.send(frame(2, b"the rest", done=2))
        assert resumed.payloads("w1", "x") == [b"the rest"]

    def test_one_that_was_put_back_is_leased(self, resumed: Talk) -> None:
        resumed.send(frame(2, b"two"))
        (leased,) = resumed.claim("w1", "x")
        later = Outcome(
            leased.token, (), Address("i1", "c1", 2), b"", Later(0, 1, b"rest", "x"), since=0
        )
        assert resumed.commit("w1", later) == ["done"]
        assert resumed.payloads("w1", "x") == [b"rest"]

    def test_what_has_no_number_is_leased(self, resumed: Talk) -> None:
        resumed.send(Push("x", b"of an older version", owner=("i1", "c9")), Push("x", b"job"))
        assert resumed.payloads("w1", "x") == [b"of an older version", b"job"]

    def test_who_found_only_copies_looks_again(self, resumed: Talk) -> None:
        copies = [frame(1, b"copy %d" % index) for index in range(5)]
        resumed.send(*copies, frame(2, b"new"))
        claims = [resumed.payloads("w1", "x", count=2) for _ in range(4)]
        # It is never noted as idle while something waits that it has not seen.
        assert claims == [[], [], [b"new"], []]
        assert resumed.length("x") == 0

    def test_who_found_only_copies_does_not_sleep(self, resumed: Talk) -> None:

        resumed.send(frame(1, b"copy"))
        assert resumed.claim("w1", "x") == []
        with Waiting(resumed.engine, "w1-bell"):
            pass

    def test_of_a_stale_interface_nothing_is_dropped(self, resumed: Talk, run: str) -> None:
        resumed(History("the run before"))
        resumed.send(frame(1, b"copy"), frame(9, b"unknown", connection="c9"))
        assert resumed(History(run)) is True
        assert resumed.payloads("w1", "x") == [b"copy", b"unknown"]

    def test_of_a_dead_interface_too(self, resumed: Talk) -> None:
        resumed(Send("i1", 2, (Record("i1", "c1", "x", b"left"),), link="begin"))
        resumed.send(Push("websocket.receive", b"copy", owner=("i1", "c1"), seq=1))
        resumed.send(Push("websocket.receive", b"two", owner=("i1", "c1"), seq=2))
        assert resumed(Reap("i1", 0)) is True
        resumed.send(Push("websocket.receive", b"over", owner=("i1", "c2"), seq=1))
        leased = resumed.claim("w1", "websocket.receive")
        assert [each.payload for each in leased] == [b"two"]
        assert resumed.commit("w1", Outcome(leased[0].token, (), Address("i1", "c1", 2))) == [
            "done"
        ]
        # What its death has left has no number.
        assert resumed.payloads("w1", "x") == [b"left"]


class TestAfterAResumeOfAnEmptyLayer:
    """It has no copies, so claims do not look for them."""

    @pytest.fixture
    def empty(self, talk: Talk) -> Talk:
        talk.worker("w1", "x")
        talk.interface("i1")
        return talk

    def test_nothing_is_looked_at(self, empty: Talk) -> None:
        assert isinstance(empty(resume(("c1", 1, 0))), int)
        empty.send(frame(1, b"what cannot be"))
        assert empty.payloads("w1", "x") == [b"what cannot be"]

    @pytest.mark.parametrize("place", ["queue", "lease", "suspect", "delayed"])
    def test_what_it_holds_anywhere_may_be_copied(self, empty: Talk, place: str) -> None:
        if place == "delayed":
            empty.send(Delay("x", b"later", 60_000))
        else:
            empty.send(Push("elsewhere", b"job"))
        if place in ("lease", "suspect"):
            empty.worker("w2", "elsewhere")
            assert empty.payloads("w2", "elsewhere") == [b"job"]
        if place == "suspect":
            empty.bury("w2")
        assert isinstance(empty(resume(("c1", 1, 0))), int)
        empty.send(frame(1, b"copy"))
        assert empty.payloads("w1", "x") == []


class TestSuspects:
    def test_a_suspect_whose_connection_is_over_is_not_leased(self, talk: Talk) -> None:
        talk.worker("w1", "x")
        talk.worker("w2", "x")
        talk.interface("i1")
        talk.send(frame(1, b"over"), frame(1, b"there", connection="c2"))
        assert talk.payloads("w1", "x") == [b"over", b"there"]
        assert talk(Send("i1", 2, (), ("c1",), link="begin")) is not None
        talk.bury("w1")
        assert talk.payloads("w2", "x") == []
        assert talk.payloads("w2", "x") == [b"there"]

    def test_without_a_resume_nothing_else_is_looked_at(self, talk: Talk) -> None:
        """A claim costs nothing more then: what cannot be a copy is leased."""
        talk.worker("w1", "x")
        talk.interface("i1")
        talk.send(frame(1, b"it was forgotten since"))
        assert talk(Send("i1", 2, (), ("c1",), link="begin")) is not None
        assert talk.payloads("w1", "x") == [b"it was forgotten since"]


class TestIdleBells:
    def test_another_run_wakes_who_was_noted_as_idle(self, talk: Talk) -> None:

        talk(Flush())
        talk(History("a"))
        talk.worker("w1", "x")
        assert talk.claim("w1", "x") == []
        with Waiting(talk.engine, "w1-bell"):
            assert talk(History("b")) is True

    def test_who_was_idle_before_another_run_is_not_woken_in_place_of_who_is(
        self, talk: Talk
    ) -> None:

        talk(Flush())
        talk(History("a"))
        for worker in ("w1", "w2", "w3", "w4"):
            talk.worker(worker, "x")
            assert talk.claim(worker, "x") == []
        assert talk(History("b")) is True
        assert talk.claim("w4", "x") == []
        with Waiting(talk.engine, "w4-bell"):
            talk.push("x", b"job")
