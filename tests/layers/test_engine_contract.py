"""What every engine does, in one text: memory, Redis and Valkey. See layers/operations/.

The words that a fault makes necessary are in ``contract/``.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from djchan.layers import operations as ops
from djchan.layers.engine import Engine
from djchan.layers.memory.links import MemoryEngine
from djchan.layers.operations import (
    STARTED,
    Address,
    Beat,
    Closing,
    Commit,
    Connected,
    Counters,
    DeadLetters,
    Delay,
    Effect,
    EndBody,
    Flush,
    GiveUp,
    Grant,
    GroupAdd,
    GroupAddChannel,
    GroupDiscard,
    GroupDiscardChannel,
    GroupSend,
    Later,
    Leave,
    Length,
    Members,
    Outcome,
    Part,
    Pop,
    Push,
    Reap,
    Register,
    Release,
    Resume,
    Ring,
    Room,
    Send,
    Sent,
    Tell,
    Wait,
)
from djchan.layers.sealed import SealedEngine
from tests.layers.talk import Talk, Waiting, body
from tests.support.waiting import wait_for

HOUR = 3_600_000


class TestProcesses:
    def test_the_clock_is_milliseconds_since_the_epoch(self, talk: Talk) -> None:
        now = talk(Register("w1", "worker", b""))
        assert abs(now - time.time() * 1000) < 60_000

    def test_a_beat_counts_up_and_tells_of_everybody(self, talk: Talk) -> None:
        talk.worker("w1", "x")
        talk.interface("i1")
        assert talk(Beat("w1", "7,8")).processes == {
            "w1": (1, "worker", "7,8"),
            "i1": (0, "interface", ""),
        }
        assert talk(Beat("w1", "7")).processes["w1"] == (2, "worker", "7")

    def test_registering_again_keeps_the_beat_and_changes_the_channels(self, talk: Talk) -> None:
        talk.worker("w1", "x")
        talk(Beat("w1"))
        talk.worker("w1", "y")
        assert talk(Beat("w1")).processes["w1"][0] == 2
        assert talk.send(Push("x", b"", if_served=True)) == ("unserved",)
        assert talk.send(Push("y", b"", if_served=True)) == ("ok",)

    def test_an_interface_that_registers_again_keeps_its_inbox(self, talk: Talk) -> None:
        talk.interface("i1")
        talk.send(Tell("i1", b"hello"))
        talk.interface("i1")
        assert talk.entries("i1") == [b"hello"]

    def test_a_beat_of_nobody(self, talk: Talk) -> None:
        assert talk(Beat("w1")) is None

    def test_reap_is_compare_and_set(self, talk: Talk) -> None:
        talk.worker("w1", "x")
        talk(Beat("w1"))
        assert talk(Reap("w1", 0)) is False
        assert talk(Beat("w1")) is not None
        assert talk(Reap("w1", 2)) is True
        assert talk(Reap("w1", 2)) is False

    @pytest.mark.parametrize("beat", [0, None])
    def test_a_buried_id_is_refused(self, talk: Talk, beat: int | None) -> None:
        talk.interface("i1")
        assert talk(Reap("i1", beat)) is True
        assert talk(Beat("i1")) is None
        assert talk(Register("i1", "interface", b"")) is None
        assert talk(Resume("i1", b"", (), (), "0-0")) is None
        assert talk(Send("i1", 1, (Push("x", b""),))) is None
        assert talk.send(Tell("i1", b"")) == ("gone",)
        assert talk.length("x") == 0

    def test_only_a_reap_is_counted_as_one(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.worker("w2")
        talk(Reap("w1", None))
        assert "reaped" not in talk(Counters())
        talk(Reap("w2", 0))
        assert talk(Counters())["reaped"] == 1

    def test_whether_it_is_connected_can_be_asked(self, talk: Talk) -> None:
        talk.worker("w1")
        assert talk(Connected("w1", talk.link.client_id())) in (True, None)


class TestSend:
    def test_effects_are_applied_in_order(self, talk: Talk) -> None:
        talk.worker("w1")
        assert talk.send(Push("x", b"1"), Push("x", b"2"), Push("y", b"3")) == ("ok",) * 3
        assert talk.payloads("w1", "x", "y") == [b"1", b"2", b"3"]

    def test_a_full_channel_refuses_and_the_rest_goes_on(self, talk: Talk) -> None:
        pushes = [Push("x", bytes([n]), capacity=2) for n in range(3)]
        assert talk.send(*pushes, Push("y", b"", capacity=2)) == ("ok", "ok", "full", "ok")
        assert talk.length("x") == 2
        assert talk(Counters())["full:x"] == 1

    def test_capacity_zero_is_exempt(self, talk: Talk) -> None:
        talk.push("x", *[b""] * 20)
        assert talk.send(Push("x", b"")) == ("ok",)
        assert talk.send(Push("x", b"", capacity=5)) == ("full",)

    def test_capacity_counts_messages(self, talk: Talk) -> None:
        assert talk.send(Push("x", b"", capacity=10, frames=9)) == ("ok",)
        assert talk.send(Push("x", b"", capacity=10)) == ("ok",)
        assert talk.length("x") == 10
        assert talk.send(Push("x", b"", capacity=10)) == ("full",)

    def test_a_delivery_larger_than_the_capacity_is_not_stuck_for_ever(self, talk: Talk) -> None:
        assert talk.send(Push("x", b"", capacity=10, frames=64)) == ("ok",)
        assert talk.send(Push("x", b"", capacity=10)) == ("full",)

    def test_leased_messages_do_not_count(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.lease("w1", "x")
        assert talk.length("x") == 0
        assert talk.send(Push("x", b"", capacity=1)) == ("ok",)

    def test_if_served(self, talk: Talk) -> None:
        push = Push("http.disconnect", b"", if_served=True)
        assert talk.send(push) == ("unserved",)
        talk.worker("w1", "http.disconnect")
        talk.worker("w2", "http.disconnect")
        assert talk.send(push) == ("ok",)
        talk.bury("w1")
        assert talk.send(push) == ("ok",)
        talk(Closing("w2", ()))
        assert talk.send(push) == ("unserved",)

    def test_a_repeated_number_is_answered_and_not_applied(self, talk: Talk) -> None:
        talk.interface("i1")
        send = Send("i1", 1, (Push("x", b"1", capacity=1), Push("x", b"2", capacity=1)), link="out")
        first = talk(send)
        assert first.results == ("ok", "full")
        talk(Pop(("x",)))
        assert talk(send) == first
        assert talk.length("x") == 0
        assert talk(send._replace(number=2)).results == ("ok", "full")

    def test_numbers_are_of_a_process_and_a_link(self, talk: Talk) -> None:
        talk.interface("i1")
        talk.interface("i2")
        send = Send("i1", 1, (Push("x", b""),), link="a")
        for each in (send, send._replace(link="b"), send._replace(process="i2")):
            assert talk(each).results == ("ok",)
        assert talk.length("x") == 3

    def test_an_empty_send_can_be_repeated(self, talk: Talk) -> None:
        talk.interface("i1")
        send = Send("i1", 1, (), forget=("c1",), link="out")
        assert talk(send).results == ()
        assert talk(send).results == ()

    def test_an_anonymous_send_has_no_number(self, talk: Talk) -> None:
        for _ in range(2):
            assert talk(Send("", 1, (Push("x", b""),))).results == ("ok",)
        assert talk.length("x") == 2

    def test_from_a_delivery_it_is_fenced(self, talk: Talk) -> None:
        talk.worker("w1")
        token = talk.lease("w1", "x")
        assert talk.send(Push("y", b""), fence=("w1", token)) == ("ok",)
        assert talk.send(Push("y", b""), fence=("w2", token)) == ("fenced",)
        talk.bury("w1")
        assert talk.send(Push("y", b""), Push("y", b""), fence=("w1", token)) == ("fenced",) * 2
        assert talk.length("y") == 1

    def test_any_byte_travels(self, talk: Talk) -> None:
        talk.interface("i1")
        talk.worker("w1")
        everything = bytes(range(256)) * 20
        assert talk.payloads("w1") == []
        assert talk.lease("w1", "x", everything)
        talk.send(Tell("i1", everything), Push("y", b""))
        assert talk.entries("i1") == [everything]
        assert talk.payloads("w1", "y") == [b""]

    def test_many_effects_in_one_send(self, talk: Talk) -> None:
        talk.push("x", *[b"%d" % n for n in range(1500)])
        talk.worker("w1")
        expected = [b"%d" % n for n in range(1500)]
        assert talk.payloads("w1", "x", count=2000) == expected


class TestClaim:
    def test_channels_in_the_order_given_and_no_more_than_wanted(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.push("x", b"x1", b"x2")
        talk.push("y", b"y1", b"y2")
        assert talk.payloads("w1", "y", "x", count=3) == [b"y1", b"y2", b"x1"]
        assert talk.payloads("w1", "x", "y", count=3) == [b"x2"]

    def test_what_is_told_of_a_delivery(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.push("x", b"1", b"2")
        claimed = talk.claimed("w1", "x")
        assert claimed.known and claimed.next_due == 0
        assert abs(claimed.now - time.time() * 1000) < 60_000
        first, second = claimed.deliveries
        assert first[1:5] == (1, 0, "x", b"1")
        assert second[1:5] == (1, 0, "x", b"2")
        assert 0 < first.token < second.token

    def test_a_stranger_gets_nothing(self, talk: Talk) -> None:
        talk.push("x", b"1")
        claimed = talk.claimed("w1", "x")
        assert (claimed.known, claimed.deliveries) == (False, ())
        assert talk.length("x") == 1

    def test_a_worker_that_is_closing_gets_nothing(self, talk: Talk) -> None:
        talk.worker("w1", "x")
        talk.push("x", b"1")
        talk(Closing("w1", ("w1-bell",)))
        claimed = talk.claimed("w1", "x")
        assert (claimed.known, claimed.deliveries) == (True, ())
        assert talk.length("x") == 1

    def test_a_worker_that_is_closing_finishes(self, talk: Talk) -> None:
        talk.worker("w1", "x")
        token = talk.lease("w1", "x")
        talk(Closing("w1", ()))
        assert talk.commit("w1", Outcome(token, (Push("y", b""),))) == ["done"]

    def test_released_ones_are_the_next_in_their_order(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.push("x", b"1", b"2", b"3", b"4")
        first, second, third = (each.token for each in talk.claim("w1", "x", count=3))
        assert talk(Release("w1", (first, second, third))) == 3
        assert talk(Release("w1", (first, second, third))) == 0
        again = talk.claim("w1", "x")
        assert [each.payload for each in again] == [b"1", b"2", b"3", b"4"]
        assert {each.attempt for each in again} == {1}
        assert not {each.token for each in again} & {first, second, third}

    def test_nobody_releases_what_is_not_his(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.worker("w2")
        token = talk.lease("w1", "x")
        assert talk(Release("w2", (token,))) == 0
        assert talk.length("x") == 0

    def test_a_released_delivery_keeps_its_frames(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.send(Push("x", b"", frames=5))
        (delivery,) = talk.claim("w1", "x")
        talk(Release("w1", (delivery.token,)))
        assert talk.length("x") == 5

    def test_the_work_of_the_dead_goes_back_to_the_head(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.worker("w2")
        talk.push("x", b"1", b"2", b"3")
        talk.claim("w1", "x", count=2)
        talk.bury("w1")
        again: list[Any] = []
        for _ in range(2):
            again += talk.claim("w2", "x", count=1)
            talk.commit("w2", Outcome(again[-1].token))
        again += talk.claim("w2", "x")
        assert [(each.payload, each.attempt) for each in again] == [(b"1", 2), (b"2", 2), (b"3", 1)]

    def test_attempts_add_up(self, talk: Talk) -> None:
        talk.push("x", b"1")
        for attempt in range(1, 5):
            worker = talk.worker(f"w{attempt}")
            (delivery,) = talk.claim(worker, "x")
            assert delivery.attempt == attempt
            talk.bury(worker)

    def test_a_goodbye_is_no_crash(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.worker("w2")
        talk.lease("w1", "x")
        assert talk(Reap("w1", None)) is True
        assert [each.attempt for each in talk.claim("w2", "x")] == [1]

    def test_tokens_are_not_used_again_after_a_flush(self, talk: Talk) -> None:
        talk.worker("w1")
        old = talk.lease("w1", "x")
        talk(Flush())
        talk.worker("w1")
        new = talk.lease("w1", "x")
        assert new != old
        assert talk.commit("w1", Outcome(old)) == ["fenced"]
        assert talk.commit("w1", Outcome(new)) == ["done"]


class TestCommit:
    def test_effects_in_order_then_the_answer(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        effects = (
            Tell("i1", b"first"),
            GroupAdd("g", "i1", b"add"),
            Push("x", b"push"),
            GroupSend("g", b"all", b""),
            Tell("i1", b"last"),
        )
        assert talk.answer("w1", "in", Address("i1", "c1", 1), *effects) == "done"
        assert talk.entries("i1") == [b"first", b"add", b"all", b"last", b"done"]
        assert talk.payloads("w1", "x") == [b"push"]

    def test_a_plain_delivery_has_no_floor(self, talk: Talk) -> None:
        talk.worker("w1")
        for _ in range(2):
            token = talk.lease("w1", "x")
            assert talk.commit("w1", Outcome(token, (Push("y", b""),))) == ["done"]
        assert talk.length("y") == 2

    def test_capacity_is_not_met(self, talk: Talk) -> None:
        talk.worker("w1")
        token = talk.lease("w1", "x")
        effects = (Push("y", b"1", capacity=1), Push("y", b"2", capacity=1))
        assert talk.commit("w1", Outcome(token, effects)) == ["done"]
        assert talk.payloads("w1", "y") == [b"1", b"2"]

    def test_if_served_holds_here_too(self, talk: Talk) -> None:
        talk.worker("w1")
        token = talk.lease("w1", "x")
        effects = (Push("y", b"1", if_served=True), Push("y", b"2"))
        assert talk.commit("w1", Outcome(token, effects)) == ["done"]
        assert talk.payloads("w1", "y") == [b"2"]

    def test_nothing_of_a_fenced_commit_is_applied(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.worker("w2")
        talk.interface("i1")
        token = talk.lease("w1", "x")
        zombie = Outcome(
            token, (Push("y", b""), Tell("i1", b"")), Address("i1", "c1", 1), answer=b"z"
        )
        assert talk.commit("w2", zombie) == ["fenced"]
        talk.bury("w1")
        assert talk.commit("w1", zombie) == ["fenced"]
        (again,) = talk.claim("w2", "x")
        assert talk.commit("w1", zombie) == ["fenced"]
        assert (talk.length("y"), talk.entries("i1")) == (0, [])
        assert talk.commit("w2", zombie._replace(token=again.token)) == ["done"]
        assert (talk.length("y"), talk.entries("i1")) == (1, [b"", b"z"])
        assert talk.commit("w2", zombie._replace(token=again.token)) == ["fenced"]

    def test_a_released_delivery_is_no_longer_ours(self, talk: Talk) -> None:
        talk.worker("w1")
        token = talk.lease("w1", "x")
        talk(Release("w1", (token,)))
        assert talk.commit("w1", Outcome(token, (Push("y", b""),))) == ["fenced"]
        assert (talk.length("x"), talk.length("y")) == (1, 0)

    def test_the_floor_lets_each_number_pass_once(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        results = [
            talk.answer("w1", "x", Address("i1", connection, seq), Push("y", b""))
            for connection, seq in [("c1", 1), ("c1", 1), ("c1", 3), ("c1", 2), ("c2", 1)]
        ]
        assert results == ["done", "superseded", "done", "superseded", "done"]
        assert talk.entries("i1") == [b"done"] * 3
        assert talk.length("y") == 3
        # A superseded delivery is over: it does not come again.
        talk.bury("w1")
        assert talk.length("x") == 0

    def test_of_a_connection_that_has_not_begun(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1", begin=())
        address = Address("i1", "c1", 1)
        assert talk.answer("w1", "x", address, Push("y", b"")) == "superseded"
        talk(Send("i1", 1, (), link="out", begin=("c1",)))
        assert talk.answer("w1", "x", address, Push("y", b"")) == "done"
        assert (talk.length("y"), talk.entries("i1")) == (1, [b"done"])

    def test_beginning_again_does_not_lower_a_floor(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        assert talk.answer("w1", "x", Address("i1", "c1", 5)) == "done"
        talk(Send("i1", 1, (), link="out", begin=("c1",)))
        assert talk.answer("w1", "x", Address("i1", "c1", 5)) == "superseded"

    def test_of_a_connection_that_is_forgotten(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        address = Address("i1", "c1", 5)
        assert talk.answer("w1", "x", address) == "done"
        assert talk.answer("w1", "x", address) == "superseded"
        talk(Send("i1", 1, (), forget=("c1",), link="out"))
        # A copy that somebody holds still: its connection is over, so it changes nothing.
        assert talk.answer("w1", "x", address._replace(seq=6), Push("y", b"")) == "superseded"
        assert talk.length("y") == 0

    def test_of_a_connection_that_begins_and_ends_in_one_send(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1", begin=())
        talk(Send("i1", 1, (), link="out", begin=("c1",), forget=("c1",)))
        assert talk.answer("w1", "x", Address("i1", "c1", 1)) == "superseded"

    def test_a_repeated_number_was_applied_already(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        token = talk.lease("w1", "x")
        outcomes = (
            Outcome(token, (Push("y", b""),), Address("i1", "c1", 1), b"done"),
            Outcome(token + 1000),
        )
        commit = Commit("w1", "commits", 1, outcomes)
        assert list(talk(commit)) == ["done", "fenced"]
        assert list(talk(commit)) == ["already", "already"]
        assert (talk.length("y"), talk.entries("i1")) == (1, [b"done"])
        assert list(talk(commit._replace(link="other"))) == ["fenced", "fenced"]

    def test_each_outcome_by_itself(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        talk.push("x", b"1", b"2")
        first, second = talk.claim("w1", "x")
        outcomes = [
            Outcome(first.token, (Push("y", b"1"),), Address("i1", "c1", 1), b"one"),
            Outcome(second.token + 1000, (Push("y", b"2"),)),
            Outcome(second.token, (Push("y", b"3"),), Address("i1", "c2", 1), b"two"),
        ]
        assert talk.commit("w1", *outcomes) == ["done", "fenced", "done"]
        assert talk.payloads("w1", "y") == [b"1", b"3"]
        assert talk.entries("i1") == [b"one", b"two"]

    def test_when_the_interface_is_gone_the_rest_is_applied(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        talk.send(*[Push("http.request", b"", owner=("i1", "c1")) for _ in range(2)])
        (one,) = talk.claim("w1", "http.request", count=1)
        talk.bury("i1")
        effects = (Tell("i1", b""), GroupAdd("g", "i1", b""), Push("y", b""))
        outcome = Outcome(one.token, effects, Address("i1", "c1", 1), b"done")
        assert talk.commit("w1", outcome) == ["done"]
        assert talk.length("y") == 1
        # Of two copies one is applied, also when nobody is there to keep its floor.
        (two,) = talk.claim("w1", "http.request")
        assert talk.commit("w1", outcome._replace(token=two.token)) == ["superseded"]
        assert talk.length("y") == 1
        assert talk(Members("g")) == ((), ())
        assert talk(Counters())["gone"] >= 1

    def test_later_keeps_progress_and_is_no_end(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        address = Address("i1", "c1", 1)
        token = talk.lease("w1", "x", b"12345")
        outcome = Outcome(token, (Push("y", b""),), address, b"so far", Later(0, 2, b"345", "x"))
        assert talk.commit("w1", outcome) == ["done"]
        assert talk.entries("i1") == [b"so far"]
        assert talk.commit("w1", outcome) == ["fenced"]
        (again,) = talk.claim("w1", "x")
        assert again[1:5] == (1, 2, "x", b"345")
        assert talk.commit("w1", Outcome(again.token, (), address, b"done", since=2)) == ["done"]
        assert (talk.length("y"), talk.entries("i1")) == (1, [b"so far", b"done"])

    def test_later_keeps_the_attempts(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.worker("w2")
        talk.lease("w1", "x")
        talk.bury("w1")
        (second,) = talk.claim("w2", "x")
        talk.commit("w2", Outcome(second.token, later=Later(0, 1, b"rest", "x")))
        assert [each[1:5] for each in talk.claim("w2", "x")] == [(2, 1, "x", b"rest")]

    def test_progress_survives_the_worker(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.worker("w2")
        token = talk.lease("w1", "x")
        talk.commit("w1", Outcome(token, later=Later(0, 3, b"rest", "x")))
        assert [each.done for each in talk.claim("w1", "x")] == [3]
        talk.bury("w1")
        assert [each[1:5] for each in talk.claim("w2", "x")] == [(2, 3, "x", b"rest")]

    def test_a_later_that_was_superseded(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        address = Address("i1", "c1", 1)
        talk.answer("w1", "x", address)
        token = talk.lease("w1", "x")
        outcome = Outcome(token, (Push("y", b""),), address, later=Later(0, 1, b"rest", "x"))
        assert talk.commit("w1", outcome) == ["superseded"]
        assert (talk.claim("w1", "x"), talk.length("y")) == ([], 0)


class TestExpiry:
    def test_what_has_expired_does_not_count_as_full(self, talk: Talk) -> None:
        old = (Push("x", b"kept", 2, expires=1), Push("x", b"dropped", 2, expires=1, keep=False))
        assert talk(Send("", 0, old)).results == ("ok", "ok")
        new = (Push("x", b"new", 2), Push("x", b"newer", 2), Push("x", b"too many", 2))
        assert talk(Send("", 0, new)).results == ("ok", "ok", "full")
        assert talk(Length("x")) == 2
        assert [(each.reason, each.payload) for each in talk(DeadLetters("x"))] == [
            ("expired", b"kept")
        ]
        talk.worker("w1")
        assert [each.payload for each in talk.claim("w1", "x")] == [b"new", b"newer"]

    def test_what_was_run_before_does_not_expire(self, talk: Talk) -> None:
        talk.worker("w1")
        talk(Send("", 0, (Push("x", b"run once", 1, expires=1),)))
        assert len(talk.claim("w1", "x")) == 1
        talk.bury("w1")
        assert talk(Send("", 0, (Push("x", b"new", 1),))).results == ("full",)
        talk.worker("w2")
        (again,) = talk.claim("w2", "x")
        assert (again.payload, again.attempt) == (b"run once", 2)

    def test_nothing_is_taken_off_while_there_is_room(self, talk: Talk) -> None:
        talk(Send("", 0, (Push("x", b"old", 2, expires=1), Push("x", b"new", 2))))
        talk.worker("w1")
        assert [each.payload for each in talk.claim("w1", "x")] == [b"old", b"new"]


class TestPart:
    def test_a_part_reaches_the_inbox_and_marks_the_delivery(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.worker("w2")
        talk.interface("i1")
        token = talk.lease("w1", "http.request")
        assert talk(Part("w1", token, "i1", "c1", b"part 0")) == "ok"
        assert talk(Part("w1", token, "i1", "c1", b"part 1")) == "ok"
        assert talk(Part("w2", token, "i1", "c1", b"not mine")) == "fenced"
        talk.bury("w1")
        assert talk(Part("w1", token, "i1", "c1", b"zombie")) == "fenced"
        assert talk.entries("i1") == [b"part 0", b"part 1"]
        (again,) = talk.claim("w2", "http.request")
        assert (again.attempt, again.done) == (2, STARTED)

    def test_a_part_for_nobody_begins_no_response(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.worker("w2")
        talk.interface("i1")
        token = talk.lease("w1", "http.request")
        talk(Send("i1", 1, (), cut=("c1",)))
        assert talk(Part("w1", token, "i1", "c1", b"for nobody")) == "gone"
        talk.bury("w1")
        (again,) = talk.claim("w2", "http.request")
        assert (again.attempt, again.done) == (2, 0)

    def test_the_mark_survives_a_later(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        token = talk.lease("w1", "http.request")
        talk(Part("w1", token, "i1", "c1", b"part"))
        talk.commit("w1", Outcome(token, later=Later(0, 0, b"again", "http.request")))
        assert [each.done for each in talk.claim("w1", "http.request")] == [STARTED]

    def test_a_client_that_left_is_told_to_whoever_streams(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        token = talk.lease("w1", "http.request")
        talk(Send("i1", 1, (), cut=("c1",)))
        assert talk(Part("w1", token, "i1", "c2", b"for another")) == "ok"
        assert talk(Part("w1", token, "i1", "c1", b"for nobody")) == "gone"
        talk(Send("i1", 2, (), forget=("c1",)))
        assert talk(Part("w1", token, "i1", "c1", b"forgotten")) == "ok"
        assert talk.entries("i1") == [b"for another", b"forgotten"]

    def test_the_reader_may_be_gone(self, talk: Talk) -> None:
        talk.worker("w1")
        token = talk.lease("w1", "http.request")
        assert talk(Part("w1", token, "i1", "c1", b"part")) == "gone"

    def test_a_commit_ends_it(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        token = talk.lease("w1", "http.request")
        talk(Part("w1", token, "i1", "c1", b"part"))
        assert talk.commit("w1", Outcome(token, (), Address("i1", "c1", 1), b"end")) == ["done"]
        assert talk.entries("i1") == [b"part", b"end"]


class TestRoom:
    """How fast a response in parts may be sent: what its interface grants."""

    ONE = ("i1", "c1")

    def begin(self, talk: Talk) -> None:
        talk.interface("i1")
        talk(Send("i1", 1, (), begin=("c1", "c2")))

    def rung(self, talk: Talk) -> bool:
        """Whether the bell was rung: it is answered at once, not after a second."""
        began = time.monotonic()
        talk(Wait("bell", 1.0))
        return time.monotonic() - began < 0.9

    def test_it_is_what_was_granted_last(self, talk: Talk) -> None:
        self.begin(talk)
        assert talk(Room("bell", (self.ONE,))) == (0,)
        assert talk(Send("i1", 2, (Grant(*self.ONE, 500),))) == Sent(("ok",))
        assert talk(Room("bell", (self.ONE, ("i1", "c2")))) == (500, 0)
        assert self.rung(talk) is False, "it asked after the ring"

    def test_a_grant_rings_once(self, talk: Talk) -> None:
        self.begin(talk)
        talk(Room("bell", (self.ONE,)))
        talk(Send("i1", 2, (Grant(*self.ONE, 500), Grant(*self.ONE, 600))))
        assert self.rung(talk)
        assert not self.rung(talk)

    def test_a_repeated_send_grants_the_same(self, talk: Talk) -> None:
        self.begin(talk)
        for _ in range(2):
            talk(Send("i1", 2, (Grant(*self.ONE, 500),)))
        assert talk(Room("bell", (self.ONE,))) == (500,)

    @pytest.mark.parametrize("end", ["cut", "forget", "bury"])
    def test_whoever_waits_is_told_that_nobody_wants_it(self, talk: Talk, end: str) -> None:
        self.begin(talk)
        talk(Room("bell", (self.ONE,)))
        if end == "bury":
            talk.bury("i1")
        else:
            talk(Send("i1", 2, (), **{end: ("c1",)}))
        assert self.rung(talk)
        assert talk(Room("bell", (self.ONE,))) == (None,)

    def test_of_who_is_not_known_nobody_wants_anything(self, talk: Talk) -> None:
        self.begin(talk)
        assert talk(Room("bell", (("i1", "c9"), ("i9", "c1")))) == (None, None)
        assert talk(Send("i1", 2, (Grant("i1", "c9", 500),))) == Sent(("gone",))

    def test_nothing_is_left_of_a_connection_that_is_over(self, talk: Talk) -> None:
        self.begin(talk)
        talk(Room("bell", (self.ONE,)))
        talk(Send("i1", 2, (Grant(*self.ONE, 500),)))
        talk(Send("i1", 3, (), forget=("c1",)))
        talk(Send("i1", 4, (), begin=("c1",)))
        assert talk(Room("bell", (self.ONE,))) == (0,)


class TestGiveUp:
    def test_it_answers_and_raises_the_floor(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        address = Address("i1", "c1", 1)
        give_up = GiveUp("w1", talk.lease("w1", "x"), "poison", False, address, b"poison")
        assert talk(give_up) == "done"
        assert talk(give_up) == "fenced"
        assert talk.entries("i1") == [b"poison"]
        assert talk(DeadLetters("x")) == []
        assert talk.answer("w1", "x", address) == "superseded"

    def test_it_buries(self, talk: Talk) -> None:
        talk.worker("w1")
        for payload in (b"1", b"2\0\xff", b"3"):
            token = talk.lease("w1", "x", payload)
            assert talk(GiveUp("w1", token, "poison", True)) == "done"
        letters = talk(DeadLetters("x"))
        assert [(letter.reason, letter.payload) for letter in letters] == [
            ("poison", b"3"),
            ("poison", b"2\0\xff"),
            ("poison", b"1"),
        ]
        assert abs(letters[0].at - time.time() * 1000) < 60_000
        assert [letter.payload for letter in talk(DeadLetters("x", 2))] == [b"3", b"2\0\xff"]
        assert talk(DeadLetters("y")) == []
        assert talk(Counters())["dead:x"] == 3

    def test_it_is_fenced(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.worker("w2")
        token = talk.lease("w1", "x")
        assert talk(GiveUp("w2", token, "poison", True)) == "fenced"
        talk.bury("w1")
        assert talk(GiveUp("w1", token, "poison", True)) == "fenced"
        assert talk(DeadLetters("x")) == []
        assert talk.length("x") == 1

    def test_an_answered_delivery_is_no_dead_letter(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        address = Address("i1", "c1", 1)
        talk.answer("w1", "x", address)
        give_up = GiveUp("w1", talk.lease("w1", "x"), "poison", True, address, b"poison")
        assert talk(give_up) == "superseded"
        assert talk(DeadLetters("x")) == []
        assert talk.entries("i1") == [b"done"]
        assert talk(give_up) == "fenced"

    def test_of_an_interface_that_is_gone(self, talk: Talk) -> None:
        channel = "websocket.receive"
        talk.worker("w1")
        talk.interface("i1")
        talk.send(Push(channel, b"1", owner=("i1", "c1")), Push(channel, b"2", owner=("i1", "c1")))
        one, two = talk.claim("w1", channel)
        talk.bury("i1")
        give_up = GiveUp("w1", one.token, "poison", True, Address("i1", "c1", 1), b"poison")
        assert talk(give_up) == "done"
        assert talk(give_up._replace(token=two.token)) == "superseded"  # A second copy.
        assert [each.payload for each in talk(DeadLetters(channel))] == [b"1"]

    def test_the_newest_thousand_are_kept(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.push("x", *[b"%d" % n for n in range(1010)])
        deliveries = talk.claim("w1", "x", count=1010)
        talk.link.perform(*[GiveUp("w1", each.token, "poison", True) for each in deliveries])
        letters = talk(DeadLetters("x", 5000))
        assert [each.payload for each in letters] == [b"%d" % n for n in range(1009, 9, -1)]


class TestDelay:
    def test_it_waits_for_its_time(self, talk: Talk) -> None:
        talk.worker("w1")
        assert talk.send(Delay("x", b"far", HOUR), Delay("x", b"near", 50)) == ("ok", "ok")
        claimed = talk.claimed("w1", "x")
        assert claimed.deliveries == () or claimed.deliveries[0].payload == b"near"
        got: list[bytes] = [each.payload for each in claimed.deliveries]

        def near_came() -> bool:
            got.extend(talk.payloads("w1", "x"))
            return bool(got)

        wait_for(near_came, timeout=5, what="near is due")
        assert got == [b"near"]
        claimed = talk.claimed("w1", "x")
        assert claimed.deliveries == ()
        assert HOUR - 60_000 < claimed.next_due - claimed.now <= HOUR

    def test_the_next_due_is_the_nearest(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.send(Delay("x", b"1", 2 * HOUR), Delay("y", b"2", HOUR), Delay("x", b"3", 3 * HOUR))
        claimed = talk.claimed("w1", "x")
        assert HOUR - 60_000 < claimed.next_due - claimed.now <= HOUR

    def test_what_is_due_is_claimed_in_the_order_of_its_time(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.send(Delay("x", b"second", 4), Delay("x", b"first", 1), Delay("x", b"third", 8))
        got: list[bytes] = []

        def all_came() -> bool:
            got.extend(talk.payloads("w1", "x"))
            return len(got) == 3

        wait_for(all_came, timeout=5, what="all are due")
        assert got == [b"first", b"second", b"third"]

    def test_those_of_one_time_come_in_the_order_of_sending(self, talk: Talk) -> None:
        talk.worker("w1")
        # As text, 9 would come after 10, and each of these after those of the next send.
        payloads = [b"%d" % (25 - n) for n in range(25)]
        talk.send(*(Delay("x", payload, 0) for payload in payloads[:12]))
        talk.send(*(Delay("x", payload, 0) for payload in payloads[12:]))
        got: list[bytes] = []

        def all_came() -> bool:
            got.extend(talk.payloads("w1", "x", count=100))
            return len(got) == len(payloads)

        wait_for(all_came, timeout=5, what="all are due")
        assert got == payloads

    def test_equal_ones_are_two(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.send(Delay("x", b"same", 0), Delay("x", b"same", 0))
        got: list[bytes] = []

        def both_came() -> bool:
            got.extend(talk.payloads("w1", "x"))
            return len(got) == 2

        wait_for(both_came, timeout=5, what="both are due")

    def test_other_channels_are_promoted_too(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.send(Delay("other", b"", 0))
        wait_for(lambda: talk.claim("w1", "x") or talk.length("other"), timeout=5, what="it is due")
        assert talk.payloads("w1", "other") == [b""]

    def test_a_nearer_one_wakes_who_sleeps_until_a_farther_one(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.send(Delay("x", b"far", HOUR))
        assert talk.claim("w1", "x") == []
        with Waiting(talk.engine, "w1-bell"):
            talk.send(Delay("x", b"near", 60_000))

    def test_one_that_is_put_off_wakes_who_sleeps(self, talk: Talk) -> None:
        talk.worker("w1", "x")
        talk.worker("w2", "x")
        token = talk.lease("w1", "x")
        assert talk.claim("w2", "x") == []
        with Waiting(talk.engine, "w2-bell"):
            # By its async lane, say, which claims nothing.
            talk.commit("w1", Outcome(token, later=Later(60_000, 0, b"rest", "x")))


class TestBells:
    def test_a_push_rings_the_idle(self, talk: Talk) -> None:
        talk.worker("w1", "x", "y")
        assert talk.claim("w1", "x", "y") == []
        with Waiting(talk.engine, "w1-bell"):
            talk.push("y", b"")

    def test_a_commit_rings_too(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.worker("w2")
        token = talk.lease("w1", "x")
        assert talk.claim("w2", "y") == []
        with Waiting(talk.engine, "w2-bell"):
            talk.commit("w1", Outcome(token, (Push("y", b""),)))

    @pytest.mark.parametrize(
        "giving_back",
        [lambda token: Release("w1", (token,)), lambda token: Reap("w1", 0)],
        ids=["release", "reap"],
    )
    def test_work_that_comes_back_rings(
        self, talk: Talk, giving_back: Callable[[int], Release | Reap]
    ) -> None:
        talk.worker("w1", "x")
        talk.worker("w2", "x")
        token = talk.lease("w1", "x")
        assert talk.claim("w2", "x") == []
        with Waiting(talk.engine, "w2-bell"):
            talk(giving_back(token))

    def test_a_ring_before_the_wait_is_not_lost(self, talk: Talk) -> None:
        talk.worker("w1", "x")
        assert talk.claim("w1", "x") == []
        talk.push("x", b"")
        started = time.monotonic()
        talk(Wait("w1-bell", 10))
        assert time.monotonic() - started < 5

    def test_a_wait_ends_by_itself(self, talk: Talk) -> None:
        assert talk(Wait("w1-bell", 0.05)) is None

    def test_ring(self, talk: Talk) -> None:
        with Waiting(talk.engine, "any"), Waiting(talk.engine, "other"):
            talk(Ring(("any", "other")))

    def test_closing_rings_its_own(self, talk: Talk) -> None:
        talk.worker("w1", "x")
        assert talk.claim("w1", "x") == []
        with Waiting(talk.engine, "w1-bell"):
            talk(Closing("w1", ("w1-bell",)))

    @pytest.mark.parametrize(
        "leaving", [Closing("w1", ("w1-bell",)), Reap("w1", 0)], ids=["closing", "reap"]
    )
    def test_a_ring_that_the_leaving_got_is_passed_on(
        self, talk: Talk, leaving: Closing | Reap
    ) -> None:
        talk.worker("w1", "x")
        talk.worker("w2", "x")
        assert talk.claim("w1", "x") == []
        assert talk.claim("w2", "x") == []
        talk.push("x", b"")  # Whoever is rung for this one, w2 has to come.
        with Waiting(talk.engine, "w2-bell"):
            talk(leaving)
        assert talk.payloads("w2", "x") == [b""]

    def test_the_dead_are_not_rung(self, talk: Talk) -> None:
        talk.worker("w1", "x")
        talk.worker("w2", "x")
        assert talk.claim("w1", "x") == []
        talk.bury("w1")
        assert talk.claim("w2", "x") == []
        with Waiting(talk.engine, "w2-bell"):
            talk.push("x", b"")

    def test_no_wake_up_is_lost(self, engine: Engine, talk: Talk) -> None:
        """Each of many single pushes meets a worker that is about to sleep."""
        talk.worker("w1", "x")
        wanted = 300
        got: list[bytes] = []

        def work() -> None:
            worker = Talk(engine)
            while len(got) < wanted:
                payloads = worker.payloads("w1", "x")
                got.extend(payloads)
                if not payloads:
                    worker(Wait("w1-bell", 5))
            worker.close()

        thread = threading.Thread(target=work)
        started = time.monotonic()
        thread.start()
        for n in range(wanted):
            talk.push("x", b"%d" % n)
        thread.join(15)
        assert got == [b"%d" % n for n in range(wanted)]
        assert time.monotonic() - started < 4.5

    @pytest.mark.asyncio
    async def test_an_event_loop_is_not_blocked_by_its_wait(
        self, engine: Engine, talk: Talk
    ) -> None:
        talk.worker("w1", "x")
        link = engine.alink("waiting")
        assert talk.claim("w1", "x") == []
        waiting = asyncio.create_task(link.perform(Wait("w1-bell", 15)))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done()
        await asyncio.to_thread(talk.push, "x", b"")
        async with asyncio.timeout(5):
            assert await waiting == [None]
        assert await link.perform(Wait("w1-bell", 0.05)) == [None]
        await link.aclose()


class TestInbox:
    def test_ids_grow_and_the_cursor_is_passed(self, talk: Talk) -> None:
        talk.interface("i1")
        talk.send(*(Tell("i1", b"%d" % n) for n in range(12)))
        pairs = talk.inbox("i1")
        assert [entry for _, entry in pairs] == [b"%d" % n for n in range(12)]
        ids = [tuple(map(int, key.split("-"))) for key, _ in pairs]
        assert ids == sorted(set(ids))
        assert talk.entries("i1", after=pairs[9][0]) == [b"10", b"11"]

    def test_more_than_one_read_returns(self, talk: Talk) -> None:
        talk.interface("i1")
        talk.send(*(Tell("i1", b"%d" % n) for n in range(700)))
        assert talk.entries("i1") == [b"%d" % n for n in range(700)]

    @pytest.mark.asyncio
    async def test_only_what_was_applied_is_trimmed(self, engine: Engine, talk: Talk) -> None:
        talk.interface("i1")
        talk.send(*(Tell("i1", b"%d" % n) for n in range(4)))
        reader = engine.inbox("i1")
        everything = await reader.read("0-0", trim=False)
        # Nothing was lost: the answer to the first read might have been.
        assert await reader.read("0-0", trim=False) == everything
        rest = await reader.read(everything[1][0], trim=True)
        assert rest == everything[2:]
        assert await reader.read("0-0", trim=False) == everything[2:]
        await reader.aclose()

    @pytest.mark.asyncio
    async def test_an_inbox_read_empty_is_still_there(self, engine: Engine, talk: Talk) -> None:
        talk.interface("i1")
        talk.send(Tell("i1", b"1"))
        reader = engine.inbox("i1")
        ((cursor, _),) = await reader.read("0-0", trim=False)
        reading = asyncio.create_task(reader.read(cursor, trim=True))
        for _ in range(5):
            await asyncio.sleep(0.01)
        assert not reading.done()
        assert await asyncio.to_thread(talk.send, Tell("i1", b"2")) == ("ok",)
        async with asyncio.timeout(3):
            ((_, entry),) = await reading
        assert entry == b"2"
        await reader.aclose()

    @pytest.mark.asyncio
    async def test_a_read_that_waits_is_woken(self, engine: Engine, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        token = talk.lease("w1", "x")
        reader = engine.inbox("i1")
        reading = asyncio.create_task(reader.read("0-0", trim=False))
        await asyncio.sleep(0.02)
        outcome = Outcome(token, (), Address("i1", "c1", 1), b"done")
        await asyncio.to_thread(talk.commit, "w1", outcome)
        async with asyncio.timeout(3):
            assert [entry for _, entry in await reading] == [b"done"]
        await reader.aclose()

    @pytest.mark.asyncio
    async def test_a_canceled_read_loses_nothing(self, engine: Engine, talk: Talk) -> None:
        talk.interface("i1")
        reader = engine.inbox("i1")
        reading = asyncio.create_task(reader.read("0-0", trim=False))
        await asyncio.sleep(0.02)
        talk.send(Tell("i1", b"1"))
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert [entry for _, entry in await reader.read("0-0", trim=False)] == [b"1"]
        await reader.aclose()

    def test_a_worker_has_none(self, talk: Talk) -> None:
        talk.worker("w1")
        assert talk.send(Tell("w1", b"")) == ("gone",)

    def test_what_it_is_told_when_gone_is_counted(self, talk: Talk) -> None:
        assert talk.send(Tell("i1", b"")) == ("gone",)
        assert talk(Counters())["gone"] == 1


class TestGroups:
    def test_one_entry_per_process(self, talk: Talk) -> None:
        for name in ("i1", "i2", "i3"):
            talk.interface(name)
        adds = [GroupAdd("g", name, name.encode()) for name in ("i1", "i2")]
        assert talk.send(*adds, adds[0], GroupSend("g", b"all", b"")) == ("ok",) * 4
        assert talk.entries("i1") == [b"i1", b"i1", b"all"]
        assert talk.entries("i2") == [b"i2", b"all"]
        assert talk.entries("i3") == []
        assert talk(Members("g")) == (("i1", "i2"), ())

    def test_a_discard_is_the_process_s_to_apply(self, talk: Talk) -> None:
        talk.interface("i1")
        assert talk.send(GroupAdd("g", "i1", b"+"), GroupDiscard("g", "i1", b"-")) == ("ok", "ok")
        assert talk.entries("i1") == [b"+", b"-"]
        assert talk(Members("g")) == (("i1",), ())

    def test_an_add_for_who_is_gone(self, talk: Talk) -> None:
        talk.interface("i1")
        talk.bury("i1")
        talk.worker("w1")
        results = talk.send(
            GroupAdd("g", "i1", b""), GroupAdd("g", "w1", b""), GroupDiscard("g", "i1", b"")
        )
        assert results == ("gone",) * 3
        assert talk(Members("g")) == ((), ())
        assert talk.send(GroupSend("g", b"", b"")) == ("ok",)

    def test_a_process_leaves_by_what_it_has_applied(self, talk: Talk) -> None:
        talk.interface("i1")
        talk.send(GroupAdd("g", "i1", b"+"), GroupAdd("h", "i1", b"+"))
        (first, _), (second, _) = talk.inbox("i1")
        talk(Leave("i1", ("g", "h"), first))
        assert talk(Members("g")) == ((), ())
        assert talk(Members("h")) == (("i1",), ())
        talk(Leave("i1", ("h", "unknown"), second))
        assert talk(Members("h")) == ((), ())

    def test_a_blind_leave_does_not_happen(self, talk: Talk) -> None:
        """add(c0) is applied, add(c1) is on its way, c0 closes: c1 must stay."""
        talk.interface("i1")
        talk.send(GroupAdd("g", "i1", b"c0"))
        ((cursor, _),) = talk.inbox("i1")
        talk.send(GroupAdd("g", "i1", b"c1"))
        talk(Leave("i1", ("g",), cursor))
        assert talk(Members("g")) == (("i1",), ())
        talk.send(GroupSend("g", b"all", b""))
        assert talk.entries("i1", after=cursor) == [b"c1", b"all"]

    def test_a_repeated_leave_meets_no_later_member(self, talk: Talk) -> None:
        """A leave is executed and its answer lost; c1 joins; the leave is said again (ABA)."""
        talk.interface("i1")
        talk.send(GroupAdd("g", "i1", b"c0"))
        ((cursor, _),) = talk.inbox("i1")
        leave = Leave("i1", ("g",), cursor)
        talk(leave)
        assert talk(Members("g")) == ((), ())
        talk.send(GroupAdd("g", "i1", b"c1"))
        talk(leave)
        assert talk(Members("g")) == (("i1",), ())

    def test_cursors_are_compared_as_numbers(self, talk: Talk) -> None:
        talk.interface("i1")
        talk.send(GroupAdd("g", "i1", b"+"))
        talk(Leave("i1", ("g",), "9-0"))
        assert talk(Members("g")) == (("i1",), ())
        talk(Leave("i1", ("g",), "99999999999999-0"))
        assert talk(Members("g")) == ((), ())

    def test_the_buried_are_in_no_group(self, talk: Talk) -> None:
        talk.interface("i1")
        talk.interface("i2")
        talk.send(GroupAdd("g", "i1", b""), GroupAdd("g", "i2", b""), GroupAdd("h", "i1", b""))
        talk.bury("i1")
        assert talk(Members("g")) == (("i2",), ())
        assert talk(Members("h")) == ((), ())

    def test_plain_channels(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        talk.send(
            GroupAddChannel("g", "y"),
            GroupAddChannel("g", "x"),
            GroupAddChannel("g", "x"),
            GroupAdd("g", "i1", b"+"),
        )
        assert talk(Members("g")) == (("i1",), ("x", "y"))
        talk.send(GroupSend("g", b"entry", b"payload"))
        assert talk.payloads("w1", "x", "y") == [b"payload"] * 2
        assert talk.entries("i1") == [b"+", b"entry"]
        talk.send(GroupDiscardChannel("g", "x"), GroupDiscardChannel("g", "x"))
        talk.send(GroupSend("g", b"entry", b"payload"))
        assert talk.payloads("w1", "x", "y") == [b"payload"]

    def test_a_full_member_is_skipped_and_counted(self, talk: Talk) -> None:
        talk.send(GroupAddChannel("g", "x", 2), GroupAddChannel("g", "y", 2))
        talk.push("x", b"1", b"2")
        assert talk.send(GroupSend("g", b"", b"3")) == ("ok",)
        assert (talk.length("x"), talk.length("y")) == (2, 1)
        assert talk(Counters())["skipped:x"] == 1

    def test_a_member_s_capacity_is_the_last_it_was_added_with(self, talk: Talk) -> None:
        talk.send(GroupAddChannel("g", "x", 1), GroupAddChannel("g", "y", 0))
        talk.push("x", b"1")
        talk.push("y", b"1")
        sends = [GroupSend("g", b"", b"%d" % n) for n in range(2, 5)]
        talk.send(*sends)
        assert (talk.length("x"), talk.length("y")) == (1, 4)
        talk.send(GroupAddChannel("g", "x", 3), *sends)
        assert (talk.length("x"), talk.length("y")) == (3, 7)
        talk.worker("w1")
        assert talk.payloads("w1", "x") == [b"1", b"2", b"3"]

    def test_a_plain_channel_may_be_a_member_for_a_time(self, talk: Talk) -> None:
        talk.send(
            GroupAddChannel("g", "x", 5, 1),
            GroupAddChannel("g", "y", 5, 60_000),
            GroupAddChannel("g", "z", 5, 1),
            GroupAddChannel("g", "z", 5),
        )

        def is_over() -> bool:
            talk.send(GroupSend("g", b"", b"1"))
            return talk(Members("g")) == ((), ("y", "z"))

        wait_for(is_over, timeout=5, what="the time of x is over")
        length = talk.length("x")
        talk.send(GroupSend("g", b"", b"2"))
        assert talk.length("x") == length
        talk.worker("w1")
        assert talk.payloads("w1", "y")[-1:] == talk.payloads("w1", "z")[-1:] == [b"2"]

    def test_a_group_send_rings_for_a_member_channel(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.send(GroupAddChannel("g", "x"))
        assert talk.claim("w1", "x") == []
        with Waiting(talk.engine, "w1-bell"):
            talk.send(GroupSend("g", b"", b"payload"))


class TestPop:
    def test_what_is_for_one_process_lies_in_one_queue(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.push("p!a", b"1")
        talk.push("p!b", b"2")
        assert (talk.length("p!"), talk(ops.Waiting())) == (2, {"p!": 2})
        assert talk.send(Push("p!c", b"", 2)) == ("full",)
        (first,) = talk.claim("w1", "p!", count=1)
        assert first.channel == "p!a"
        assert talk(Release("w1", (first.token,))) == 1
        talk.send(Delay("p!c", b"3", 0), GroupAddChannel("g", "p!d", 9), GroupSend("g", b"", b"4"))

        got = [talk(Pop(("p!",))) for _ in range(5)]
        # The delayed one comes when somebody looks.
        expected = [("p!a", b"1"), ("p!b", b"2"), ("p!c", b"3"), ("p!d", b"4"), None]
        assert sorted(got[:4]) == expected[:4] and got[4] is None
        assert [pair for pair in got if pair and pair[0] < "p!c"] == expected[:2]

    def test_the_end_of_a_body_leaves_nothing_of_it(self, talk: Talk) -> None:
        talk.send(body("x?a", b"1"), body("x?a", b"2"), body("x?b", b"3"))
        assert talk.send(EndBody("x?a"), EndBody("x?none"), body("x?a", b"end")) == ("ok",) * 3

        assert talk(Pop(("x?a",))) == ("x?a", b"end")
        assert talk(Pop(("x?a",))) is None
        assert talk(Pop(("x?b",))) == ("x?b", b"3")

    def test_a_look_takes_nothing(self, talk: Talk) -> None:
        assert (talk(ops.Waiting()), talk(ops.Oldest("x"))) == ({}, None)
        talk.push("x", b"1", b"2")
        talk.push("y", b"3")
        talk.send(body("z?b", b"raw"))
        for _ in range(2):
            assert talk(ops.Waiting()) == {"x": 2, "y": 1}
            assert (talk(ops.Oldest("x")), talk(ops.Oldest("y"))) == (b"1", b"3")

    def test_what_was_taken_is_counted_once(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.push("x", b"1", b"2")
        talk.send(Push("x", b"3", frames=3), Push("s?one", b"4"), body("s?two", b"raw"))
        tokens = [each.token for each in talk.claim("w1", "x")]
        talk(Release("w1", tuple(tokens[:1])))
        for channel in ("x", "s?one", "s?two"):
            assert talk(Pop((channel,))) is not None
        counters = talk(Counters())
        assert {key: counters[key] for key in ("taken:x", "taken:s?")} == {
            "taken:x": 5,
            "taken:s?": 1,
        }
        talk.crash("y", b"5")
        assert talk(Counters())["taken:y"] == 0

    def test_one_at_a_time_from_the_first_that_has_some(self, talk: Talk) -> None:
        talk.push("x", b"1", b"2")
        talk.push("y", b"3")
        got = [talk(Pop(("empty", "x", "y"))) for _ in range(4)]
        assert got == [("x", b"1"), ("x", b"2"), ("y", b"3"), None]
        assert talk.length("x") == 0

    def test_a_body(self, talk: Talk) -> None:
        channel = "http.request.body?abc"
        results = talk.send(*(body(channel, b"%d" % n, capacity=2) for n in range(3)))
        assert results == ("ok", "ok", "full")
        assert [talk(Pop((channel,))) for _ in range(3)] == [(channel, b"0"), (channel, b"1"), None]

    def test_a_body_that_is_exempt(self, talk: Talk) -> None:
        assert talk.send(*(body("b?1", b"%d" % n) for n in range(3))) == ("ok",) * 3

    def test_a_body_nobody_reads_vanishes(self, talk: Talk) -> None:
        channel = "http.request.body?abc"
        talk.send(body(channel, b"1", ttl=HOUR), body(channel, b"2", ttl=30))
        talk.send(body("http.request.body?other", b"3", ttl=HOUR))
        # Full as long as something is in there.
        probe = body(channel, b"probe", capacity=1, ttl=HOUR)
        wait_for(lambda: talk.send(probe) == ("ok",), timeout=5, what="the body vanishes")
        assert talk(Pop((channel,))) == (channel, b"probe")
        assert talk(Pop(("http.request.body?other",))) is not None

    def test_it_does_not_block_unless_asked(self, talk: Talk) -> None:
        started = time.monotonic()
        assert talk(Pop(("x",))) is None
        assert talk(Pop(("x",), 0.05)) is None
        assert time.monotonic() - started < 3

    @pytest.mark.parametrize("effect", [Push("x", b"1"), body("x", b"1")])
    def test_it_waits_for_one(self, talk: Talk, effect: Effect) -> None:
        got: list[Any] = []
        other = talk.engine.link("pop")
        begins = threading.Event()

        def pop() -> None:
            begins.set()
            got.extend(other.perform(Pop(("y", "x"), 8)))

        thread = threading.Thread(target=pop)
        thread.start()
        assert begins.wait(5)
        talk.send(effect)
        thread.join(5)
        woken = not thread.is_alive()
        thread.join(5)
        other.close()
        assert (woken, got) == (True, [("x", b"1")])

    @pytest.mark.asyncio
    async def test_an_event_loop_waits_for_one(self, engine: Engine, talk: Talk) -> None:
        link = engine.alink("pop")
        assert await link.perform(Pop(("x",), 0.05)) == [None]
        popping = asyncio.create_task(link.perform(Pop(("x",), 15)))
        for _ in range(20):
            await asyncio.sleep(0)
        await asyncio.to_thread(talk.push, "x", b"1")
        async with asyncio.timeout(5):
            assert await popping == [("x", b"1")]
        await link.aclose()


class TestLostState:
    def test_flush_removes_everything(self, talk: Talk) -> None:
        talk.worker("w1", "x")
        talk.interface("i1")
        talk.lease("w1", "x")
        token = talk.lease("w1", "dead")
        talk(GiveUp("w1", token, "poison", True))
        talk.push("x", b"")
        talk.send(GroupAdd("g", "i1", b""), GroupAddChannel("g", "x"), Delay("x", b"", 0))
        assert talk(Flush()) is None
        assert talk.length("x") == 0
        assert talk(Members("g")) == ((), ())
        assert talk(DeadLetters("dead")) == []
        assert talk(Counters()) == {}
        assert talk(Beat("w1")) is None
        assert talk.send(Tell("i1", b""), Push("x", b"", if_served=True)) == ("gone", "unserved")
        talk.worker("w1")
        assert talk.claim("w1", "x") == []

    def test_a_commit_after_a_flush_is_fenced(self, talk: Talk) -> None:
        talk.worker("w1")
        token = talk.lease("w1", "x")
        talk(Flush())
        assert talk.commit("w1", Outcome(token, (Push("y", b""),))) == ["fenced"]
        talk.worker("w1")
        assert talk.commit("w1", Outcome(token, (Push("y", b""),))) == ["fenced"]
        assert talk.length("y") == 0

    def test_an_interface_announces_itself_again(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        talk.send(GroupAdd("g", "i1", b"+"))
        ((cursor, _),) = talk.inbox("i1")
        talk(Flush())
        talk.worker("w1")
        assert isinstance(talk(Resume("i1", b"", (("c1", 3, 0),), ("g",), cursor)), int)
        assert talk(Beat("i1")).processes["i1"] == (1, "interface", "")
        assert talk.answer("w1", "x", Address("i1", "c1", 3)) == "superseded"
        assert talk.answer("w1", "x", Address("i1", "c1", 4)) == "done"
        talk.send(GroupSend("g", b"all", b""))
        assert talk.entries("i1", after=cursor) == [b"done", b"all"]
        talk(Leave("i1", ("g",), cursor))
        assert talk(Members("g")) == ((), ())

    def test_ids_go_on_above_the_cursor(self, talk: Talk) -> None:
        far = f"{int(time.time() * 1000) + HOUR}-7"
        talk(Resume("i1", b"", (), ("g",), far))
        talk.send(GroupAdd("g", "i1", b"+"))
        assert talk.entries("i1", after=far) == [b"+"]
        talk(Leave("i1", ("g",), far))
        assert talk(Members("g")) == (("i1",), ())

    def test_resuming_only_raises(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        talk.answer("w1", "x", Address("i1", "c1", 5))
        talk.send(GroupAdd("g", "i1", b"+"))
        (_, (generation, _)) = talk.inbox("i1")
        for _ in range(2):
            talk(Resume("i1", b"", (("c1", 2, 0), ("c2", 2, 0)), ("g", "h"), "1-0"))
        assert talk.answer("w1", "x", Address("i1", "c1", 5)) == "superseded"
        assert talk.answer("w1", "x", Address("i1", "c2", 2)) == "superseded"
        talk(Leave("i1", ("g", "h"), "1-0"))
        assert talk(Members("g")) == (("i1",), ())
        assert talk(Members("h")) == ((), ())
        assert talk.entries("i1") == [b"done", b"+"]
        talk(Leave("i1", ("g",), generation))
        talk.bury("i1")
        assert talk(Members("g")) == ((), ())

    def test_a_resumed_interface_is_reaped_whole(self, talk: Talk) -> None:
        talk(Resume("i1", b"", (("c1", 2, 0),), ("g", "h"), "1-0"))
        talk.bury("i1")
        assert talk(Members("g")) == ((), ())
        assert talk(Members("h")) == ((), ())


class TestLinks:
    def test_operations_of_one_call_are_applied_in_order(self, talk: Talk) -> None:
        answers = talk.link.perform(
            Register("w1", "worker", b""),
            Send("", 0, (Push("x", b"1"),)),
            Length("x"),
            Beat("w1"),
            Beat("nobody"),
        )
        assert isinstance(answers[0], int)
        assert answers[1].results == ("ok",)
        assert answers[2] == 1
        assert answers[3].processes == {"w1": (1, "worker", "")}
        assert answers[4] is None

    @pytest.mark.asyncio
    async def test_calls_of_an_event_loop_may_overlap(self, engine: Engine, talk: Talk) -> None:
        link = engine.alink("test")
        sends = [link.perform(Send("", 0, (Push("x", b"%d" % n),)), Length("x")) for n in range(20)]
        answers = await asyncio.gather(*sends)
        assert sorted(length for _, length in answers) == list(range(1, 21))
        await link.aclose()
        talk.worker("w1")
        assert talk.payloads("w1", "x", count=20) == [b"%d" % n for n in range(20)]

    def test_threads_share_a_layer(self, engine: Engine, talk: Talk) -> None:
        talk.worker("w1")

        def send() -> None:
            mine = Talk(engine)
            for _ in range(50):
                mine.push("x", b"")
            mine.close()

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        tokens = {each.token for each in talk.claim("w1", "x", count=500)}
        assert len(tokens) == 200

    def test_whether_several_processes_share_it(self, engine: Engine) -> None:
        assert engine.local_only is isinstance(engine, MemoryEngine | SealedEngine)
