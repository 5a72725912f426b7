"""Numbered operations of callers that are no registered process: repeated, they change nothing."""

import threading
import time
from typing import Any

import pytest

from djchan.layers.operations import (
    Delay,
    Flush,
    Outcome,
    Part,
    Pop,
    Push,
    Release,
    Send,
    Sent,
    Tell,
)
from tests.layers.talk import Talk, body


def send(number: int, *effects: Any, link: str = "caller", **more: Any) -> Send:
    return Send("", number, effects, link=link, **more)


class TestPop:
    @pytest.mark.parametrize("timeout", [0, 5])
    def test_a_repeated_pop_is_answered_again_and_takes_nothing(
        self, talk: Talk, timeout: float
    ) -> None:
        talk.push("x", b"1", b"2")
        for _ in range(3):
            assert talk(Pop(("x",), timeout, "caller", 1)) == ("x", b"1")
        assert talk.length("x") == 1
        assert talk(Pop(("x",), timeout, "caller", 2)) == ("x", b"2")

    def test_a_chunk_of_a_body_is_not_lost_with_its_answer(self, talk: Talk) -> None:
        channel, chunk = "http.request.body?abc", bytes(range(256)) * 2048
        talk.send(body(channel, chunk), body(channel, b"the end"))
        for number, payload in ((1, chunk), (2, b"the end")):
            for _ in range(2):
                assert talk(Pop((channel,), 1, "reader", number)) == (channel, payload)

    def test_a_pop_that_found_nothing_looks_again(self, talk: Talk) -> None:
        assert talk(Pop(("x",), link="caller", number=1)) is None
        talk.push("x", b"1")
        assert talk(Pop(("x",), link="caller", number=1)) == ("x", b"1")

    def test_a_pop_that_waits_gets_what_becomes_due(self, talk: Talk) -> None:
        talk.send(Delay("x", b"1", 100), Delay("y", b"2", 50), Delay("x", b"3", 60_000))
        began = time.monotonic()
        assert talk(Pop(("x",), 5, "caller", 1)) == ("x", b"1")
        assert time.monotonic() - began < 4, "it is not the end of its time that made it look"

    def test_what_is_delayed_while_a_pop_waits_ends_its_wait_when_it_is_due(
        self, talk: Talk
    ) -> None:
        got: list[Any] = []
        other = talk.engine.link("pop")
        began = time.monotonic()
        popping = threading.Thread(target=lambda: got.extend(other.perform(Pop(("x",), 5))))
        popping.start()
        talk.send(Delay("x", b"1", 500))
        popping.join(10)
        other.close()
        assert got == [("x", b"1")]
        assert 0.5 <= time.monotonic() - began < 4

    def test_an_older_number_takes_nothing(self, talk: Talk) -> None:
        talk.push("x", b"1", b"2", b"3")
        for number in (1, 2):
            talk(Pop(("x",), link="caller", number=number))
        assert talk(Pop(("x",), link="caller", number=1)) is None
        assert talk.length("x") == 1

    def test_each_caller_has_its_own_numbers(self, talk: Talk) -> None:
        talk.push("x", b"1", b"2")
        assert talk(Pop(("x",), link="one", number=1)) == ("x", b"1")
        assert talk(Pop(("x",), link="another", number=1)) == ("x", b"2")

    def test_a_name_of_one_process_is_answered_again_whole(self, talk: Talk) -> None:
        talk.push("p!a", b"1")
        for _ in range(2):
            assert talk(Pop(("p!",), link="caller", number=1)) == ("p!a", b"1")

    def test_a_pop_that_was_repeated_while_it_waited_is_woken(self, talk: Talk) -> None:
        """The wake-up of its first try must not go to nobody."""
        talk(Pop(("x",), 0.05, "caller", 1))
        got: list[Any] = []
        other = talk.engine.link("pop")
        thread = threading.Thread(
            target=lambda: got.extend(other.perform(Pop(("x",), 5, "caller", 1)))
        )
        thread.start()
        talk.push("x", b"1")
        thread.join(4)
        other.close()
        assert got == [("x", b"1")]


class TestPart:
    def test_a_repeated_part_is_sent_once(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        token = talk.lease("w1", "http.request")
        for number in (1, 2):
            part = Part("w1", token, "i1", "c1", b"part %d" % number, "caller", number)
            assert [talk(part) for _ in range(3)] == ["ok"] * 3
        assert talk(part._replace(number=1)) is None
        assert talk.entries("i1") == [b"part 1", b"part 2"]

    def test_a_part_that_was_applied_is_answered_so_when_its_delivery_is_over(
        self, talk: Talk
    ) -> None:
        talk.worker("w1")
        talk.interface("i1")
        token = talk.lease("w1", "http.request")
        part = Part("w1", token, "i1", "c1", b"part", "caller", 1)
        assert talk(part) == "ok"
        talk.commit("w1", Outcome(token))
        assert talk(part) == "ok"
        assert talk(part._replace(number=2)) == "fenced"

    def test_a_part_that_was_refused_is_looked_at_again(self, talk: Talk) -> None:
        talk.worker("w1")
        talk.interface("i1")
        token = talk.lease("w1", "http.request")
        talk(Release("w1", (token,)))
        part = Part("w1", token, "i1", "c1", b"part", "caller", 1)
        assert [talk(part) for _ in range(2)] == ["fenced", "fenced"]


class TestSend:
    def test_a_repeated_send_is_answered_again_and_sends_nothing(self, talk: Talk) -> None:
        effects = (Push("x", b"1", 1), Push("x", b"2", 1), Tell("nobody", b""))
        for _ in range(3):
            assert talk(send(1, *effects)) == Sent(("ok", "full", "gone"))
        assert talk.length("x") == 1

    def test_a_send_without_a_caller_is_applied_each_time(self, talk: Talk) -> None:
        for _ in range(2):
            assert talk(send(1, Push("x", b"1"), link="")) == Sent(("ok",))
        assert talk.length("x") == 2

    def test_an_older_number_sends_nothing(self, talk: Talk) -> None:
        talk(send(2, Push("x", b"1")))
        assert talk(send(1, Push("x", b"2"))) is None
        assert talk.length("x") == 1

    def test_numbers_may_be_left_out(self, talk: Talk) -> None:
        assert talk(send(1, Push("x", b"1"))) == Sent(("ok",))
        assert talk(send(7, Push("x", b"2"))) == Sent(("ok",))
        assert talk.length("x") == 2

    def test_a_fenced_send_is_answered_so_again(self, talk: Talk) -> None:
        talk.worker("w1")
        token = talk.lease("w1", "y")
        fenced = send(1, Push("x", b"1"), fence=("w1", token))
        assert talk(fenced) == Sent(("ok",))
        talk.commit("w1", Outcome(token))
        assert talk(fenced) == Sent(("ok",))
        assert talk(fenced._replace(number=2)) == Sent(("fenced",))
        assert talk.length("x") == 1

    def test_a_caller_is_not_taken_for_a_link_of_a_process(self, talk: Talk) -> None:
        talk.interface("i1")
        assert talk(Send("i1", 1, (Push("x", b"1"),), link="caller")) == Sent(("ok",))
        assert talk(send(1, Push("x", b"2"))) == Sent(("ok",))
        assert talk.length("x") == 2


def test_a_flush_forgets_the_answers(talk: Talk) -> None:
    talk(send(1, Push("x", b"1")))
    talk(Flush())
    assert talk(send(1, Push("x", b"2"))) == Sent(("ok",))
    assert talk.length("x") == 1
