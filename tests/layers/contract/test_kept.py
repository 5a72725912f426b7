"""Values that are kept for consumers: they outlive whoever kept them, for a time."""

import asyncio
from collections.abc import Iterator

import pytest

from djchan.layers.engine import Engine
from djchan.layers.operations import (
    Address,
    Commit,
    Counters,
    Drop,
    Flush,
    IsLeased,
    Keep,
    Kept,
    Length,
    Outcome,
    Reap,
    Recall,
)
from tests.layers.talk import Talk
from tests.support.waiting import wait_for

HOUR = 3_600_000
SOON = 50


@pytest.fixture
def other(engine: Engine) -> Iterator[Talk]:
    """Another process."""
    other = Talk(engine)
    yield other
    other.close()


def recalled(talk: Talk, key: str, ttl: int = 0) -> bytes | None:
    """The value that is kept under ``key``."""
    kept = talk(Recall(key, ttl))
    assert kept is None or isinstance(kept, Kept)
    return None if kept is None else kept.value


def gone(talk: Talk, key: str) -> None:
    wait_for(lambda: recalled(talk, key) is None, timeout=5, what=f"the time of {key} is over")


class TestKeep:
    def test_what_was_kept_is_recalled(self, talk: Talk) -> None:
        assert recalled(talk, "k") is None
        assert talk(Keep("k", b"\0one\xff", HOUR))
        assert recalled(talk, "k") == b"\0one\xff"
        assert talk(Keep("k", b"two", HOUR))
        assert recalled(talk, "k") == b"two"

    def test_nothing_is_a_value_too(self, talk: Talk) -> None:
        talk(Keep("k", b"", HOUR))
        assert recalled(talk, "k") == b""
        assert not talk(Keep("k", b"", HOUR, "create"))

    def test_each_key_has_its_own(self, talk: Talk) -> None:
        keys = ["k", "K", "k:k", "k ", "kept", "q:k"]
        talk.push("k", b"a message")
        for key in keys:
            talk(Keep(key, key.encode(), HOUR))
        assert [recalled(talk, key) for key in keys] == [key.encode() for key in keys]
        assert talk.payloads(talk.worker("w1", "k"), "k") == [b"a message"]

    def test_one_that_must_not_be_there_yet(self, talk: Talk, other: Talk) -> None:
        assert talk(Keep("k", b"first", HOUR, "create"))
        assert not other(Keep("k", b"second", HOUR, "create"))
        assert recalled(talk, "k") == b"first"

    def test_one_that_must_be_there_still(self, talk: Talk, other: Talk) -> None:
        assert not talk(Keep("k", b"1", HOUR, "exist"))
        assert recalled(talk, "k") is None
        talk(Keep("k", b"1", HOUR))
        assert talk(Keep("k", b"2", HOUR, "exist"))
        other(Drop("k"))
        assert not talk(Keep("k", b"3", HOUR, "exist"))
        assert recalled(talk, "k") is None

    def test_several_in_one_round_trip(self, talk: Talk) -> None:
        none, version, kept, length, dropped = talk.link.perform(
            Recall("k"), Keep("k", b"1", HOUR, "create"), Recall("k", HOUR), Length("x"), Drop("k")
        )
        assert (none, length, dropped) == (None, 0, True)
        assert kept == Kept(b"1", version)

    @pytest.mark.asyncio
    async def test_from_an_event_loop(self, engine: Engine, talk: Talk) -> None:
        link = engine.alink("kept")
        (version,) = await link.perform(Keep("k", b"1", HOUR))
        assert await asyncio.to_thread(recalled, talk, "k") == b"1"
        assert await link.perform(Recall("k", HOUR), Drop("k"), Recall("k")) == [
            Kept(b"1", version),
            True,
            None,
        ]
        await link.aclose()


class TestVersion:
    def test_each_time_it_is_kept_it_has_another_above_those_before(self, talk: Talk) -> None:
        versions = [talk(Keep("k", b"1", HOUR)) for _ in range(3)]
        talk(Drop("k"))
        versions.append(talk(Keep("k", b"1", HOUR)))
        talk(Flush())
        versions.append(talk(Keep("k", b"1", HOUR)))
        assert versions == sorted(set(versions))
        assert talk(Recall("k")) == Kept(b"1", versions[-1])

    def test_it_is_kept_only_while_the_version_is_there(self, talk: Talk, other: Talk) -> None:
        first = talk(Keep("k", b"1", HOUR))
        second = talk(Keep("k", b"2", HOUR, version=first))
        assert second > first
        assert other(Keep("k", b"3", HOUR, version=first)) == 0
        assert talk(Recall("k")) == Kept(b"2", second)

    def test_what_was_dropped_and_made_anew_is_another(self, talk: Talk) -> None:
        first = talk(Keep("k", b"1", HOUR))
        talk(Drop("k"))
        assert talk(Keep("k", b"2", HOUR, version=first)) == 0
        talk(Keep("k", b"1", HOUR))
        assert talk(Keep("k", b"2", HOUR, version=first)) == 0
        assert recalled(talk, "k") == b"1"

    def test_recalling_it_changes_no_version(self, talk: Talk) -> None:
        version = talk(Keep("k", b"1", HOUR))
        talk(Recall("k", 2 * HOUR))
        assert talk(Keep("k", b"2", HOUR, version=version))


