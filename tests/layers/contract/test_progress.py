"""Frames of a delivery that are done while it still runs."""

from djchan.layers.operations import (
    STARTED,
    Address,
    Commit,
    GiveUp,
    Later,
    Outcome,
    Part,
    Push,
    Release,
    Send,
    Tell,
)
from tests.layers.talk import Talk


def part(token: int, done: int, *effects: Push | Tell, seq: int = 1) -> Outcome:
    return Outcome(token, effects, Address("i1", "c1", seq), progress=done)


class TestProgress:
    def test_the_effects_are_there_and_the_lease_goes_on(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        token = talk.lease("w1", "x")
        assert talk.commit("w1", part(token, 1, Push("y", b"1"), Tell("i1", b"one"))) == ["done"]
        assert (talk.length("y"), talk.entries("i1")) == (1, [b"one"])
        assert talk.claim("w1", "x") == []
        assert talk.commit("w1", part(token, 2, Push("y", b"2"))) == ["done"]
        last = Outcome(token, (Push("y", b"3"),), Address("i1", "c1", 1), b"done")
        assert talk.commit("w1", last) == ["done"]
        assert talk.payloads("w1", "y") == [b"1", b"2", b"3"]
        assert talk.entries("i1") == [b"one", b"done"]

    def test_it_raises_no_floor_and_answers_nothing(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        token = talk.lease("w1", "x")
        assert talk.commit("w1", part(token, 1)._replace(answer=b"not yet")) == ["done"]
        assert talk.entries("i1") == []
        assert talk.answer("w1", "z", Address("i1", "c1", 1)) == "done"

    def test_a_plain_delivery_has_it_too(self, talk: Talk) -> None:
        talk.worker("w1")
        token = talk.lease("w1", "x")
        assert talk.commit("w1", Outcome(token, (Push("y", b""),), progress=3)) == ["done"]
        assert talk.commit("w1", Outcome(token)) == ["done"]
        assert talk.length("y") == 1

    def test_the_effects_are_there_once(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        commit = Commit("w1", "commits", 1, (part(talk.lease("w1", "x"), 1, Push("y", b"")),))
        assert list(talk(commit)) == ["done"]
        assert list(talk(commit)) == ["already"]
        assert talk.length("y") == 1

    def test_the_next_worker_begins_where_it_ended(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.worker("w2")
        talk.interface("i1")
        token = talk.lease("w1", "x", b"all frames")
        talk.commit("w1", part(token, 2))
        talk.bury("w1")
        assert [each[1:] for each in talk.claim("w2", "x")] == [(2, 2, "x", b"all frames")]

    def test_what_is_given_back_keeps_it(self, talk: Talk) -> None:
        talk.worker("w1")
        token = talk.lease("w1", "x", b"all frames")
        talk.commit("w1", Outcome(token, progress=2))
        talk(Release("w1", (token,)))
        assert [each[1:] for each in talk.claim("w1", "x")] == [(1, 2, "x", b"all frames")]

    def test_its_crashes_so_far_count_as_one(self, talk: Talk) -> None:
        """A poison among good frames costs three crashes, however many there were before."""
        talk.push("x", b"frames")
        for name, attempt in [("w1", 1), ("w2", 2), ("w3", 3)]:
            talk.worker(name)
            (leased,) = talk.claim(name, "x")
            assert leased.attempt == attempt
            if name == "w3":
                assert talk.commit(name, Outcome(leased.token, progress=1)) == ["done"]
            talk.bury(name)
        talk.worker("w4")
        (leased,) = talk.claim("w4", "x")
        assert (leased.attempt, leased.done) == (3, 1)

    def test_the_first_run_stays_the_first(self, talk: Talk) -> None:
        talk.worker("w1")
        token = talk.lease("w1", "x")
        talk.commit("w1", Outcome(token, progress=1))
        talk(Release("w1", (token,)))
        (again,) = talk.claim("w1", "x")
        assert again.attempt == 1

    def test_a_suspect_stays_one(self, talk: Talk) -> None:
        talk.crash("x", b"s1", b"s2")
        talk.worker("w1")
        (first,) = talk.claim("w1", "x")
        talk.commit("w1", Outcome(first.token, progress=1))
        assert talk.claim("w1", "x") == []
        talk.commit("w1", Outcome(first.token))
        assert talk.payloads("w1", "x") == [b"s2"]

    def test_a_lost_lease_has_none(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.worker("w2")
        talk.interface("i1")
        token = talk.lease("w1", "x")
        assert talk.commit("w2", part(token, 1, Push("y", b""))) == ["fenced"]
        talk.bury("w1")
        assert talk.commit("w1", part(token, 1, Push("y", b""))) == ["fenced"]
        assert talk.length("y") == 0
        assert [each.done for each in talk.claim("w2", "x")] == [0]

    def test_what_was_answered_has_none_and_is_over(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        assert talk.answer("w1", "x", Address("i1", "c1", 1)) == "done"
        token = talk.lease("w1", "x")
        assert talk.commit("w1", part(token, 1, Push("y", b""))) == ["superseded"]
        assert talk.length("y") == 0
        assert talk.commit("w1", part(token, 2, Push("y", b""))) == ["fenced"]
        talk.bury("w1")
        assert talk.length("x") == 0

    def test_an_interface_that_is_gone_is_no_hindrance(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        talk.send(Push("websocket.receive", b"", owner=("i1", "c1")))
        token = talk.claim("w1", "websocket.receive")[0].token
        talk.bury("i1")
        assert talk.commit("w1", part(token, 1, Tell("i1", b""), Push("y", b""))) == ["done"]
        assert talk.commit("w1", part(token, 2)._replace(progress=0)) == ["done"]
        assert talk.length("y") == 1

    def test_a_response_that_has_begun_stays_marked(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        token = talk.lease("w1", "http.request")
        talk(Part("w1", token, "i1", "c1", b"part"))
        talk.commit("w1", part(token, 1))
        talk.bury("w1")
        assert [each.done for each in talk.claim(talk.worker("w2"), "http.request")] == [STARTED]

    def test_the_rest_may_be_put_off(self, talk: Talk) -> None:
        talk.worker("w1")
        token = talk.lease("w1", "x", b"12345")
        talk.commit("w1", Outcome(token, progress=2))
        talk.commit("w1", Outcome(token, later=Later(0, 3, b"45")))
        assert [each[1:] for each in talk.claim("w1", "x")] == [(1, 3, "x", b"45")]

    def test_the_rest_may_be_given_up(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        token = talk.lease("w1", "x")
        talk.commit("w1", part(token, 2))
        give_up = GiveUp("w1", token, "poison", True, Address("i1", "c1", 1), b"poison")
        assert talk(give_up) == "done"
        assert talk.entries("i1") == [b"poison"]

    def test_it_is_sent_from_while_it_goes_on(self, talk: Talk) -> None:
        talk.worker("w1")
        token = talk.lease("w1", "x")
        talk.commit("w1", Outcome(token, progress=1))
        sent = talk(Send("", 0, (Push("y", b""),), fence=("w1", token)))
        assert sent.results == ("ok",)
