"""The scripts on a real Redis and a real Valkey: what they cost, whom they wake, what stays."""

import re
from collections.abc import Iterator

import pytest

from djchan.layers.operations import (
    Address,
    Beat,
    Claim,
    Claimed,
    Closing,
    Commit,
    Discard,
    Effect,
    Flush,
    GiveUp,
    Grant,
    GroupAdd,
    GroupAddChannel,
    GroupSend,
    Held,
    Leased,
    Length,
    Operation,
    Outcome,
    Part,
    Pop,
    Push,
    Reap,
    Record,
    Register,
    Release,
    Room,
    Send,
    Tell,
    Wait,
)
from djchan.layers.redis.engine import RedisEngine
from djchan.layers.redis.links import RedisLink
from tests.support.servers import Server

BASE = "{s}1:"
WORKER, INTERFACE = "W" * 22, "P" * 22
# What a layer keeps of no process: the run, what is routed, who is dead, the last numbers.
LASTING = {"bytes", "hist", "routed", "tomb", "stats", "token", "serial"}


@pytest.fixture
def link(broker: Server) -> Iterator[RedisLink]:
    link = RedisEngine([broker.url], prefix="s").link("test")
    link.perform(Register(WORKER, "worker", b"", ("a",)))
    link.perform(Register(INTERFACE, "interface", b"", inbox=1_000_000))
    yield link
    link.close()


def keys(link: RedisLink) -> set[str]:
    (found,) = link._exchange([("KEYS", "*")])
    return {key.decode().removeprefix(BASE) for key in found}


def push(link: RedisLink, *payloads: bytes, channel: str = "a") -> None:
    effects = tuple(Push(channel, payload) for payload in payloads)
    (sent,) = link.perform(Send("", 0, effects))
    assert set(sent.results) <= {"ok"}


def claim(link: RedisLink, worker: str, *, bell: str = "", count: int = 10) -> list[Leased]:
    (claimed,) = link.perform(Claim(worker, bell or f"{worker}.1", ("a",), count))
    assert isinstance(claimed, Claimed) and claimed.known
    return list(claimed.deliveries)


def lease(link: RedisLink, worker: str, *payloads: bytes) -> None:
    link.perform(Register(worker, "worker", b"", ("a",)))
    push(link, *payloads)
    assert len(claim(link, worker, count=1000)) == len(payloads)


def crash(link: RedisLink, *payloads: bytes) -> None:
    """These were leased to a worker that died."""
    lease(link, "crashed", *payloads)
    assert link.perform(Reap("crashed", 0)) == [True]


def rung(link: RedisLink) -> set[str]:
    return {key.removeprefix("bell:") for key in keys(link) if key.startswith("bell:")}


