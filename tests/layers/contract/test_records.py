"""The last delivery of each connection, when its process dies without sending it.

Each connection's disconnect is queued exactly once, and behind what it had here.
"""

from collections.abc import Callable

import pytest

from djchan.layers.operations import (
    Address,
    Counters,
    Flush,
    GiveUp,
    Held,
    Later,
    Operation,
    Outcome,
    Pop,
    Push,
    Reap,
    Record,
    Release,
    Send,
)
from tests.layers.talk import Talk, Waiting
from tests.support.waiting import wait_for

RECEIVE, DISCONNECT = "websocket.receive", "websocket.disconnect"
ADDRESS = Address("i1", "c1", 1)
OWNER = ("i1", "c1")

DEATHS = pytest.mark.parametrize(
    "death", [Reap("i1", 0), Reap("i1", None)], ids=["reaped", "goodbye"]
)


@pytest.fixture
def site(talk: Talk) -> Talk:
    """An interface i1 with a recorded connection c1, and a worker w1 that serves sockets."""
    talk.worker("w1", RECEIVE, DISCONNECT)
    talk.interface("i1")
    assert talk.send(Record("i1", "c1", DISCONNECT, b"c1 left")) == ("ok",)
    return talk


def deliver(talk: Talk, payload: bytes = b"frame", channel: str = RECEIVE) -> None:
    assert talk.send(Push(channel, payload, owner=OWNER)) == ("ok",)


def lease(talk: Talk, worker: str = "w1") -> int:
    deliver(talk)
    (leased,) = talk.claim(worker, RECEIVE)
    token = leased.token
    assert isinstance(token, int)
    return token


def disconnects(talk: Talk) -> list[bytes]:
    """What is queued as such; it is over then."""
    talk.worker("sink")
    leased = talk.claim("sink", DISCONNECT)
    talk.commit("sink", *(Outcome(each.token) for each in leased))
    return [each.payload for each in leased]


class TestDeath:
    @DEATHS
    def test_it_is_queued_for_each_connection(self, site: Talk, death: Reap) -> None:
        site.send(Record("i1", "c2", DISCONNECT, b"c2 left"))
        assert site(death) is True
        assert sorted(disconnects(site)) == [b"c1 left", b"c2 left"]
        assert site(death) is False
        assert disconnects(site) == []

    def test_it_is_one_message_that_nobody_ran(self, site: Talk) -> None:
        site.bury("i1")
        assert site.length(DISCONNECT) == 1
        (leased,) = site.claim("w1", DISCONNECT)
        assert leased[1:5] == (1, 0, DISCONNECT, b"c1 left")
        outcome = Outcome(leased.token, (Push("y", b""),))
        assert site.commit("w1", outcome) == ["done"]
        assert site.length("y") == 1

    def test_it_rings(self, site: Talk) -> None:
        assert site.claim("w1", DISCONNECT) == []
        with Waiting(site.engine, "w1-bell"):
            site.bury("i1")

    def test_others_live_on(self, site: Talk) -> None:
        site.interface("i2")
        site.send(Record("i2", "c1", DISCONNECT, b"of another"))
        site.bury("i1")
        assert disconnects(site) == [b"c1 left"]
        site.bury("i2")
        assert disconnects(site) == [b"of another"]

    def test_a_channel_that_nobody_ever_served(self, talk: Talk) -> None:
        talk.interface("i1")
        talk.send(Record("i1", "c1", DISCONNECT, b"c1 left"))
        talk.bury("i1")
        assert talk.length(DISCONNECT) == 0
        assert talk(Counters())[f"unserved:{DISCONNECT}"] == 1

    def test_a_channel_whose_workers_have_gone(self, site: Talk) -> None:
        site(Reap("w1", None))
        site.bury("i1")
        assert disconnects(site) == [b"c1 left"]

    def test_a_channel_that_its_worker_serves_no_more(self, site: Talk) -> None:
        site.worker("w1", "x")
        site.bury("i1")
        assert disconnects(site) == [b"c1 left"]

    def test_the_last_record_counts(self, site: Talk) -> None:
        site.send(Record("i1", "c1", DISCONNECT, b"newer"))
        site.bury("i1")
        assert disconnects(site) == [b"newer"]

    def test_one_for_a_process_that_is_gone(self, site: Talk) -> None:
        site.bury("i1")
        assert site.send(Record("i1", "c2", DISCONNECT, b"c2 left")) == ("gone",)
        assert disconnects(site) == [b"c1 left"]


