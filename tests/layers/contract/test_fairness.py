"""Sources take turns: who has much waiting on a channel holds up nobody else."""

import pytest

from djchan.layers.operations import (
    Claim,
    Counters,
    Held,
    Later,
    Oldest,
    Outcome,
    Pop,
    Push,
    Reap,
    Record,
    Register,
    Release,
    Usage,
    Used,
    Wait,
)
from tests.layers.talk import PLAIN, Talk, Waiting

A, B, C = "aaaa", "bbbb", "cccc"


def push(talk: Talk, source: str, *payloads: bytes, channel: str = "x", **options: int) -> None:
    pushes = [Push(channel, payload, source=source, **options) for payload in payloads]  # type: ignore[arg-type]
    assert set(talk.send(*pushes)) == {"ok"}


def numbered(name: str, start: int, end: int) -> list[bytes]:
    return [f"{name}{number}".encode() for number in range(start, end)]


def claim_all(talk: Talk, worker: str, *, count: int, channel: str = "x") -> list[bytes]:
    got: list[bytes] = []
    while more := talk.payloads(worker, channel, count=count):
        got += more
    return got


class TestTurns:
    def test_one_at_a_time_goes_round(self, talk: Talk) -> None:
        push(talk, A, *numbered("a", 0, 4))
        push(talk, B, *numbered("b", 0, 2))
        push(talk, C, b"c0")

        got = claim_all(talk, talk.worker("w"), count=1)

        assert got == [b"a0", b"b0", b"c0", b"a1", b"b1", b"a2", b"a3"]

    def test_a_quiet_source_is_in_the_next_claim_however_much_waits(self, talk: Talk) -> None:
        push(talk, A, *numbered("a", 0, 500))
        talk.worker("w")
        assert len(talk.claim("w", "x", count=64)) == 64

        push(talk, B, b"b0")

        assert b"b0" in talk.payloads("w", "x", count=4)

    @pytest.mark.parametrize("count", [1, 2, 3, 7, 64])
    def test_nothing_is_lost_and_each_source_keeps_its_order(self, talk: Talk, count: int) -> None:
        sizes = {A: 40, B: 9, C: 1}
        for source, size in sizes.items():
            push(talk, source, *numbered(source[0], 0, size))
        talk.push("x", *numbered("-", 0, 12))

        got = claim_all(talk, talk.worker("w"), count=count)

        for name, size in (("a", 40), ("b", 9), ("c", 1), ("-", 12)):
            assert [each for each in got if each.startswith(name.encode())] == numbered(
                name, 0, size
            )
        assert len(got) == 62
        assert (talk.length("x"), talk(Usage())) == (0, Used({}, {}, {}, {}))

    def test_a_claim_of_many_takes_the_same_share_of_each(self, talk: Talk) -> None:
        for source in (A, B, C):
            push(talk, source, *numbered(source[0], 0, 100))
        got = talk.payloads(talk.worker("w"), "x", count=60)
        assert sorted(each[:1] for each in got) == [b"a"] * 20 + [b"b"] * 20 + [b"c"] * 20

    def test_what_has_no_source_takes_its_turn(self, talk: Talk) -> None:
        push(talk, A, *numbered("a", 0, 3))
        talk.push("x", *numbered("-", 0, 3))
        assert claim_all(talk, talk.worker("w"), count=1) == [
            *(b"a0", b"-0", b"a1", b"-1", b"a2", b"-2")
        ]

    def test_a_source_that_comes_again_is_behind_those_that_wait(self, talk: Talk) -> None:
        talk.worker("w")
        push(talk, A, b"a0")
        push(talk, B, *numbered("b", 0, 3))
        assert talk.payloads("w", "x", count=1) == [b"a0"]
        push(talk, A, b"a1")
        assert claim_all(talk, "w", count=1) == [b"b0", b"a1", b"b1", b"b2"]

    def test_a_claim_tells_the_source(self, talk: Talk) -> None:
        push(talk, A, b"a0")
        talk.push("x", b"none")
        leased = talk.claim(talk.worker("w"), "x")
        assert {each.payload: each.source for each in leased} == {b"a0": A, b"none": ""}

    def test_a_pop_takes_turns_too(self, talk: Talk) -> None:
        push(talk, A, *numbered("a", 0, 2))
        push(talk, B, b"b0")
        got = []
        while (popped := talk(Pop(("x",)))) is not None:
            got.append(popped)
        assert got == [("x", b"a0"), ("x", b"b0"), ("x", b"a1")]

    def test_other_channels_have_turns_of_their_own(self, talk: Talk) -> None:
        push(talk, A, *numbered("a", 0, 2), channel="y")
        push(talk, B, b"b0")
        talk.push("z", b"z0")
        talk.worker("w")
        assert claim_all(talk, "w", count=5) == [b"b0"]
        assert claim_all(talk, "w", count=5, channel="z") == [b"z0"]
        assert claim_all(talk, "w", count=1, channel="y") == [b"a0", b"a1"]

    def test_the_next_one_is_the_oldest_that_can_be_looked_at(self, talk: Talk) -> None:
        assert talk(Oldest("x")) is None
        talk.push("x", b"none")
        assert talk(Oldest("x")) == b"none"
        push(talk, A, b"a0")
        assert talk(Oldest("x")) == b"a0"
        talk.payloads(talk.worker("w"), "x", count=1)
        assert talk(Oldest("x")) == b"none"

    def test_an_idle_worker_is_woken(self, talk: Talk) -> None:
        talk.worker("w", "x")
        assert talk.claim("w", "x") == []
        with Waiting(talk.engine, "w-bell"):
            push(talk, A, b"a0")
        assert talk.payloads("w", "x") == [b"a0"]

    def test_who_could_not_take_all_wakes_another(self, talk: Talk) -> None:
        for name in ("w1", "w2"):
            talk.worker(name, "x")
            assert talk.claim(name, "x") == []
        push(talk, A, b"a0", b"a1")
        assert talk(Wait("w1-bell", 4)) is None
        with Waiting(talk.engine, "w2-bell"):
            assert talk.payloads("w1", "x", count=1) == [b"a0"]

    def test_a_closing_or_dead_workers_ring_is_passed_on(self, talk: Talk) -> None:
        for name in ("w1", "w2"):
            talk.worker(name, "x")
        assert talk.claim("w1", "x") == []
        push(talk, A, b"a0")
        assert talk.claim("w2", "x", count=0) == []
        with Waiting(talk.engine, "w2-bell"):
            assert talk(Reap("w1", 0)) is True


