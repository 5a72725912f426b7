"""A claim whose answer was lost, and what a worker says that it has."""

import time

import pytest

from djchan.layers.operations import Claim, Closing, Delay, Flush, Held, Outcome, Reap, Release
from tests.layers.talk import Talk, Waiting


class TestNextDue:
    """w1 waits until a delayed message is due; w2 is idle, and does not know of it."""

    @pytest.mark.parametrize("end", ["takes a message", "is closing", "dies", "says goodbye"])
    def test_another_is_woken_when_the_one_that_waits_for_it_does_not(
        self, talk: Talk, end: str
    ) -> None:
        talk.worker("w2", "y")
        assert talk.claim("w2", "y") == []
        talk.worker("w1", "x", "y")
        # Who is idle for "x" alone is rung for that.
        assert talk.claim("w1", "x") == []
        assert talk.send(Delay("x", b"later", 60_000)) == ("ok",)
        assert talk.claim("w1", "x", "y") == []
        if end == "takes a message":
            talk.push("x", b"now")
            assert talk.payloads("w1", "x", "y") == [b"now"]
        elif end == "is closing":
            talk(Closing("w1", ("w1-bell",)))
        else:
            assert talk(Reap("w1", 0 if end == "dies" else None)) is True
        with Waiting(talk.engine, "w2-bell"):
            pass


