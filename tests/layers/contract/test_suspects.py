"""What was leased to a worker that died: a worker has one of them at a time."""

from collections.abc import Callable

import pytest

from djchan.layers.operations import (
    Commit,
    Delay,
    GiveUp,
    Held,
    Later,
    Operation,
    Outcome,
    Pop,
    Push,
    Reap,
    Release,
)
from tests.layers.talk import Talk, Waiting
from tests.support.waiting import wait_for

ENDS: dict[str, Callable[[int], Operation]] = {
    "commit": lambda token: Commit("w1", "end", 1, (Outcome(token),)),
    "give-up": lambda token: GiveUp("w1", token, "poison", True),
    "later": lambda token: Commit(
        "w1", "end", 1, (Outcome(token, later=Later(3_600_000, 0, b"", "x")),)
    ),
}

BACK: dict[str, Callable[[int], Operation]] = {
    "release": lambda token: Release("w1", (token,)),
    "held": lambda token: Held("w1", (), ()),
    "goodbye": lambda token: Reap("w1", None),
}


class TestOneAtATime:
    def test_a_claim_takes_one_and_what_is_none(self, talk: Talk) -> None:
        talk.crash("x", b"s1", b"s2")
        talk.push("x", b"1", b"2")
        talk.worker("w1")
        claimed = talk.claim("w1", "x")
        assert [(each.payload, each.attempt) for each in claimed] == [
            (b"s1", 2),
            (b"1", 1),
            (b"2", 1),
        ]
        assert talk.claim("w1", "x") == []
        assert talk.length("x") == 1

    def test_it_is_one_of_those_that_are_wanted(self, talk: Talk) -> None:
        talk.crash("x", b"s1")
        talk.push("x", b"1", b"2")
        talk.worker("w1")
        assert talk.payloads("w1", "x", count=1) == [b"s1"]
        assert talk.payloads("w1", "x", count=1) == [b"1"]

    def test_it_comes_first_though_its_channel_is_the_last(self, talk: Talk) -> None:
        talk.crash("y", b"s")
        talk.push("x", b"1")
        talk.worker("w1")
        assert talk.payloads("w1", "x", "y", count=1) == [b"s"]

    def test_that_of_another_channel_is_not_for_us(self, talk: Talk) -> None:
        talk.crash("y", b"s")
        talk.worker("w1")
        assert talk.payloads("w1", "x") == []
        assert talk.payloads("w1", "x", "y") == [b"s"]

    def test_every_worker_has_one(self, talk: Talk) -> None:
        talk.crash("x", b"s1", b"s2", b"s3")
        got = [talk.payloads(talk.worker(name), "x") for name in ("w1", "w2")]
        assert got == [[b"s1"], [b"s2"]]

    @pytest.mark.parametrize("ending", ENDS.values(), ids=ENDS)
    def test_when_it_has_ended_the_next_one_is_taken(
        self, talk: Talk, ending: Callable[[int], Operation]
    ) -> None:
        talk.crash("x", b"s1", b"s2")
        talk.worker("w1")
        (first,) = talk.claim("w1", "x")
        talk(ending(first.token))
        assert talk.payloads("w1", "x") == [b"s2"]

    @pytest.mark.parametrize("giving", BACK.values(), ids=BACK)
    def test_what_is_given_back_keeps_its_mark_and_its_place(
        self, talk: Talk, giving: Callable[[int], Operation]
    ) -> None:
        talk.crash("x", b"s1", b"s2")
        talk.push("x", b"1")
        talk.worker("w1")
        (first,) = talk.claim("w1", "x", count=1)
        talk(giving(first.token))
        talk.worker("w2")
        (again, other) = talk.claim("w2", "x")
        assert (again.payload, again.attempt) == (b"s1", 2)
        assert (other.payload, other.attempt) == (b"1", 1)

    def test_one_that_was_put_off_is_still_one(self, talk: Talk) -> None:
        talk.crash("x", b"s1", b"s2")
        talk.worker("w1")
        (first,) = talk.claim("w1", "x")
        talk.commit("w1", Outcome(first.token, later=Later(0, 1, b"rest", "x")))
        (rest,) = talk.claim("w1", "x")
        assert rest[1:5] == (2, 1, "x", b"rest")
        assert talk.claim("w1", "x") == []
        talk.commit("w1", Outcome(rest.token))
        assert talk.payloads("w1", "x") == [b"s2"]

    def test_a_lease_that_is_not_the_suspect_makes_no_room(self, talk: Talk) -> None:
        talk.crash("x", b"s1", b"s2")
        talk.push("x", b"1")
        talk.worker("w1")
        (_, plain) = talk.claim("w1", "x")
        talk.commit("w1", Outcome(plain.token))
        assert talk.claim("w1", "x") == []


