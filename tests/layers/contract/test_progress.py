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
    Resume,
    Send,
    Tell,
)
from tests.layers.talk import Talk

ADDRESS = Address("i1", "c1", 1)


def part(token: int, done: int, *effects: Push | Tell, since: int = 0) -> Outcome:
    """The frames from ``since`` up to ``done``."""
    return Outcome(token, effects, ADDRESS, b"so far %d" % done, progress=done, since=since)


def end(token: int, *effects: Push, since: int = 0) -> Outcome:
    return Outcome(token, effects, ADDRESS, b"end", since=since)


class TestProgress:
    def test_the_effects_are_there_and_the_lease_goes_on(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        token = talk.lease("w1", "x")
        assert talk.commit("w1", part(token, 1, Push("y", b"1"), Tell("i1", b"one"))) == ["done"]
        assert (talk.length("y"), talk.entries("i1")) == (1, [b"one", b"so far 1"])
        assert talk.claim("w1", "x") == []
        assert talk.commit("w1", part(token, 2, Push("y", b"2"), since=1)) == ["done"]
        assert talk.commit("w1", end(token, Push("y", b"3"), since=2)) == ["done"]
        assert talk.payloads("w1", "y") == [b"1", b"2", b"3"]
        assert talk.entries("i1") == [b"one", b"so far 1", b"so far 2", b"end"]

    def test_put_back_without_a_delay_the_rest_waits_at_the_head_at_once(self, talk: Talk) -> None:
        talk.worker("w1", "x")
        talk.interface("i1")
        talk.push("x", b"first", b"second")
        first, _ = talk.claim("w1", "x")
        talk.push("x", b"third")
        later = Later(0, 1, b"the rest", "x")
        outcome = Outcome(first.token, (Push("y", b"1"),), ADDRESS, b"so far 1", later)
        assert talk.commit("w1", outcome) == ["done"]
        assert (talk.length("x"), talk.length("y"), talk.entries("i1")) == (2, 1, [b"so far 1"])
        again, third = talk.claim("w1", "x")
        assert (again.payload, again.done, again.attempt) == (b"the rest", 1, 1)
        assert third.payload == b"third"

    def test_a_plain_delivery_has_it_too(self, talk: Talk) -> None:
        talk.worker("w1")
        token = talk.lease("w1", "x")
        assert talk.commit("w1", Outcome(token, (Push("y", b""),), progress=3)) == ["done"]
        assert talk.commit("w1", Outcome(token, since=3)) == ["done"]
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
        assert [each[1:5] for each in talk.claim("w2", "x")] == [(2, 2, "x", b"all frames")]

    def test_what_is_given_back_keeps_it(self, talk: Talk) -> None:
        talk.worker("w1")
        token = talk.lease("w1", "x", b"all frames")
        talk.commit("w1", Outcome(token, progress=2))
        talk(Release("w1", (token,)))
        assert [each[1:5] for each in talk.claim("w1", "x")] == [(1, 2, "x", b"all frames")]

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
        assert talk.commit("w1", end(token, since=1)) == ["done"]
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
        talk.commit("w1", Outcome(token, later=Later(0, 3, b"45", "x"), since=2))
        assert [each[1:5] for each in talk.claim("w1", "x")] == [(1, 3, "x", b"45")]

    def test_the_rest_may_be_given_up(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        token = talk.lease("w1", "x")
        talk.commit("w1", part(token, 2))
        give_up = GiveUp("w1", token, "poison", True, ADDRESS, b"poison", 2)
        assert talk(give_up) == "done"
        assert talk.entries("i1") == [b"so far 2", b"poison"]

    def test_it_is_sent_from_while_it_goes_on(self, talk: Talk) -> None:
        talk.worker("w1")
        token = talk.lease("w1", "x")
        talk.commit("w1", Outcome(token, progress=1))
        sent = talk(Send("", 0, (Push("y", b""),), fence=("w1", token)))
        assert sent.results == ("ok",)


class TestFloor:
    """Of a delivery of which there are two copies, each frame is committed once."""

    def test_a_copy_that_is_behind_is_superseded(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        ahead, behind = talk.lease("w1", "x", b"frames"), talk.lease("w1", "x", b"frames")
        talk.commit("w1", part(ahead, 2))
        assert talk.commit("w1", part(behind, 1, Push("y", b""))) == ["superseded"]
        assert talk.commit("w1", end(behind, Push("y", b""))) == ["fenced"]
        assert talk.commit("w1", end(ahead, Push("y", b"rest"), since=2)) == ["done"]
        assert talk.payloads("w1", "y") == [b"rest"]
        assert talk.claim("w1", "x") == []

    def test_its_end_is_too_and_it_cannot_be_given_up(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        ahead, *behind = [talk.lease("w1", "x", b"frames") for _ in range(3)]
        talk.commit("w1", part(ahead, 2))
        assert talk.commit("w1", end(behind[0], Push("y", b""))) == ["superseded"]
        give_up = GiveUp("w1", behind[1], "poison", True, ADDRESS, b"poison")
        assert talk(give_up) == "superseded"
        assert talk.entries("i1") == [b"so far 2"]
        assert (talk.length("x"), talk.length("y")) == (0, 0)

    def test_a_copy_that_begins_there_goes_on(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        talk.commit("w1", part(talk.lease("w1", "x"), 2))
        talk.send(Push("x", b"frames", frames=3, done=2, owner=("i1", "c1")))
        (copy,) = talk.claim("w1", "x")
        assert copy.done == 2
        assert talk.commit("w1", end(copy.token, Push("y", b""), since=2)) == ["done"]
        assert talk.length("y") == 1

    def test_a_put_off_raises_it(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        token, copy = talk.lease("w1", "x"), talk.lease("w1", "x")
        later = Outcome(token, (), ADDRESS, b"so far 1", Later(0, 1, b"rest", "x"))
        assert talk.commit("w1", later) == ["done"]
        assert talk.commit("w1", end(copy, Push("y", b""))) == ["superseded"]
        assert talk.entries("i1") == [b"so far 1"]

    def test_a_put_off_of_the_first_frame_raises_nothing(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        token, copy = talk.lease("w1", "x"), talk.lease("w1", "x")
        assert talk.commit("w1", Outcome(token, (), ADDRESS, b"", Later(0, 0, b"all", "x"))) == [
            "done"
        ]
        assert talk.commit("w1", end(copy)) == ["done"]

    def test_the_next_delivery_begins_at_its_first_frame(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        token = talk.lease("w1", "x")
        talk.commit("w1", part(token, 2))
        talk.commit("w1", end(token, since=2))
        assert talk.answer("w1", "x", Address("i1", "c1", 2)) == "done"

    def test_a_resume_raises_it_to_frames(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        talk(Resume("i1", b"", (("c1", 0, 2),), (), "0-0"))
        token, copy = talk.lease("w1", "x"), talk.lease("w1", "x")
        assert talk.commit("w1", part(token, 1, Push("y", b""))) == ["superseded"]
        talk(Resume("i1", b"", (("c1", 0, 1),), (), "0-0"))
        assert talk.commit("w1", end(copy, Push("y", b""))) == ["superseded"], "it only rises"
        assert talk.length("y") == 0

    def test_of_a_dead_interface_a_copy_that_is_behind_has_the_rest(self, talk: Talk) -> None:
        """Whoever would have sent it again is dead: it may be the only copy."""
        talk.worker("w1")
        talk.interface("i1")
        talk(Resume("i1", b"", (("c1", 0, 2),), (), "0-0"))
        talk.send(*(Push("websocket.receive", b"", owner=("i1", "c1")) for _ in range(2)))
        token, given_up = [each.token for each in talk.claim("w1", "websocket.receive")]
        talk.bury("i1")
        assert talk.commit("w1", end(token, Push("y", b""))) == ["superseded"]
        assert talk(GiveUp("w1", given_up, "stuck", True, ADDRESS, b"")) == "superseded"
        first, second = talk.claim("w1", "websocket.receive")
        assert (first.done, second.done, talk.length("y")) == (2, 2, 0)
        assert talk.commit("w1", end(first.token, Push("y", b""), since=2)) == ["done"]
        assert talk.commit("w1", end(second.token, Push("y", b""), since=2)) == ["superseded"]


class TestLostProgress:
    """The layer went back to before a progress that its worker knows to be committed."""

    def test_what_is_said_of_the_rest_is_fenced_and_it_is_run_again(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        tokens = [talk.lease("w1", "x", b"frames") for _ in range(3)]
        assert talk.commit("w1", part(tokens[0], 2, Push("y", b""), since=1)) == ["fenced"]
        assert talk.commit("w1", end(tokens[1], Push("y", b""), since=1)) == ["fenced"]
        give_up = GiveUp("w1", tokens[2], "stuck", True, ADDRESS, b"", 1)
        assert talk(give_up) == "fenced"
        assert [(each.done, each.attempt) for each in talk.claim("w1", "x")] == [(0, 1)] * 3
        assert (talk.length("y"), talk.entries("i1")) == (0, [])

    def test_what_was_answered_is_not_run_again(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        token = talk.lease("w1", "x")
        talk.answer("w1", "z", ADDRESS)
        assert talk.commit("w1", end(token, since=1)) == ["superseded"]
        assert talk.claim("w1", "x") == []

    def test_a_suspect_stays_one(self, talk: Talk) -> None:
        talk.interface("i1")
        talk.crash("x", b"frames")
        talk.worker("w1")
        (suspect,) = talk.claim("w1", "x")
        assert talk.commit("w1", end(suspect.token, since=1)) == ["fenced"]
        assert [each.attempt for each in talk.claim("w1", "x")] == [2]
