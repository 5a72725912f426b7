"""Values that are kept for consumers: they outlive whoever kept them, for a time."""

import asyncio
from collections.abc import Iterator

import pytest

from djchan.layers.engine import Engine
from djchan.layers.operations import Drop, Flush, Keep, Length, Reap, Recall
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


def gone(talk: Talk, key: str) -> None:
    wait_for(lambda: talk(Recall(key)) is None, timeout=5, what=f"the time of {key} is over")


class TestKeep:
    def test_what_was_kept_is_recalled(self, talk: Talk) -> None:
        assert talk(Recall("k")) is None
        assert talk(Keep("k", b"\0one\xff", HOUR)) is True
        assert talk(Recall("k")) == b"\0one\xff"
        assert talk(Keep("k", b"two", HOUR)) is True
        assert talk(Recall("k")) == b"two"

    def test_nothing_is_a_value_too(self, talk: Talk) -> None:
        talk(Keep("k", b"", HOUR))
        assert talk(Recall("k")) == b""
        assert talk(Keep("k", b"", HOUR, "create")) is False

    def test_each_key_has_its_own(self, talk: Talk) -> None:
        keys = ["k", "K", "k:k", "k ", "kept", "q:k"]
        talk.push("k", b"a message")
        for key in keys:
            talk(Keep(key, key.encode(), HOUR))
        assert [talk(Recall(key)) for key in keys] == [key.encode() for key in keys]
        assert talk.payloads(talk.worker("w1", "k"), "k") == [b"a message"]

    def test_one_that_must_not_be_there_yet(self, talk: Talk, other: Talk) -> None:
        assert talk(Keep("k", b"first", HOUR, "create")) is True
        assert other(Keep("k", b"second", HOUR, "create")) is False
        assert talk(Recall("k")) == b"first"

    def test_one_that_must_be_there_still(self, talk: Talk, other: Talk) -> None:
        assert talk(Keep("k", b"1", HOUR, "exist")) is False
        assert talk(Recall("k")) is None
        talk(Keep("k", b"1", HOUR))
        assert talk(Keep("k", b"2", HOUR, "exist")) is True
        other(Drop("k"))
        assert talk(Keep("k", b"3", HOUR, "exist")) is False
        assert talk(Recall("k")) is None

    def test_several_in_one_round_trip(self, talk: Talk) -> None:
        answers = talk.link.perform(
            Recall("k"), Keep("k", b"1", HOUR, "create"), Recall("k", HOUR), Length("x"), Drop("k")
        )
        assert answers == [None, True, b"1", 0, True]

    @pytest.mark.asyncio
    async def test_from_an_event_loop(self, engine: Engine, talk: Talk) -> None:
        link = engine.alink("kept")
        assert await link.perform(Keep("k", b"1", HOUR)) == [True]
        assert await asyncio.to_thread(talk, Recall("k")) == b"1"
        assert await link.perform(Recall("k", HOUR), Drop("k"), Recall("k")) == [b"1", True, None]
        await link.aclose()


class TestDrop:
    def test_it_is_gone(self, talk: Talk) -> None:
        talk(Keep("k", b"1", HOUR))
        talk(Keep("l", b"2", HOUR))
        assert talk(Drop("k")) is True
        assert talk(Drop("k")) is False
        assert (talk(Recall("k")), talk(Recall("l"))) == (None, b"2")
        assert talk(Keep("k", b"3", HOUR, "create")) is True

    def test_a_flush_drops_all(self, talk: Talk) -> None:
        talk(Keep("k", b"1", HOUR))
        talk(Flush())
        assert talk(Recall("k")) is None
        assert talk(Keep("k", b"2", HOUR, "exist")) is False


class TestTime:
    def test_it_goes_when_its_time_is_over(self, talk: Talk) -> None:
        talk(Keep("k", b"1", SOON))
        talk(Keep("l", b"2", HOUR))
        gone(talk, "k")
        assert talk(Keep("k", b"3", HOUR, "exist")) is False
        assert talk(Drop("k")) is False
        assert talk(Keep("k", b"4", HOUR, "create")) is True
        assert talk(Recall("l")) == b"2"

    def test_recalling_it_gives_it_another(self, talk: Talk) -> None:
        for key in ("k", "l", "m"):
            talk(Keep(key, b"1", 2000))
        assert talk(Recall("k", HOUR)) == b"1"
        assert talk(Recall("l", SOON)) == b"1"
        assert talk(Recall("m")) == b"1"
        gone(talk, "l")
        gone(talk, "m")
        assert talk(Recall("k")) == b"1"

    def test_keeping_it_again_gives_it_another(self, talk: Talk) -> None:
        for key in ("k", "l"):
            talk(Keep(key, b"1", SOON))
        talk(Keep("k", b"2", HOUR))
        gone(talk, "l")
        assert talk(Recall("k")) == b"2"

    def test_recalling_what_is_not_there_makes_nothing(self, talk: Talk) -> None:
        assert talk(Recall("k", HOUR)) is None
        assert talk(Keep("k", b"1", HOUR, "exist")) is False


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
        assert other(Recall("k", HOUR)) == b"1"
        assert other(Keep("k", b"2", HOUR, "exist")) is True

    def test_it_outlives_the_interface_of_its_connection(self, talk: Talk) -> None:
        talk.interface("i1")
        talk(Keep("k", b"1", HOUR))
        talk.bury("i1")
        assert talk(Recall("k")) == b"1"