class TestWaysBack:
    def test_what_is_given_back_is_at_the_head_of_its_source(self, talk: Talk) -> None:
        push(talk, A, *numbered("a", 0, 3))
        push(talk, B, *numbered("b", 0, 2))
        talk.worker("w")
        tokens = [each.token for each in talk.claim("w", "x", count=4)]

        assert talk(Release("w", tuple(tokens))) == 4

        got = claim_all(talk, "w", count=1)
        assert [each for each in got if each[:1] == b"a"] == numbered("a", 0, 3)
        assert [each for each in got if each[:1] == b"b"] == numbered("b", 0, 2)

    def test_a_source_that_was_empty_has_the_next_turn(self, talk: Talk) -> None:
        talk.worker("w")
        push(talk, A, b"a0")
        (leased,) = talk.claim("w", "x")
        push(talk, B, b"b0")
        assert talk(Held("w", (), ())) == 1
        assert claim_all(talk, "w", count=1) == [b"a0", b"b0"]
        assert leased.source == A

    def test_suspects_and_what_is_due_come_back_to_their_source(self, talk: Talk) -> None:
        talk.worker("w")
        push(talk, A, b"a0", b"a1")
        first, second = talk.claim("w", "x")
        later = Later(0, 0, b"again", "x")
        assert talk.commit("w", Outcome(first.token, later=later)) == ["done"]
        assert talk(Reap("w", 0)) is True

        leased = talk.claim(talk.worker("w2"), "x")

        assert [(each.payload, each.source, each.attempt) for each in leased] == [
            (b"a1", A, 2),
            (b"again", A, 1),
        ]
        assert second.source == A

    def test_what_was_parked_comes_back_to_its_source(self, talk: Talk) -> None:
        token = talk.lease(talk.worker("w"), "in")
        pushes = [Push("x", payload, limit=1, source=A) for payload in numbered("a", 0, 3)]
        assert talk.commit("w", Outcome(token, tuple(pushes))) == ["parked"]
        leased = talk.claim("w", "x")
        assert [(each.payload, each.source) for each in leased] == [
            (payload, A) for payload in numbered("a", 0, 3)
        ]

    def test_switched_off_and_on_with_messages_waiting_nothing_is_lost(self, talk: Talk) -> None:
        talk.push("x", b"off0")
        push(talk, A, b"on0")
        talk.push("x", b"off1")
        push(talk, B, b"on1")
        assert sorted(claim_all(talk, talk.worker("w"), count=3)) == [
            *(b"off0", b"off1", b"on0", b"on1")
        ]
        assert talk(Usage()) == Used({}, {}, {}, {})

    def test_a_dead_interfaces_delivery_in_a_source_is_waited_for(self, talk: Talk) -> None:
        """Its last one (the disconnect) comes behind it."""
        talk.worker("w", "websocket.receive", "x")
        talk.interface("i")
        record = Record("i", "c1", "x", b"last")
        frame = Push("websocket.receive", b"frame", owner=("i", "c1"), source=A)
        assert talk.send(record, frame) == ("ok", "ok")

        assert talk(Reap("i", 0)) is True

        assert talk.claim("w", "x") == []
        assert talk(Pop(("websocket.receive",))) == ("websocket.receive", b"frame")
        assert talk.payloads("w", "x") == [b"last"]