class TestCost:
    """Commands that a script calls when there is nothing unusual: they are what time goes to."""

    def calls(self, broker: Server, link: RedisLink, operation: Operation) -> int:
        broker.command("CONFIG", "RESETSTAT")
        link.perform(operation)
        stats = broker.command("INFO", "commandstats").decode()
        counts = dict(re.findall(r"cmdstat_([\w|]+):calls=(\d+)", stats))
        for ours in ("evalsha", "config|resetstat", "info"):
            counts.pop(ours, None)
        return sum(map(int, counts.values()))

    @pytest.mark.parametrize(("many", "stored"), [(1, 1), (50, 2)])
    def test_a_send(self, broker: Server, link: RedisLink, many: int, stored: int):
        effects = tuple(Push("a", b"x", 1000) for _ in range(many))
        link.perform(Send(INTERFACE, 1, (), link="out"))

        # However many there are: number, stale, bell; queue; number. First and, if there are
        # more, at the end: n and the bytes of the layer.
        operation = Send(INTERFACE, 2, effects, link="out")
        assert self.calls(broker, link, operation) == 5 + 2 * stored

    def test_a_send_of_connections_that_begin(self, broker: Server, link: RedisLink):
        link.perform(Send(INTERFACE, 1, (), link="out"))
        operation = Send(INTERFACE, 2, (), link="out", begin=("c1", "c2", "c3"))

        # Of each: its floor. Once: number, stale; number.
        assert self.calls(broker, link, operation) == 3 + 3

    def test_a_claim(self, broker: Server, link: RedisLink):
        push(link, *[b"x"] * 60)
        operation = Claim(WORKER, "W.1", ("a",), 50, "1", 1)

        # Clock, known, idle, due, odd, queue, n, the bytes of the layer, token twice, lease,
        # number, counter; and whether more waits, with the bell for it.
        assert self.calls(broker, link, operation) == 15

    @pytest.mark.parametrize("many", [1, 50])
    def test_a_commit(self, broker: Server, link: RedisLink, many: int):
        push(link, *[b"x"] * many)
        leased = claim(link, WORKER, count=many)
        link.perform(Commit(WORKER, "1", 1, ()))
        begin = tuple(f"c{index}" for index in range(many))
        link.perform(Send(INTERFACE, 1, (), link="out", begin=begin))
        outcomes = tuple(
            Outcome(each.token, (), Address(INTERFACE, f"c{index}", 1), b"answer")
            for index, each in enumerate(leased)
        )

        # Of each: lease, floor twice, answer. Once: number, unusual, known; number.
        assert self.calls(broker, link, Commit(WORKER, "1", 2, outcomes)) == 4 + 4 * many

    @pytest.mark.parametrize(("many", "stored"), [(1, 1), (50, 2)])
    def test_a_commit_that_sends_on(self, broker: Server, link: RedisLink, many: int, stored: int):
        push(link, *[b"x"] * many)
        leased = claim(link, WORKER, count=many)
        link.perform(Commit(WORKER, "1", 1, ()))
        outcomes = tuple(Outcome(each.token, (Push("b", b"y", limit=900),)) for each in leased)

        # Of each: its lease. Once: number, unusual, bell; queue; number. First and at the end:
        # n and the bytes of the layer.
        operation = Commit(WORKER, "1", 2, outcomes)
        assert self.calls(broker, link, operation) == 5 + 2 * stored + many

    @pytest.mark.parametrize(("many", "room"), [(1, 1), (50, 2)])
    def test_group_messages(self, broker: Server, link: RedisLink, many: int, room: int):
        link.perform(Send("", 0, (GroupAdd("g", INTERFACE, b"add"),)))
        link.perform(Send(INTERFACE, 1, (), link="out"))
        effects = tuple(GroupSend("g", b"entry", b"") for _ in range(many))

        # Of each: members, entry. Once: number, stale; number; and the room in the inbox.
        operation = Send(INTERFACE, 2, effects, link="out")
        assert self.calls(broker, link, operation) == 3 + room + 2 * many


class TestBells:
    def test_a_suspect_wakes_a_worker_that_has_none(self, link: RedisLink):
        """Not another lane of the one that has one: it could not take it."""
        link.perform(Register("other", "worker", b"", ("a",)))
        crash(link, b"first")
        assert len(claim(link, WORKER)) == 1
        lease(link, "doomed", b"second")
        for lane in range(12):
            assert claim(link, WORKER, bell=f"{WORKER}.{lane}") == []
        assert claim(link, "other", bell="other.1") == []

        link.perform(Reap("doomed", 0))

        assert rung(link) == {"other.1"}
        assert [each.payload for each in claim(link, "other")] == [b"second"]

    def test_as_many_are_woken_as_there_are_suspects(self, link: RedisLink):
        lease(link, "doomed", *[b"work"] * 6)
        for name in "ABCDEFG":
            link.perform(Register(name, "worker", b"", ("a",)))
            for lane in range(8):
                assert claim(link, name, bell=f"{name}.{lane}") == []

        link.perform(Reap("doomed", 0))

        # One lane each of six of the seven: a worker takes one.
        assert len(rung(link)) == 6
        assert len({bell.partition(".")[0] for bell in rung(link)}) == 6

    def test_when_it_ends_its_own_worker_is_woken_for_the_next(self, link: RedisLink):
        crash(link, b"1", b"2")
        (first,) = claim(link, WORKER)
        assert claim(link, WORKER, bell="W.2") == []
        assert rung(link) == set()

        link.perform(Commit(WORKER, "1", 1, (Outcome(first.token),)))

        assert rung(link) == {"W.2"}

    def test_a_closing_worker_passes_on_what_it_was_rung_for(self, link: RedisLink):
        link.perform(Register("other", "worker", b"", ("a",)))
        assert claim(link, WORKER, bell="W.1") == []
        crash(link, b"1")
        assert rung(link) == {"W.1"}
        assert claim(link, "other", bell="other.1", count=0) == []

        link.perform(Closing(WORKER, ("W.1",)))

        assert rung(link) == {"W.1", "other.1"}

    def test_a_ring_that_was_heard_does_not_wake_again(self, link: RedisLink):
        assert claim(link, WORKER, bell="W.1") == []
        push(link, b"1")
        assert rung(link) == {"W.1"}

        assert len(claim(link, WORKER, bell="W.1")) == 1

        assert rung(link) == set()

    def test_an_answer_that_was_lost_and_went_back_does_not_let_it_sleep(self, link: RedisLink):
        push(link, b"1")
        asked = Claim(WORKER, "W.1", ("a",), 1, "1", 1)
        link.perform(asked)
        assert link.perform(Held(WORKER, (), (("1", 1),))) == [1]

        (claimed,) = link.perform(asked._replace(again=True))

        assert claimed.deliveries == ()
        assert link.perform(Wait("W.1", 5)) == [None]
        assert len(claim(link, WORKER, bell="W.1")) == 1