class TestAgain:
    def test_a_lost_answer_is_given_again(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.push("x", b"1", b"2", b"3")
        lost = talk.claim("w1", "x", count=2, link="lane", number=1)
        for _ in range(2):
            again = talk.claim("w1", "x", count=2, link="lane", number=1, again=True)
            assert again == lost
        assert talk.length("x") == 1
        assert talk.payloads("w1", "x", link="lane", number=2) == [b"3"]

    def test_what_has_ended_since_is_not_in_it(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.push("x", b"1", b"2", b"3")
        first, second, third = talk.claim("w1", "x", link="lane", number=1)
        talk.commit("w1", Outcome(second.token))
        again = talk.claim("w1", "x", link="lane", number=1, again=True)
        assert again == [first, third]

    def test_one_that_was_not_applied_is_applied(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.push("x", b"1")
        assert talk.payloads("w1", "x", link="lane", number=1, again=True) == [b"1"]
        talk.push("x", b"2")
        assert talk.payloads("w1", "x", link="lane", number=2, again=True) == [b"2"]

    def test_one_that_found_nothing_looks_again(self, talk: Talk) -> None:
        talk.worker("w1")
        assert talk.claim("w1", "x", link="lane", number=1) == []
        talk.push("x", b"1")
        assert talk.payloads("w1", "x", link="lane", number=1, again=True) == [b"1"]

    def test_nothing_else_is_leased_though_all_of_it_was_given_back(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.push("x", b"1", b"2")
        (first,) = talk.claim("w1", "x", count=1, link="lane", number=1)
        talk(Release("w1", (first.token,)))
        assert talk.claim("w1", "x", link="lane", number=1, again=True) == []
        assert talk.length("x") == 2
        # Nobody looked whether something waits, so it does not sleep now.
        with Waiting(talk.engine, "w1-bell"):
            pass
        assert talk.payloads("w1", "x", link="lane", number=2) == [b"1", b"2"]

    def test_an_older_number_has_nothing(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.push("x", b"1", b"2", b"3")
        assert talk.payloads("w1", "x", count=1, link="lane", number=1) == [b"1"]
        assert talk.payloads("w1", "x", count=1, link="lane", number=2) == [b"2"]
        assert talk.claim("w1", "x", link="lane", number=1, again=True) == []
        assert talk.length("x") == 1

    def test_each_link_has_its_own_numbers(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.worker("w2")
        talk.push("x", b"1", b"2", b"3")
        assert talk.payloads("w1", "x", count=1, link="a", number=1) == [b"1"]
        assert talk.payloads("w1", "x", count=1, link="b", number=1, again=True) == [b"2"]
        assert talk.payloads("w2", "x", count=1, link="a", number=1, again=True) == [b"3"]

    def test_a_suspect_is_given_again_and_is_still_the_only_one(self, talk: Talk) -> None:
        talk.crash("x", b"s1", b"s2")
        talk.worker("w1")
        assert talk.payloads("w1", "x", link="lane", number=1) == [b"s1"]
        assert talk.payloads("w1", "x", link="lane", number=1, again=True) == [b"s1"]
        assert talk.claim("w1", "x", link="lane", number=2) == []

    def test_a_worker_that_was_buried_meanwhile(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.push("x", b"1")
        assert talk.payloads("w1", "x", link="lane", number=1) == [b"1"]
        talk.bury("w1")
        claimed = talk.claimed("w1", "x", link="lane", number=1, again=True)
        assert (claimed.known, claimed.deliveries) == (False, ())


class TestTokens:
    def test_they_are_above_what_the_worker_knows(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.push("x", b"1", b"2", b"3")
        far = int(time.time() * 1_000_000) + 3_600_000_000
        (first,) = talk.claim("w1", "x", count=1, above=far)
        (second,) = talk.claim("w1", "x", count=1)
        assert far < first.token < second.token
        (third,) = talk.claim("w1", "x", count=1, above=5)
        assert second.token < third.token

    def test_those_of_a_new_history_are_above_those_of_the_old_one(self, talk: Talk) -> None:
        talk.worker("w1")
        old = talk.lease("w1", "x")
        talk(Flush())
        talk.worker("w1")
        assert talk.lease("w1", "x") > old


class TestHeld:
    def test_what_it_does_not_know_goes_back(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.push("x", b"1", b"2", b"3", b"4")
        first, second, third = talk.claim("w1", "x", count=3, link="lane", number=1)
        assert talk(Held("w1", (second.token,), (("lane", 1),))) == 2
        assert talk(Held("w1", (second.token,), (("lane", 1),))) == 0
        assert talk.commit("w1", Outcome(first.token), Outcome(second.token)) == ["fenced", "done"]
        back = talk.claim("w1", "x")
        assert [(each.payload, each.attempt) for each in back] == [(b"1", 1), (b"3", 1), (b"4", 1)]
        assert not {each.token for each in back} & {first.token, third.token}

    def test_what_it_knows_and_does_not_have_is_not_given(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.worker("w2")
        token = talk.lease("w2", "x")
        assert talk(Held("w1", (token, 1, 2), ())) == 0
        assert talk.commit("w1", Outcome(token)) == ["fenced"]
        assert talk.commit("w2", Outcome(token)) == ["done"]

    def test_an_answer_that_is_on_the_way_is_left_alone(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.push("x", b"1", b"2", b"3")
        (first,) = talk.claim("w1", "x", count=1, link="a", number=1)
        (second,) = talk.claim("w1", "x", count=1, link="a", number=2)
        (third,) = talk.claim("w1", "x", count=1, link="b", number=1)
        # Link a has seen the answer to 1, link b none at all.
        assert talk(Held("w1", (), (("a", 1),))) == 1
        results = talk.commit("w1", *(Outcome(each.token) for each in (first, second, third)))
        assert results == ["fenced", "done", "done"]

    def test_an_answer_that_was_seen_is_not_on_the_way(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.push("x", b"1", b"2")
        talk.claim("w1", "x", count=1, link="a", number=7)
        talk.claim("w1", "x", count=1, link="b", number=1)
        assert talk(Held("w1", (), (("a", 7), ("b", 2), ("c", 9)))) == 2
        assert talk.length("x") == 2

    def test_who_has_claimed_twice_since_has_to_tell_it_again(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.push("x", b"1", b"2", b"3")
        for number in (1, 2, 3):
            talk.claim("w1", "x", count=1, link="a", number=number)
        assert talk(Held("w1", (), (("a", 1),))) == -1
        assert talk.length("x") == 0
        assert talk(Held("w1", (), (("a", 3),))) == 3

    def test_who_is_not_known_is_told(self, talk: Talk) -> None:
        assert talk(Held("w1", (), ())) is None
        talk.worker("w1")
        assert talk(Held("w1", (), ())) == 0
        talk.bury("w1")
        assert talk(Held("w1", (), ())) is None

    def test_others_keep_theirs(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.worker("w2")
        token = talk.lease("w2", "x")
        assert talk(Held("w1", (), ())) == 0
        assert talk.commit("w2", Outcome(token)) == ["done"]

    def test_it_rings(self, talk: Talk) -> None:
        talk.worker("w1", "x")
        talk.worker("w2", "x")
        talk.lease("w1", "x")
        assert talk.claim("w2", "x") == []
        with Waiting(talk.engine, "w2-bell"):
            assert talk(Held("w1", (), ())) == 1

    def test_a_worker_that_is_closing_says_it_too(self, talk: Talk) -> None:
        talk.worker("w1", "x")
        talk.lease("w1", "x", b"1")
        talk(Closing("w1", ()))
        assert talk(Held("w1", (), ())) == 1
        assert talk.payloads(talk.worker("w2"), "x") == [b"1"]

    def test_of_several_channels_each_gets_its_own(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.push("x", b"x1", b"x2")
        talk.push("y", b"y1", b"y2")
        assert len(talk.claim("w1", "x", "y")) == 4
        assert talk(Held("w1", (), ())) == 4
        assert talk.payloads("w1", "y", "x") == [b"y1", b"y2", b"x1", b"x2"]


def test_the_channels_of_a_repeated_claim_may_have_turned(talk: Talk) -> None:
    talk.worker("w1")
    talk.push("x", b"1")
    (lost,) = talk.link.perform(Claim("w1", "w1-bell", ("x", "y"), 5, "lane", 1))
    (again,) = talk.link.perform(Claim("w1", "w1-bell", ("y", "x"), 5, "lane", 1, True))
    assert again.deliveries == lost.deliveries != ()