class TestWithACommit:
    """As effects they are applied with the rest of a run, or not at all."""

    def test_they_are_applied_in_order(self, talk: Talk) -> None:
        talk.worker("w1", "x")
        token = talk.lease("w1", "x")
        effects = (
            Keep("k", b"1", HOUR, "create"),
            Drop("k"),
            Keep("k", b"2", HOUR, "create"),
            Keep("k", b"3", HOUR, "exist"),
            Keep("l", b"4", HOUR),
        )
        assert talk.commit("w1", Outcome(token, effects)) == ["done"]
        assert (recalled(talk, "k"), recalled(talk, "l")) == (b"3", b"4")

    def test_one_that_is_refused_stops_nothing_and_is_counted(self, talk: Talk) -> None:
        talk.worker("w1", "x")
        token = talk.lease("w1", "x")
        effects = (Keep("k", b"1", HOUR, "exist"), Keep("l", b"2", HOUR))
        assert talk.commit("w1", Outcome(token, effects)) == ["done"]
        assert (recalled(talk, "k"), recalled(talk, "l")) == (None, b"2")
        assert talk(Counters())["unkept"] == 1

    def test_one_whose_lease_is_somebody_else_s_changes_nothing(
        self, talk: Talk, other: Talk
    ) -> None:
        talk.worker("w1", "x")
        token = talk.lease("w1", "x")
        talk(Keep("k", b"0", HOUR))
        assert talk(IsLeased("w1", token)) is True
        talk.bury("w1")
        other.worker("w2", "x")
        (again,) = other.claim("w2", "x")
        assert other.commit("w2", Outcome(again.token, (Keep("k", b"1", HOUR),))) == ["done"]
        assert talk(IsLeased("w1", token)) is False
        zombie = Outcome(token, (Keep("k", b"2", HOUR), Drop("k")))
        assert talk.commit("w1", zombie) == ["fenced"]
        assert recalled(talk, "k") == b"1"

    def test_a_copy_that_was_answered_before_changes_nothing(self, talk: Talk) -> None:
        talk.interface("i1")
        talk.worker("w1", "x")
        address = Address("i1", "c1", 1)
        assert talk.answer("w1", "x", address, Keep("k", b"1", HOUR)) == "done"
        assert talk.answer("w1", "x", address, Keep("k", b"2", HOUR)) == "superseded"
        assert recalled(talk, "k") == b"1"

    def test_a_repeated_commit_applies_them_once(self, talk: Talk) -> None:
        talk.worker("w1", "x")
        token = talk.lease("w1", "x")
        commit = Commit("w1", "link", 1, (Outcome(token, (Keep("k", b"1", HOUR),)),))
        assert talk(commit) == ("done",)
        talk(Keep("k", b"2", HOUR))
        assert talk(commit) == ("already",)
        assert recalled(talk, "k") == b"2"

    def test_a_send_applies_them_too(self, talk: Talk) -> None:
        assert talk.send(Keep("k", b"1", HOUR), Keep("l", b"", HOUR, "exist")) == ("ok", "gone")
        assert recalled(talk, "k") == b"1"
        assert talk.send(Drop("k")) == ("ok",)
        assert recalled(talk, "k") is None


class TestDrop:
    def test_it_is_gone(self, talk: Talk) -> None:
        talk(Keep("k", b"1", HOUR))
        talk(Keep("l", b"2", HOUR))
        assert talk(Drop("k")) is True
        assert talk(Drop("k")) is False
        assert (recalled(talk, "k"), recalled(talk, "l")) == (None, b"2")
        assert talk(Keep("k", b"3", HOUR, "create"))

    def test_a_flush_drops_all(self, talk: Talk) -> None:
        talk(Keep("k", b"1", HOUR))
        talk(Flush())
        assert recalled(talk, "k") is None
        assert not talk(Keep("k", b"2", HOUR, "exist"))


class TestTime:
    def test_it_goes_when_its_time_is_over(self, talk: Talk) -> None:
        talk(Keep("k", b"1", SOON))
        talk(Keep("l", b"2", HOUR))
        gone(talk, "k")
        assert not talk(Keep("k", b"3", HOUR, "exist"))
        assert talk(Drop("k")) is False
        assert talk(Keep("k", b"4", HOUR, "create"))
        assert recalled(talk, "l") == b"2"

    def test_recalling_it_gives_it_another(self, talk: Talk) -> None:
        for key in ("k", "l", "m"):
            talk(Keep(key, b"1", 2000))
        assert recalled(talk, "k", HOUR) == b"1"
        assert recalled(talk, "l", SOON) == b"1"
        assert recalled(talk, "m") == b"1"
        gone(talk, "l")
        gone(talk, "m")
        assert recalled(talk, "k") == b"1"

    def test_keeping_it_again_gives_it_another(self, talk: Talk) -> None:
        for key in ("k", "l"):
            talk(Keep(key, b"1", SOON))
        talk(Keep("k", b"2", HOUR))
        gone(talk, "l")
        assert recalled(talk, "k") == b"2"

    def test_recalling_what_is_not_there_makes_nothing(self, talk: Talk) -> None:
        assert recalled(talk, "k", HOUR) is None
        assert not talk(Keep("k", b"1", HOUR, "exist"))


class TestDeath:
    def test_it_outlives_the_worker_that_kept_it(self, talk: Talk, other: Talk) -> None:
        talk.worker("w1", "x")
        talk.lease("w1", "x")
        talk(Keep("k", b"1", HOUR))
        talk.close()
        assert other(Reap("w1", 0)) is True
        other.worker("w2", "x")
        (suspect,) = other.claim("w2", "x")
        assert suspect.attempt == 2
        assert recalled(other, "k", HOUR) == b"1"
        assert other(Keep("k", b"2", HOUR, "exist"))

    def test_it_outlives_the_interface_of_its_connection(self, talk: Talk) -> None:
        talk.interface("i1")
        talk(Keep("k", b"1", HOUR))
        talk.bury("i1")
        assert recalled(talk, "k") == b"1"