class TestMany:
    """Lua's stack holds 8,000 values: nothing may be taken that it cannot hold."""

    def test_a_claim_of_more_than_a_script_can_hold(self, link: RedisLink):
        payloads = [b"%d" % number for number in range(4500)]
        push(link, *payloads)

        got: list[bytes] = []
        while more := claim(link, WORKER, count=100_000):
            got += [each.payload for each in more]

        assert got == payloads

    def test_many_connections_are_forgotten_at_once(self, link: RedisLink):
        names = tuple(f"c{number}" for number in range(9001))
        records = tuple(Record(INTERFACE, name, "a", b"") for name in names)
        kept = {f"{kind}:{INTERFACE}" for kind in ("fl", "rec", "cut")}
        link.perform(Send(INTERFACE, 1, records, link="out", begin=names))
        link.perform(Send(INTERFACE, 2, (), (), names, link="out"))
        assert kept <= keys(link)

        link.perform(Send(INTERFACE, 3, (), names, link="out"))

        assert not kept & keys(link)

    def test_a_worker_dies_with_many(self, link: RedisLink):
        payloads = [b"%d" % number for number in range(3000)]
        push(link, *payloads)
        for _ in range(2):
            claim(link, WORKER, count=1500)

        assert link.perform(Reap(WORKER, 0)) == [True]

        assert link.perform(Length("a")) == [3000]
        assert [link.perform(Pop(("a",)))[0][1] for _ in range(3000)] == payloads
        assert "odd" not in keys(link)

    def test_an_interface_dies_with_many(self, link: RedisLink):
        pushes: list[Effect] = []
        link.perform(Register(WORKER, "worker", b"", ("websocket.receive", "a")))
        names = tuple(f"c{number}" for number in range(500))
        for number, name in enumerate(names):
            pushes.append(Record(INTERFACE, name, "a", name.encode()))
            if number % 2:
                owner = (INTERFACE, name)
                pushes.append(Push("websocket.receive", b"frame", owner=owner))
        link.perform(Send(INTERFACE, 1, tuple(pushes), link="out", begin=names))

        assert link.perform(Reap(INTERFACE, 0)) == [True]

        assert link.perform(Length("a")) == [250]
        left = [("HLEN", f"{BASE}{kind}:{INTERFACE}") for kind in ("orph", "fl")]
        assert link._exchange(left) == [250, 250]


