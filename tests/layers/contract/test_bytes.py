"""Limits in bytes: of what waits on a channel, is parked, delayed, or dead, and of the layer.

A payload here has 4,000 bytes and a limit 10,000 or 20,000, so that what an engine adds to a
payload (channel, owner) decides nothing.
"""

import secrets

import pytest

from djchan.layers.operations import (
    Claim,
    Counters,
    DeadChannels,
    DeadLetters,
    Delay,
    Discard,
    Flush,
    GiveUp,
    GroupAddChannel,
    GroupSend,
    Held,
    Later,
    Outcome,
    Pop,
    Push,
    Reap,
    Redrive,
    Register,
    Release,
    Usage,
    Used,
)
from tests.layers.talk import PLAIN, Talk

# Encryption makes payloads larger by a third: what is counted is what lies in the store.
pytestmark = pytest.mark.parametrize("engine", PLAIN, indirect=True)

SIZE = 4000
SLACK = 200  # What an entry has beside its payload, at most.
LIMIT = 10_000
NOTHING = Used({}, {}, {}, {})


def payload() -> bytes:
    return secrets.token_bytes(SIZE)


def heavy(channel: str = "x", **options: int) -> Push:
    return Push(channel, payload(), **options)  # type: ignore[arg-type]


def overflow(talk: Talk, *pushes: Push | Delay) -> str:
    """Commit a run that sends these; what became of it."""
    token = talk.lease(talk.worker("sender"), "in")
    (result,) = talk.commit("sender", Outcome(token, pushes))
    return result


def used(talk: Talk) -> Used:
    answer = talk(Usage())
    assert isinstance(answer, Used)
    return answer


def is_about(size: int, messages: int) -> bool:
    return messages * SIZE <= size <= messages * (SIZE + SLACK)


class TestMillions:
    """More messages on one channel than a double can count together with their bytes."""

    DELIVERIES, FRAMES = 3003, 999

    @pytest.mark.parametrize("source", ["", "ab"])
    def test_each_message_and_byte_is_counted(self, talk: Talk, source: str) -> None:
        def is_counted(deliveries: int) -> None:
            assert talk.length("x") == deliveries * self.FRAMES
            assert used(talk).waiting == ({"x": deliveries * size} if deliveries else {})

        push = Push("x", b"1234567", frames=self.FRAMES, source=source)
        talk.send(push)
        size = used(talk).waiting["x"]
        talk.send(*[push] * (self.DELIVERIES - 1))
        is_counted(self.DELIVERIES)
        worker = talk.worker("w", "x")
        assert len(talk.claim(worker, "x", count=7)) == 7
        is_counted(self.DELIVERIES - 7)
        many = talk.claim(worker, "x", count=2000)
        assert len(many) == 2000
        is_counted(self.DELIVERIES - 2007)
        talk(Release(worker, tuple(each.token for each in many)))
        is_counted(self.DELIVERIES - 7)
        while talk.length("x"):
            assert talk.claim(worker, "x", count=2000)
        is_counted(0)


