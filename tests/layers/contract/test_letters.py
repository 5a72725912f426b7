"""Dead letters: listed without being lost, sent again once, deleted once."""

import time

import pytest

from djchan.layers.operations import (
    STARTED,
    Counters,
    DeadChannels,
    DeadLetter,
    DeadLetters,
    Discard,
    Flush,
    GiveUp,
    Outcome,
    Part,
    Push,
    Redrive,
)
from tests.layers.talk import Talk, Waiting


def bury(talk: Talk, channel: str, *payloads: bytes, reason: str = "poison") -> list[DeadLetter]:
    """Make these dead letters of the channel; all that it has, newest first."""
    talk.worker("undertaker")
    for payload in payloads:
        token = talk.lease("undertaker", channel, payload)
        assert talk(GiveUp("undertaker", token, reason, True)) == "done"
    return list(talk(DeadLetters(channel)))


class TestList:
    def test_what_is_told_of_one(self, talk: Talk) -> None:
        (letter,) = bury(talk, "x", b"1\0\xff", reason="stuck")
        assert letter[1:2] == ("stuck",)
        assert abs(letter.at - time.time() * 1000) < 60_000
        assert (letter.attempt, letter.done, letter.payload) == (1, 0, b"1\0\xff")

    def test_attempts_and_what_was_done(self, talk: Talk) -> None:
        talk.interface("i1")
        talk.crash("x", b"suspect")
        talk.worker("w1")
        (suspect,) = talk.claim("w1", "x")
        talk.commit("w1", Outcome(suspect.token, progress=3))
        talk(GiveUp("w1", suspect.token, "poison", True))
        begun = talk.lease("w1", "x", b"begun")
        talk(Part("w1", begun, "i1", "c1", b"part"))
        talk(GiveUp("w1", begun, "lost", True))
        letters = talk(DeadLetters("x"))
        assert [(each.payload, each.attempt, each.done) for each in letters] == [
            (b"begun", 1, STARTED),
            (b"suspect", 2, 3),
        ]

    def test_ids_are_of_one_letter_each(self, talk: Talk) -> None:
        letters = bury(talk, "x", *(b"%d" % n for n in range(20)))
        assert len({each.id for each in letters}) == 20

    def test_those_before_one(self, talk: Talk) -> None:
        letters = bury(talk, "x", *(b"%d" % n for n in range(5)))
        page = talk(DeadLetters("x", 2))
        assert page == letters[:2]
        page = talk(DeadLetters("x", 2, page[-1].id))
        assert page == letters[2:4]
        # Also when that one has gone meanwhile.
        assert talk(Discard("x", page[-1].id)) is True
        assert talk(DeadLetters("x", 2, page[-1].id)) == letters[4:]
        assert talk(DeadLetters("x", 2, letters[-1].id)) == []

    def test_looking_loses_nothing(self, talk: Talk) -> None:
        letters = bury(talk, "x", b"1", b"2")
        for _ in range(3):
            assert talk(DeadLetters("x", 1)) == letters[:1]
        assert talk(DeadLetters("x")) == letters
        assert talk.length("x") == 0

    @pytest.mark.timeout(60)
    def test_a_thousand_are_kept(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.push("x", *[b"%d" % n for n in range(1003)])
        deliveries = talk.claim("w1", "x", count=1003)
        talk.link.perform(*[GiveUp("w1", each.token, "poison", True) for each in deliveries])
        letters = talk(DeadLetters("x", 2000))
        assert [each.payload for each in letters] == [b"%d" % n for n in range(1002, 2, -1)]
        assert talk(DeadChannels()) == {"x": 1000}
        # They are in the order of their ids.
        assert talk(DeadLetters("x", 5, letters[-3].id)) == letters[-2:]


class TestChannels:
    def test_those_that_have_some(self, talk: Talk) -> None:
        assert talk(DeadChannels()) == {}
        bury(talk, "x", b"1", b"2")
        (letter,) = bury(talk, "y", b"3")
        assert talk(DeadChannels()) == {"x": 2, "y": 1}
        talk(Discard("y", letter.id))
        assert talk(DeadChannels()) == {"x": 2}

    def test_a_flush_empties_them(self, talk: Talk) -> None:
        bury(talk, "x", b"1")
        talk(Flush())
        assert talk(DeadChannels()) == {}
        assert talk(DeadLetters("x")) == []

    def test_one_that_is_not_buried_is_in_none(self, talk: Talk) -> None:
        token = talk.lease(talk.worker("w1"), "x")
        assert talk(GiveUp("w1", token, "unrouted", False)) == "done"
        assert talk(DeadChannels()) == {}


class TestRedrive:
    def test_it_is_queued_afresh(self, talk: Talk) -> None:
        for name in ("w1", "w2"):
            talk.worker(name)
        talk.crash("x", b"poison")
        (suspect,) = talk.claim("w1", "x")
        talk.commit("w1", Outcome(suspect.token, progress=2))
        talk(GiveUp("w1", suspect.token, "poison", True))
        (letter,) = talk(DeadLetters("x"))
        assert talk(Redrive("x", letter.id, b"mended")) is True
        assert talk.length("x") == 1
        assert [each[1:5] for each in talk.claim("w2", "x")] == [(1, 0, "x", b"mended")]
        assert talk(DeadLetters("x")) == []

    def test_it_happens_once(self, talk: Talk) -> None:
        (letter,) = bury(talk, "x", b"1")
        assert talk(Redrive("x", letter.id, b"1")) is True
        assert talk(Redrive("x", letter.id, b"1")) is False
        assert talk(Discard("x", letter.id)) is False
        assert talk.length("x") == 1

    def test_no_other_one_is_touched(self, talk: Talk) -> None:
        third, second, first = bury(talk, "x", b"1", b"2", b"3")
        assert talk(Redrive("y", second.id, b"2")) is False
        assert talk(Redrive("x", second.id, b"2")) is True
        assert talk(DeadLetters("x")) == [third, first]
        assert (talk.length("x"), talk.length("y")) == (1, 0)

    def test_it_is_the_last_of_its_channel_and_meets_no_capacity(self, talk: Talk) -> None:
        (letter,) = bury(talk, "x", b"dead")
        talk.push("x", b"1", b"2")
        assert talk(Redrive("x", letter.id, b"dead")) is True
        assert talk.payloads("undertaker", "x") == [b"1", b"2", b"dead"]

    def test_it_does_not_expire(self, talk: Talk) -> None:
        talk.send(Push("x", b"old", 1, expires=1))
        talk.send(Push("x", b"new", 1))
        (letter,) = talk(DeadLetters("x"))
        assert (letter.reason, letter.payload) == ("expired", b"old")
        talk.payloads(talk.worker("w1"), "x")
        talk(Redrive("x", letter.id, b"old"))
        assert talk.send(Push("x", b"newer", 1)) == ("full",)
        assert talk.payloads("w1", "x") == [b"old"]

    def test_it_rings(self, talk: Talk) -> None:
        (letter,) = bury(talk, "x", b"1")
        talk.worker("w1", "x")
        assert talk.claim("w1", "x") == []
        with Waiting(talk.engine, "w1-bell"):
            talk(Redrive("x", letter.id, b"1"))

    def test_it_may_die_again(self, talk: Talk) -> None:
        (letter,) = bury(talk, "x", b"1")
        talk(Redrive("x", letter.id, b"1"))
        (again,) = talk.claim("undertaker", "x")
        assert talk(GiveUp("undertaker", again.token, "poison", True)) == "done"
        (second,) = talk(DeadLetters("x"))
        assert second.id != letter.id
        assert talk(Counters())["dead:x"] == 2


class TestDiscard:
    def test_it_is_gone(self, talk: Talk) -> None:
        second, first = bury(talk, "x", b"1", b"2")
        assert talk(Discard("x", first.id)) is True
        assert talk(Discard("x", first.id)) is False
        assert talk(DeadLetters("x")) == [second]
        assert talk(Redrive("x", first.id, b"1")) is False
        assert talk.length("x") == 0

    def test_of_a_channel_that_has_none(self, talk: Talk) -> None:
        assert talk(Discard("x", "1-0")) is False
        assert talk(Redrive("x", "1-0", b"")) is False