class TestDropped:
    def test_the_last_push_takes_its_place(self, site: Talk) -> None:
        last = Push(DISCONNECT, b"c1 itself", owner=OWNER, last=True)
        assert site(Send("i1", 1, (last,), link="out")).results == ("ok",)
        site.bury("i1")
        assert disconnects(site) == [b"c1 itself"]
        assert disconnects(site) == []

    def test_not_one_that_was_refused(self, site: Talk) -> None:
        site.push(DISCONNECT, b"other")
        full = Push(DISCONNECT, b"c1 itself", 1, owner=OWNER, last=True)
        unserved = Push("nowhere", b"c1 itself", if_served=True, owner=OWNER, last=True)
        assert site.send(full, unserved) == ("full", "unserved")
        site.bury("i1")
        assert disconnects(site) == [b"other", b"c1 left"]

    def test_any_other_push_leaves_it(self, site: Talk) -> None:
        lease(site)
        site.bury("i1")
        assert site.commit("w1", Outcome(site.lease("w1", "y"))) == ["done"]
        assert disconnects(site) == []

    def test_a_forgotten_connection_has_none(self, site: Talk) -> None:
        site.send(Record("i1", "c2", DISCONNECT, b"c2 left"))
        site(Send("i1", 1, (), forget=("c1",), link="out"))
        site.bury("i1")
        assert disconnects(site) == [b"c2 left"]

    def test_one_that_came_and_went_in_one_send(self, site: Talk) -> None:
        record = Record("i1", "c2", DISCONNECT, b"c2 left")
        site(Send("i1", 1, (record,), forget=("c2",), link="out"))
        site.bury("i1")
        assert disconnects(site) == [b"c1 left"]

    def test_a_flush_drops_all(self, site: Talk) -> None:
        lease(site)
        site.bury("i1")
        site(Flush())
        site.worker("w1", DISCONNECT)
        assert disconnects(site) == []


def queued(talk: Talk) -> None:
    deliver(talk)


def suspect(talk: Talk) -> None:
    deliver(talk)
    talk.worker("crashing")
    assert len(talk.claim("crashing", RECEIVE)) == 1
    talk.bury("crashing")


def due(talk: Talk) -> None:
    token = lease(talk)
    talk.commit("w1", Outcome(token, (), ADDRESS, later=Later(30, 0, b"frame", RECEIVE)))


def parked(talk: Talk) -> None:
    talk.push(RECEIVE, b"before")
    token = talk.lease("w1", "in")
    push = Push(RECEIVE, b"frame", owner=OWNER, limit=1)
    assert talk.commit("w1", Outcome(token, (push,))) == ["parked"]


def leased(talk: Talk) -> None:
    talk.worker("holder")
    token = lease(talk, "holder")
    talk(Held("holder", (token,), ()))


PLACES = pytest.mark.parametrize("place", [queued, suspect, due, parked, leased])


class TestOrphans:
    @PLACES
    @DEATHS
    def test_it_waits_for_the_delivery_wherever_that_is(
        self, site: Talk, place: Callable[[Talk], None], death: Reap
    ) -> None:
        place(site)
        assert site(death) is True
        assert disconnects(site) == []
        if place is leased:
            assert site(Reap("holder", 0)) is True
        tokens: list[int] = []

        def found() -> bool:
            for each in site.claim("w1", RECEIVE):
                if each.payload == b"frame":
                    tokens.append(each.token)
                else:
                    site.commit("w1", Outcome(each.token))
            return bool(tokens)

        wait_for(found, timeout=5, what="the delivery can be claimed")
        assert disconnects(site) == []
        assert site.commit("w1", Outcome(tokens[0], (), ADDRESS, b"answer")) == ["done"]
        assert disconnects(site) == [b"c1 left"]
        assert site.commit("w1", Outcome(tokens[0], (), ADDRESS, b"answer")) == ["fenced"]
        assert disconnects(site) == []

    def test_it_comes_behind_what_that_run_sends(self, site: Talk) -> None:
        token = lease(site)
        site.bury("i1")
        effects = (Push(DISCONNECT, b"sent"),)
        assert site.commit("w1", Outcome(token, effects, ADDRESS, b"")) == ["done"]
        assert disconnects(site) == [b"sent", b"c1 left"]

    @pytest.mark.parametrize("bury", [True, False])
    @pytest.mark.parametrize("address", [ADDRESS, None], ids=["numbered", "not decoded"])
    def test_when_it_is_given_up(self, site: Talk, bury: bool, address: Address | None) -> None:
        token = lease(site)
        site.bury("i1")
        assert site(GiveUp("w1", token, "poison", bury, address, b"poison")) == "done"
        assert disconnects(site) == [b"c1 left"]

    @pytest.mark.parametrize(
        "going_on",
        [
            lambda token: Release("w1", (token,)),
            lambda token: Held("w1", (), ()),
            lambda token: Reap("w1", 0),
            lambda token: Reap("w1", None),
        ],
        ids=["release", "held", "reap", "goodbye"],
    )
    def test_not_when_it_goes_back(self, site: Talk, going_on: Callable[[int], Operation]) -> None:
        token = lease(site)
        site.bury("i1")
        assert site(going_on(token))
        assert disconnects(site) == []
        (again,) = site.claim(site.worker("w2"), RECEIVE)
        assert site.commit("w2", Outcome(again.token, (), ADDRESS)) == ["done"]
        assert disconnects(site) == [b"c1 left"]

    def test_not_by_progress_or_when_it_is_put_off(self, site: Talk) -> None:
        token = lease(site)
        site.bury("i1")
        assert site.commit("w1", Outcome(token, (), ADDRESS, progress=1)) == ["done"]
        assert disconnects(site) == []
        later = Outcome(token, (), ADDRESS, later=Later(0, 2, b"rest", RECEIVE), since=1)
        assert site.commit("w1", later) == ["done"]
        assert disconnects(site) == []
        (again,) = site.claim("w1", RECEIVE)
        assert site.commit("w1", Outcome(again.token, (), ADDRESS, since=2)) == ["done"]
        assert disconnects(site) == [b"c1 left"]

    def test_only_its_own_connection_holds_it_back(self, site: Talk) -> None:
        site.send(Record("i1", "c2", DISCONNECT, b"c2 left"))
        site.interface("i2")
        for owner in (("i2", "c1"), ("i2", "c2"), ("i1", "c3")):
            site.send(Push(RECEIVE, b"", owner=owner))
        token = lease_of(site, b"frame")
        site.bury("i1")
        assert disconnects(site) == [b"c2 left"]
        assert site.commit("w1", Outcome(token, (), ADDRESS)) == ["done"]
        assert disconnects(site) == [b"c1 left"]

    def test_a_crash_of_its_worker_loses_nothing(self, site: Talk) -> None:
        """Both die; the frame is run again by somebody else, and then the disconnect."""
        lease(site)
        site.bury("i1")
        site.bury("w1")
        assert disconnects(site) == []
        (again,) = site.claim(site.worker("w2"), RECEIVE)
        assert (again.attempt, again.payload) == (2, b"frame")
        assert site.commit("w2", Outcome(again.token, (), ADDRESS, b"")) == ["done"]
        assert disconnects(site) == [b"c1 left"]


