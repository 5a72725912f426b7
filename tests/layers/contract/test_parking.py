"""What consumers send to a channel over its limit: beside it, in order, not lost."""

import pytest

from djchan.layers.operations import (
    Counters,
    DeadLetters,
    Delay,
    GroupAddChannel,
    GroupSend,
    Outcome,
    Pop,
    Push,
)
from tests.layers.talk import Talk

LIMIT = 3


def overflow(talk: Talk, *payloads: bytes, limit: int = LIMIT) -> str:
    """Commit a run that sends these to channel x; what became of it."""
    token = talk.lease(talk.worker("w1"), "in")
    pushes = tuple(Push("x", payload, limit=limit) for payload in payloads)
    (result,) = talk.commit("w1", Outcome(token, pushes))
    return result


def numbers(start: int, end: int) -> list[bytes]:
    return [b"%d" % n for n in range(start, end)]


class TestParking:
    def test_up_to_the_limit_nothing_is_parked(self, talk: Talk) -> None:
        assert overflow(talk, *numbers(0, LIMIT)) == "done"
        assert talk.length("x") == LIMIT

    def test_more_is_parked_and_does_not_wait(self, talk: Talk) -> None:
        assert overflow(talk, *numbers(0, 5)) == "parked"
        assert talk.length("x") == LIMIT
        assert overflow(talk, b"5") == "parked"
        assert talk.length("x") == LIMIT

    def test_what_was_admitted_counts(self, talk: Talk) -> None:
        talk.send(Push("x", b"many", frames=LIMIT))
        assert overflow(talk, b"1") == "parked"
        assert talk.length("x") == LIMIT

    def test_the_other_effects_are_applied(self, talk: Talk) -> None:
        overflow(talk, *numbers(0, LIMIT))
        token = talk.lease("w1", "in")
        effects = (Push("a", b"a"), Push("x", b"3", limit=LIMIT), Push("b", b"b"))
        assert talk.commit("w1", Outcome(token, effects)) == ["parked"]
        assert talk.payloads("w1", "a", "b") == [b"a", b"b"]

    def test_a_claim_moves_up_and_keeps_the_order(self, talk: Talk) -> None:
        overflow(talk, *numbers(0, 10))
        got = talk.payloads("w1", "x", count=2)
        assert talk.length("x") == LIMIT
        while payloads := talk.payloads("w1", "x", count=2):
            got += payloads
        assert got == numbers(0, 10)
        assert talk.length("x") == 0

    def test_a_claim_of_an_emptied_channel_gets_what_is_parked(self, talk: Talk) -> None:
        overflow(talk, *numbers(0, 5))
        assert talk.payloads("w1", "x", count=10) == numbers(0, 5)

    def test_a_pop_moves_up_too(self, talk: Talk) -> None:
        overflow(talk, *numbers(0, 6))
        got = []
        while (popped := talk(Pop(("x",)))) is not None:
            got.append(popped[1])
        assert got == numbers(0, 6)

    def test_no_commit_overtakes_what_is_parked(self, talk: Talk) -> None:
        overflow(talk, *numbers(0, 6))
        assert talk.payloads("w1", "x", count=2) == numbers(0, 2)
        # There are 3 on the channel and 1 beside it.
        assert overflow(talk, b"6", limit=100) == "parked"
        assert talk.payloads("w1", "x", count=10) == numbers(2, 7)
        assert overflow(talk, b"7") == "done"
        assert talk.payloads("w1", "x") == [b"7"]

    def test_direct_sends_know_only_the_capacity(self, talk: Talk) -> None:
        overflow(talk, *numbers(0, 5))
        assert talk.send(Push("x", b"full", 3, limit=LIMIT)) == ("full",)
        assert talk.send(Push("x", b"direct", 4, limit=LIMIT)) == ("ok",)
        assert talk.send(Push("x", b"exempt", limit=LIMIT)) == ("ok",)
        assert talk.length("x") == 5

    def test_without_a_limit_nothing_is_parked(self, talk: Talk) -> None:
        assert overflow(talk, *numbers(0, 50), limit=0) == "done"
        assert talk.length("x") == 50

    def test_what_is_due_and_what_goes_to_groups_is_not_parked(self, talk: Talk) -> None:
        overflow(talk, *numbers(0, LIMIT))
        talk.send(GroupAddChannel("g", "x"))
        token = talk.lease("w1", "in")
        effects = (Delay("x", b"delayed", 0), GroupSend("g", b"", b"group"))
        assert talk.commit("w1", Outcome(token, effects)) == ["done"]
        assert talk.payloads("w1", "x") == [*numbers(0, LIMIT), b"group", b"delayed"]

    def test_unserved_ones_are_nowhere(self, talk: Talk) -> None:
        overflow(talk, *numbers(0, LIMIT))
        token = talk.lease("w1", "in")
        push = Push("x", b"", if_served=True, limit=LIMIT)
        assert talk.commit("w1", Outcome(token, (push,))) == ["done"]
        assert talk.length("x") == LIMIT

    def test_a_progress_says_it_too(self, talk: Talk) -> None:
        overflow(talk, *numbers(0, LIMIT))
        token = talk.lease("w1", "in")
        push = Push("x", b"3", limit=LIMIT)
        assert talk.commit("w1", Outcome(token, (push,), progress=1)) == ["parked"]
        assert talk.commit("w1", Outcome(token)) == ["done"]

    def test_suspects_are_waiting_too(self, talk: Talk) -> None:
        talk.crash("x", *numbers(0, LIMIT))
        assert overflow(talk, b"3") == "parked"
        # The queue itself is empty, and one suspect is taken.
        assert sorted(talk.payloads("w1", "x")) == [b"0", b"3"]


class TestOverflow:
    def test_ten_times_the_limit_is_parked_and_no_more(self, talk: Talk) -> None:
        last = LIMIT + 10 * LIMIT
        assert overflow(talk, *numbers(0, last)) == "parked"
        assert talk(DeadLetters("x")) == []
        assert overflow(talk, b"%d" % last, b"%d" % (last + 1)) == "parked"
        letters = talk(DeadLetters("x"))
        assert [(each.reason, each.attempt, each.done) for each in letters] == [
            ("overflow", 1, 0)
        ] * 2
        assert [each.payload for each in letters] == [b"%d" % (last + 1), b"%d" % last]
        assert talk(Counters())["dead:x"] == 2
        assert talk.payloads("w1", "x", count=1000) == numbers(0, last)

    @pytest.mark.parametrize("taken", [1, 5])
    def test_there_is_room_again_when_some_were_taken(self, talk: Talk, taken: int) -> None:
        last = LIMIT + 10 * LIMIT
        overflow(talk, *numbers(0, last))
        talk.payloads("w1", "x", count=taken)
        overflow(talk, *numbers(last, last + taken))
        assert talk(DeadLetters("x")) == []
        overflow(talk, b"too many")
        assert [each.payload for each in talk(DeadLetters("x"))] == [b"too many"]