class TestShares:
    def test_a_source_alone_has_half_of_the_capacity(self, talk: Talk) -> None:
        sent = talk.send(*[Push("x", b"a", 10, source=A) for _ in range(7)])
        assert sent == ("ok",) * 5 + ("full:share",) * 2
        counters = talk(Counters())
        assert (counters["full:x"], counters["full_share"]) == (2, 2)

    def test_the_rest_is_for_others(self, talk: Talk) -> None:
        talk.send(*[Push("x", b"a", 10, source=A) for _ in range(7)])
        for number in range(5):
            assert talk.send(Push("x", b"b", 10, source=f"b{number}")) == ("ok",)
        assert talk.length("x") == 10
        assert talk.send(Push("x", b"c", 6, source=C)) == ("full",)
        assert talk.send(Push("x", b"-", 10)) == ("full",)

    def test_what_others_had_put_back_keeps_nobody_out(self, talk: Talk) -> None:
        """What is put back is not admitted anew, so that it may fill the channel."""
        talk.worker("w")
        for _ in range(4):
            push(talk, A, *numbered("a", 0, 5), capacity=10)
            talk.claim("w", "x", count=5)
        assert talk(Held("w", (), ())) == 20

        assert talk.send(Push("x", b"b", 10, max_bytes=9, source=B)) == ("ok",)
        assert talk.send(Push("x", b"b", 10, source=B)) == ("full",)
        assert talk.send(Push("x", b"-", 10)) == ("full",)
        assert talk.send(Push("x", b"c", 10, total=9, source=C)) == ("full:total",)

    def test_but_as_many_sources_as_the_capacity_do(self, talk: Talk) -> None:
        for number in range(3):
            push(talk, f"a{number}", b"a", b"a")
        assert talk.send(Push("x", b"b", 3, source=B)) == ("full",)
        assert talk.send(Push("x", b"b", 4, source=B)) == ("ok",)

    def test_bytes_are_shared_as_well(self, talk: Talk) -> None:
        heavy = Push("x", b"a" * 1000, max_bytes=10_000, source=A)
        assert talk.send(*[heavy] * 6).count("full:share") == 1
        assert talk.send(heavy._replace(source=B)) == ("ok",)

    def test_what_is_exempt_and_what_a_commit_sends_is_not_refused(self, talk: Talk) -> None:
        push(talk, A, *numbered("a", 0, 30))
        token = talk.lease(talk.worker("w"), "in")
        pushes = tuple(Push("y", b"a", limit=30, source=A) for _ in range(30))
        assert talk.commit("w", Outcome(token, pushes)) == ["done"]

    def test_what_expired_makes_room_for_its_source(self, talk: Talk) -> None:
        for _ in range(5):
            assert talk.send(Push("x", b"a", 10, source=A, expires=1, keep=False)) == ("ok",)
        assert talk.send(Push("x", b"a", 10, source=A)) == ("ok",)
        assert talk.length("x") == 1
        assert talk.payloads(talk.worker("w"), "x") == [b"a"]

    def test_a_claim_makes_room(self, talk: Talk) -> None:
        talk.send(*[Push("x", b"a", 10, source=A) for _ in range(7)])
        talk.claim(talk.worker("w"), "x", count=2)
        assert talk.send(Push("x", b"a", 10, source=A)) == ("ok",)


@pytest.mark.parametrize("engine", PLAIN, indirect=True)
def test_a_claim_asked_again_answers_the_same(talk: Talk) -> None:
    push(talk, A, *numbered("a", 0, 3))
    push(talk, B, b"b0")
    talk(Register("w", "worker", b"", ("x",)))
    asked = Claim("w", "bell", ("x",), 2, "1", 1)
    first = talk(asked).deliveries
    assert talk(asked._replace(again=True)).deliveries == first
    assert {each.source for each in first} == {A, B}