class TestAdmission:
    def test_a_send_is_refused_at_the_bytes_of_its_channel(self, talk: Talk) -> None:
        sent = talk.send(*[heavy(max_bytes=LIMIT) for _ in range(4)], heavy("y", max_bytes=LIMIT))

        assert sent == ("ok", "ok", "ok", "full:bytes", "ok")
        counters = talk(Counters())
        assert (counters["full:x"], counters["full_bytes"]) == (1, 1)
        assert talk.length("x") == 3

    def test_the_capacity_counts_messages_as_before(self, talk: Talk) -> None:
        sent = talk.send(*[heavy(capacity=2, max_bytes=LIMIT) for _ in range(3)])
        assert sent == ("ok", "ok", "full")

    def test_a_message_larger_than_the_limit_goes_to_an_empty_channel(self, talk: Talk) -> None:
        assert talk.send(heavy(max_bytes=1), heavy(max_bytes=1)) == ("ok", "full:bytes")

    def test_without_limits_nothing_is_refused(self, talk: Talk) -> None:
        assert set(talk.send(*[heavy() for _ in range(50)])) == {"ok"}

    def test_a_send_is_refused_at_the_bytes_of_the_layer(self, talk: Talk) -> None:
        sent = talk.send(*[heavy(f"c{n}", total=LIMIT) for n in range(4)])

        assert sent == ("ok", "ok", "ok", "full:total")
        assert talk(Counters())["full_total"] == 1

    @pytest.mark.parametrize("beside", ["parked", "delayed", "suspect"])
    def test_the_layer_counts_what_does_not_wait_too(self, talk: Talk, beside: str) -> None:
        if beside == "parked":
            assert overflow(talk, *[heavy(max_bytes=1) for _ in range(3)]) == "parked"
        elif beside == "delayed":
            talk.send(*[Delay("x", payload(), 60_000) for _ in range(3)])
        else:
            talk.crash("x", *[payload() for _ in range(3)])
        if beside == "parked":
            # What is parked has 1 of its channel's bytes: one waits, one is parked, one is dead.
            assert talk.send(heavy("y"), heavy("y", total=LIMIT)) == ("ok", "full:total")
        else:
            assert talk.send(heavy("y", total=LIMIT)) == ("full:total",)

    def test_what_expired_makes_room(self, talk: Talk) -> None:
        talk.send(*[heavy(expires=1, keep=False) for _ in range(3)])
        assert talk.send(heavy(max_bytes=LIMIT)) == ("ok",)
        assert is_about(used(talk).waiting["x"], 1)

    @pytest.mark.parametrize("limit", ["max_bytes", "total"])
    def test_a_group_skips_a_member_that_is_full(self, talk: Talk, limit: str) -> None:
        talk.send(GroupAddChannel("g", "x", **{limit: LIMIT}))  # type: ignore[arg-type]
        talk.send(*[GroupSend("g", b"", payload()) for _ in range(5)])

        assert talk.length("x") == 3
        assert talk(Counters())["skipped:x"] == 2

    def test_a_delay_is_refused_at_the_bytes_of_its_channel(self, talk: Talk) -> None:
        delays = [Delay("x", payload(), 60_000, max_bytes=LIMIT) for _ in range(4)]

        assert talk.send(*delays) == ("ok", "ok", "ok", "full:bytes")
        assert is_about(used(talk).delayed["x"], 3)
        # What waits for a time has its own bytes; the channel has all of its own.
        assert talk.send(heavy(max_bytes=LIMIT)) == ("ok",)

    def test_a_delay_is_refused_at_the_bytes_of_the_layer(self, talk: Talk) -> None:
        delays = [Delay(f"c{n}", payload(), 60_000, total=LIMIT) for n in range(4)]
        assert talk.send(*delays) == ("ok", "ok", "ok", "full:total")


class TestCommits:
    def test_beyond_the_bytes_of_a_channel_it_is_parked_in_order(self, talk: Talk) -> None:
        pushes = [heavy(max_bytes=LIMIT) for _ in range(5)]

        assert overflow(talk, *pushes) == "parked"

        assert is_about(used(talk).waiting["x"], 3)
        assert is_about(used(talk).parked["x"], 2)
        got: list[bytes] = []
        while more := talk.payloads("sender", "x", count=2):
            got += more
        assert got == [push.payload for push in pushes]
        assert used(talk) == NOTHING

    def test_beyond_as_many_parked_bytes_it_is_a_dead_letter(self, talk: Talk) -> None:
        pushes = [heavy(max_bytes=LIMIT) for _ in range(8)]

        assert overflow(talk, *pushes) == "parked"

        assert is_about(used(talk).parked["x"], 3)
        letters = talk(DeadLetters("x"))
        assert [each.reason for each in letters] == ["overflow"] * 2
        assert [each.payload for each in letters] == [pushes[7].payload, pushes[6].payload]

    def test_beyond_the_bytes_of_the_layer_it_is_parked_and_beyond_twice_dead(
        self, talk: Talk
    ) -> None:
        assert overflow(talk, *[heavy(f"c{n}", total=LIMIT) for n in range(8)]) == "parked"

        assert set(used(talk).waiting) == {"c0", "c1", "c2"}
        assert set(used(talk).parked) == {"c3", "c4"}
        assert talk(DeadChannels()) == {"c5": 1, "c6": 1, "c7": 1}

    def test_a_delay_beyond_its_bytes_is_a_dead_letter(self, talk: Talk) -> None:
        delays = [Delay("x", payload(), 60_000, max_bytes=LIMIT) for _ in range(4)]

        assert overflow(talk, *delays) == "parked"

        assert [each.payload for each in talk(DeadLetters("x"))] == [delays[3].payload]

    def test_to_be_run_later_is_never_refused(self, talk: Talk) -> None:
        talk.send(*[Delay("x", payload(), 60_000) for _ in range(5)])
        token = talk.lease(talk.worker("w"), "x", payload())

        assert talk.commit("w", Outcome(token, later=Later(60_000, 0, payload(), "x"))) == ["done"]

        assert is_about(used(talk).delayed["x"], 6)