def numbered(seq: int, payload: bytes) -> Push:
    return Push(RECEIVE, payload, owner=OWNER, seq=seq)


class TestCopies:
    """A copy of frame 1, which is answered, is leased; so may frame 2 be, when i1 dies."""

    @pytest.fixture
    def copied(self, site: Talk) -> tuple[int, int]:
        """The tokens of the copy of 1 and of 2, both leased to w1."""
        site.send(numbered(1, b"one"), numbered(1, b"copy of one"))
        one, copy = site.claim("w1", RECEIVE)
        assert site.commit("w1", Outcome(one.token, (), ADDRESS, b"answer")) == ["done"]
        site.send(numbered(2, b"two"))
        (two,) = site.claim("w1", RECEIVE)
        return copy.token, two.token

    @pytest.mark.parametrize(
        "end", ["commit", "progress", "give up", "give up, not decoded", "pop", "claim"]
    )
    @DEATHS
    def test_its_end_is_not_that_of_a_later_frame(
        self, site: Talk, copied: tuple[int, int], end: str, death: Reap
    ) -> None:
        copy, two = copied
        assert site(death) is True
        if end == "commit":
            assert site.commit("w1", Outcome(copy, (), ADDRESS)) == ["superseded"]
        elif end == "progress":
            assert site.commit("w1", Outcome(copy, (), ADDRESS, progress=1)) == ["superseded"]
        elif end.startswith("give up"):
            address = ADDRESS if end == "give up" else None
            site(GiveUp("w1", copy, "poison", False, address))
        elif end == "pop":
            assert site(Release("w1", (copy,))) == 1
            assert site(Pop((RECEIVE,))) == (RECEIVE, b"copy of one")
        else:
            site.worker("crashing")
            assert site(Release("w1", (copy,))) == 1
            assert len(site.claim("crashing", RECEIVE)) == 1
            site.bury("crashing")
            assert site.claim("w1", RECEIVE) == []
        assert disconnects(site) == []
        effects = (Push("y", b"by two"),)
        assert site.commit("w1", Outcome(two, effects, ADDRESS._replace(seq=2))) == ["done"]
        assert site.payloads("w1", "y") == [b"by two"]
        assert disconnects(site) == [b"c1 left"]

    @DEATHS
    def test_nothing_waits_for_a_copy_alone(
        self, site: Talk, copied: tuple[int, int], death: Reap
    ) -> None:
        copy, two = copied
        assert site.commit("w1", Outcome(two, (), ADDRESS._replace(seq=2), b"2")) == ["done"]
        assert site(death) is True
        assert disconnects(site) == [b"c1 left"]
        assert site.commit("w1", Outcome(copy, (), ADDRESS)) == ["superseded"]
        assert disconnects(site) == []


def lease_of(talk: Talk, payload: bytes) -> int:
    """Deliver ``payload`` of c1, and claim all there is; its token."""
    deliver(talk, payload)
    tokens = [each.token for each in talk.claim("w1", RECEIVE) if each.payload == payload]
    assert len(tokens) == 1
    return int(tokens[0])