class TestCharges:
    def test_every_lease_of_the_dead_becomes_one(self, talk: Talk) -> None:
        talk.push("x", b"1", b"2", b"3")
        talk.worker("w1")
        talk.claim("w1", "x")
        talk.bury("w1")
        talk.worker("w2")
        got = []
        for _ in range(3):
            (each,) = talk.claim("w2", "x")
            got.append((each.payload, each.attempt))
            talk.commit("w2", Outcome(each.token))
        assert got == [(b"1", 2), (b"2", 2), (b"3", 2)]

    def test_a_second_death_is_charged_to_the_one_it_had(self, talk: Talk) -> None:
        """A poison in front of good ones: each crash costs only the poison an attempt."""
        talk.push("x", b"poison", *(b"%d" % n for n in range(5)))
        attempts: dict[bytes, int] = {}
        for name in ("w1", "w2", "w3"):
            talk.worker(name)
            claimed = talk.claim(name, "x")
            attempts.update((each.payload, each.attempt) for each in claimed)
            talk.bury(name)
        assert attempts == {b"poison": 3, **{b"%d" % n: 1 for n in range(5)}}
        talk.worker("w4")
        (last,) = talk.claim("w4", "x")
        assert (last.payload, last.attempt) == (b"poison", 4)
        talk(GiveUp("w4", last.token, "poison", True))
        for n in range(5):
            (each,) = talk.claim("w4", "x")
            assert (each.payload, each.attempt) == (b"%d" % n, 2)
            talk.commit("w4", Outcome(each.token))

    def test_a_goodbye_charges_nobody(self, talk: Talk) -> None:
        talk.crash("x", b"s")
        talk.push("x", b"1")
        talk.worker("w1")
        assert len(talk.claim("w1", "x")) == 2
        talk(Reap("w1", None))
        talk.worker("w2")
        assert [each.attempt for each in talk.claim("w2", "x")] == [2, 1]

    def test_they_count_as_waiting(self, talk: Talk) -> None:
        talk.crash("x", b"s1", b"s2")
        assert talk.length("x") == 2
        assert talk.send(Push("x", b"", 2)) == ("full",)
        talk.worker("w1")
        talk.claim("w1", "x")
        assert talk.length("x") == 1
        assert talk.send(Push("x", b"", 2)) == ("ok",)

    def test_they_do_not_expire(self, talk: Talk) -> None:
        talk.send(Push("x", b"old", 1, expires=1))
        talk.worker("w1")
        assert len(talk.claim("w1", "x")) == 1
        talk.bury("w1")
        assert talk.send(Push("x", b"new", 1)) == ("full",)

    def test_a_pop_takes_them_too(self, talk: Talk) -> None:
        talk.crash("x", b"s")
        assert talk(Pop(("x",))) == ("x", b"s")
        assert talk(Pop(("x",))) is None
        assert talk.length("x") == 0


class TestBells:
    def test_a_death_rings_for_its_suspects(self, talk: Talk) -> None:
        talk.worker("w1", "x")
        talk.worker("w2", "x")
        talk.lease("w1", "x")
        assert talk.claim("w2", "x") == []
        with Waiting(talk.engine, "w2-bell"):
            talk.bury("w1")

    def test_who_has_one_does_not_take_the_ring_of_who_has_none(self, talk: Talk) -> None:
        talk.crash("x", *(b"s%d" % n for n in range(4)))
        talk.lease(talk.worker("dying"), "y", b"s")
        busy = [talk.worker(f"busy{n}", "x", "y") for n in range(4)]
        talk.worker("w1", "x", "y")
        for name in busy:
            assert len(talk.claim(name, "x", "y")) == 1
            assert talk.claim(name, "x", "y") == []
        assert talk.claim("w1", "y") == []
        with Waiting(talk.engine, "w1-bell"):
            talk.bury("dying")
        assert talk.payloads("w1", "y") == [b"s"]

    @pytest.mark.parametrize("ending", ENDS.values(), ids=ENDS)
    def test_an_end_rings_for_those_that_remain(
        self, talk: Talk, ending: Callable[[int], Operation]
    ) -> None:
        talk.crash("x", b"s1", b"s2")
        talk.worker("w1", "x")
        (first,) = talk.claim("w1", "x")
        assert talk.claim("w1", "x") == []
        with Waiting(talk.engine, "w1-bell"):
            talk(ending(first.token))
        assert talk.payloads("w1", "x") == [b"s2"]

    def test_one_that_becomes_due_is_taken_alone(self, talk: Talk) -> None:
        talk.crash("x", b"s1")
        talk.worker("w1")
        (first,) = talk.claim("w1", "x")
        talk.commit("w1", Outcome(first.token, later=Later(1, 0, b"s1", "x")))
        talk.crash("y", b"s2")
        assert talk.payloads("w1", "y") == [b"s2"]
        talk.send(Delay("x", b"plain", 1))
        wait_for(lambda: talk.payloads("w1", "x") == [b"plain"], timeout=5, what="it is due")
        assert talk.length("x") == 1