class TestKeys:
    def test_there_is_nothing_odd_when_all_is_done(self, link: RedisLink):
        crash(link, b"suspect")
        tokens = [each.token for each in claim(link, WORKER)]
        push(link, b"work")
        tokens += [each.token for each in claim(link, WORKER)]
        pushes = tuple(Push("a", b"%d" % number, limit=2) for number in range(4))
        outcomes = [Outcome(tokens[0], pushes), *map(Outcome, tokens[1:])]
        assert link.perform(Commit(WORKER, "1", 1, tuple(outcomes))) == [("parked", "done")]
        assert {"odd", "park:a"} <= keys(link)

        assert [each.payload for each in claim(link, WORKER)] == [b"0", b"1", b"2", b"3"]

        assert not {"odd", "park:a", "sus:a", "n", "q:a"} & keys(link)

    def test_nothing_of_the_dead_stays(self, link: RedisLink):
        address, owner = Address(INTERFACE, "c1", 1), (INTERFACE, "c1")
        effects: tuple[Effect, ...] = (
            Record(INTERFACE, "c1", "a", b"left"),
            Record(INTERFACE, "c2", "unserved", b"left"),
            Push("a", b"work", owner=owner),
            Push("a", b"later"),
            GroupAdd("g", INTERFACE, b"add"),
            GroupAddChannel("g", "a"),
            GroupSend("g", b"entry", b"payload"),
            Tell(INTERFACE, b"x" * 999_900),
            GroupSend("g", b"y" * 101, b"payload"),
        )
        begin = ("c1", "c2", "c3")
        link.perform(
            Send(INTERFACE, 1, effects, cut=("c3",), link="out", begin=begin),
            Beat(INTERFACE, "1"),
            Room("bell", ((INTERFACE, "c1"), (INTERFACE, "c2"))),
            Send(INTERFACE, 2, (Grant(INTERFACE, "c1", 7),), link="out"),
        )
        claimed = claim(link, WORKER, count=3)
        link.perform(
            Part(WORKER, claimed[0].token, INTERFACE, "c1", b"part"),
            Commit(WORKER, "1", 1, (Outcome(claimed[0].token, (), address, b"answer"),)),
            Commit(WORKER, "1", 2, (Outcome(claimed[1].token, progress=1),)),
            GiveUp(WORKER, claimed[2].token, "poison", True),
            Release(WORKER, (claimed[1].token,)),
        )
        assert {
            f"gap:{INTERFACE}",
            f"fl:{INTERFACE}",
            f"flow:{INTERFACE}",
            f"cut:{INTERFACE}",
            "io",
        } <= keys(link)

        assert link.perform(Reap(INTERFACE, 1), Reap(WORKER, 0)) == [True, True]

        left = keys(link)
        assert not [key for key in left if WORKER in key or INTERFACE in key]
        assert "bell:bell" in left, "who sends to its connections is woken; this expires"
        link.perform(Wait("bell", 1.0), Wait("bell", 1.0))
        assert not {"io", "beats", "kinds", "clients", "info", "idle", "stale"} & left
        while link.perform(Pop(("a",))) != [None]:
            pass
        (letter,) = link._exchange([("XRANGE", f"{BASE}dead:a", "-", "+")])[0]
        link.perform(Discard("a", letter[0].decode()))
        # The empty stream keeps its ids from being used again; the group has its channel.
        assert keys(link) <= LASTING | {"dead:a", "g:g"}

        link.perform(Flush())
        assert keys(link) == set()

    @pytest.mark.parametrize("ends", ["commit", "giveup", "unread", "pop"])
    def test_a_floor_of_the_dead_stays_until_its_delivery_has_ended(
        self, link: RedisLink, ends: str
    ):
        numbered = "websocket.receive"
        names = ("idle", "queued", "leased")
        pushes = [Push(numbered, b"x", owner=(INTERFACE, name)) for name in ("leased", "queued")]
        link.perform(Send(INTERFACE, 1, tuple(pushes), link="out", begin=names))

        def claim_one() -> int:
            (claimed,) = link.perform(Claim(WORKER, "", (numbered,), 1))
            return int(claimed.deliveries[0].token)

        def end(name: str, token: int) -> None:
            address = Address(INTERFACE, name, 1)
            if ends == "commit":
                outcome = Outcome(token, (), address)
                assert link.perform(Commit(WORKER, "1", token, (outcome,))) == [("done",)]
            else:
                known = address if ends == "giveup" else None
                assert link.perform(GiveUp(WORKER, token, "poison", False, known)) == ["done"]

        leased = claim_one()
        assert link.perform(Reap(INTERFACE, 0)) == [True]
        floors = ("HKEYS", f"{BASE}fl:{INTERFACE}")
        assert set(link._exchange([floors])[0]) == {b"queued", b"leased"}

        if ends == "pop":
            link.perform(Release(WORKER, (leased,)))
            assert [link.perform(Pop((numbered,)))[0] for _ in pushes] == [(numbered, b"x")] * 2
        else:
            end("leased", leased)
            assert link._exchange([floors]) == [[b"queued"]]
            end("queued", claim_one())

        assert f"fl:{INTERFACE}" not in keys(link)

    def test_what_an_inbox_has_room_for_is_settled(self, link: RedisLink):
        link.perform(Send("", 0, (GroupAdd("g", INTERFACE, b"not counted"),)))
        sizes = (10, 20, 30)
        effects = tuple(GroupSend("g", b"x" * size, b"") for size in sizes)

        link.perform(Send("", 0, effects))
        link.perform(Send("", 0, (Tell(INTERFACE, b"y" * 5), Tell("nobody", b"z"))))

        assert link._exchange([("HGETALL", f"{BASE}io")]) == [
            [
                *(b"l" + INTERFACE.encode(), b"1000000"),
                *(b"r" + INTERFACE.encode(), b"0"),
                *(b"b" + INTERFACE.encode(), b"999935"),
            ]
        ]
        link.perform(Beat(INTERFACE, read=65))
        (left,) = link._exchange([("HGET", f"{BASE}io", f"b{INTERFACE}")])
        assert left == b"1000000"