class TestDeadLetters:
    def bury(self, talk: Talk, channel: str, many: int) -> None:
        worker = talk.worker("gravedigger")
        for _ in range(many):
            token = talk.lease(worker, channel, payload())
            assert talk(GiveUp(worker, token, "poison", True)) == "done"

    def test_beyond_their_bytes_the_oldest_of_the_heaviest_channel_go(self, talk: Talk) -> None:
        talk(Register("i", "interface", b"", dead_bytes=20_000))
        self.bury(talk, "heavy", 4)
        oldest = talk(DeadLetters("heavy"))[-1].payload
        assert talk(DeadChannels()) == {"heavy": 4}

        self.bury(talk, "light", 2)

        assert talk(DeadChannels()) == {"heavy": 2, "light": 2}
        assert oldest not in [each.payload for each in talk(DeadLetters("heavy"))]
        assert talk(Counters())["forgotten:heavy"] == 2
        assert is_about(used(talk).dead["heavy"], 2)

    def test_they_take_nothing_from_those_who_send(self, talk: Talk) -> None:
        self.bury(talk, "x", 5)
        assert talk.send(heavy(max_bytes=LIMIT, total=LIMIT)) == ("ok",)

    def test_the_last_one_to_say_a_limit_counts_and_none_changes_nothing(self, talk: Talk) -> None:
        talk(Register("i", "interface", b"", dead_bytes=20_000))
        talk(Register("w", "worker", b""))
        self.bury(talk, "x", 6)
        assert talk(DeadChannels()) == {"x": 4}

    def test_of_a_channel_a_thousand_are_kept_as_before(self, talk: Talk) -> None:
        worker = talk.worker("w")
        talk.push("x", *[b"%d" % number for number in range(1003)])
        while leased := talk.claim(worker, "x", count=500):
            for each in leased:
                talk(GiveUp(worker, each.token, "poison", True))
        assert talk(DeadChannels()) == {"x": 1000}
        assert talk(DeadLetters("x"))[0].payload == b"1002"
        assert used(talk).dead["x"] < 1000 * SLACK

    @pytest.mark.parametrize("end", [Redrive, Discard])
    def test_one_that_is_taken_off_takes_no_room(self, talk: Talk, end: type) -> None:
        self.bury(talk, "x", 2)
        for letter in talk(DeadLetters("x")):
            rest = (letter.payload,) if end is Redrive else ()
            assert talk(end("x", letter.id, *rest)) is True
        assert used(talk).dead == {}
        assert bool(used(talk).waiting) is (end is Redrive)


class TestEveryWay:
    """Whatever way a delivery comes back or goes, its bytes are counted once."""

    def test_nothing_is_left_after_any_of_them(self, talk: Talk) -> None:
        def lease(many: int, channel: str = "x") -> list[int]:
            talk.send(*[heavy(channel) for _ in range(many)])
            return [each.token for each in talk.claim("w", channel)]

        talk.worker("w")
        first, _, third, fourth = lease(4)
        assert used(talk) == NOTHING
        assert talk(Release("w", (first,))) == 1
        assert talk(Held("w", (third, fourth), ())) == 1
        assert talk.commit("w", Outcome(third), Outcome(fourth, later=Later(0, 0, b"x", "x"))) == [
            "done",
            "done",
        ]
        assert is_about(used(talk).waiting["x"], 2) and not used(talk).delayed
        assert talk(Reap("w", 0)) is True
        talk.crash("x", *talk.payloads(talk.worker("w2"), "x"))
        assert len(talk.claim("w2", "x")) == 1  # A worker has one suspect at a time.
        for worker in ("w3", "w4"):
            talk.worker(worker)
            assert len(talk(Claim(worker, worker, ("x",), 9)).deliveries) == 1
        assert used(talk) == NOTHING
        talk.send(heavy(), Push("x", payload(), frames=3))
        while talk(Pop(("x",))) is not None:
            pass
        assert used(talk) == NOTHING

    def test_flush_forgets_them(self, talk: Talk) -> None:
        talk.send(heavy(), Delay("x", payload(), 60_000))
        talk(Flush())
        assert used(talk) == NOTHING
        assert talk.send(heavy(total=LIMIT)) == ("ok",)
