"""The store began a new history: what ends meanwhile waits for its interface."""

import threading
import time

import pytest

from djchan import Channel, route
from djchan.layers import codec
from djchan.layers.operations import Claim, DeadChannels, Reap, Register, Resume, Send
from tests.lanes.site import PATIENCE, Site, delivery
from tests.support.waiting import wait_for

pytestmark = pytest.mark.parametrize("site", ["memory", "redis"], indirect=True)

RECEIVE = "websocket.receive"


@pytest.fixture
def history(site, inbox):
    """Call it for a new history; with True, the interface has noticed."""

    def begin(noticed: bool) -> None:
        if noticed:
            site(Resume("iface", b"", (("1-abc", 0, 0), ("2-def", 0, 0)), (), "0-0"))
        else:
            site.forget_history()

    return begin


def run_one(site: Site, *, connection: str = "1-abc", frames: int = 1) -> None:
    contents = [{"text": str(n), "n": n} for n in range(frames)]
    site(Send("", 0, (delivery(1, *contents, connection=connection),)))


def test_the_end_is_said_again_until_the_interface_is_known(site, inbox, on, history):
    def consumer(message):
        site.hold(message)
        Channel("other", channel_layer=site.layer).send({})
        message.reply_channel.send({"text": "done"})

    worker = site.worker(route(RECEIVE, on(consumer)), stale_wait=0.02)
    run_one(site)
    site.wait(1)
    history(False)
    site.gate.set()
    wait_for(lambda: worker.counters["stale"] > 2, timeout=PATIENCE, what="said again")
    assert inbox.entries() == []
    history(True)
    answer = [codec.ANSWER, "1-abc", 1, [{"text": "done"}], codec.DONE]
    assert inbox.wait(1) == [answer]
    assert site.length("other") == 1
    assert site.ran == [0]


def test_others_are_served_meanwhile(site, inbox, history):
    def consumer(message):
        site.hold(message)
        message.reply_channel.send({"text": "done"})

    worker = site.worker(route(RECEIVE, consumer), route("x", site.note), stale_wait=0.02)
    run_one(site)
    site.wait(1)
    history(False)
    site.gate.set()
    wait_for(lambda: worker.counters["stale"], timeout=PATIENCE, what="it is stale")
    site.send("x", {"n": 1}, {"n": 2})
    assert site.wait(3) == [0, 1, 2]
    history(True)


def test_frames_that_are_done_wait_too_and_stay_in_order(site, inbox, on, history):
    def consumer(message):
        if message["n"] == 1:
            holding.set()
            site.gate.wait(PATIENCE)
        message.reply_channel.send({"text": message["text"]})

    holding = threading.Event()
    worker = site.worker(route(RECEIVE, on(consumer)), stale_wait=0.02, partial=0.1)
    history(False)
    # Put there as if it had been sent before: the interface itself can send nothing now.
    run_one(site, frames=3)
    assert holding.wait(PATIENCE)
    wait_for(lambda: worker.counters["stale"], timeout=PATIENCE, what="the first frame is stale")
    site.gate.set()
    wait_for(lambda: worker.counters["done"] == 3, timeout=PATIENCE, what="all have run")
    history(True)
    wait_for(lambda: len(inbox.entries()) >= 2, timeout=PATIENCE, what="two entries")
    first, last = inbox.entries()
    assert first == [codec.PROGRESS, "1-abc", 1, 1, [{"text": "0"}]]
    assert last == [codec.ANSWER, "1-abc", 1, [{"text": "1"}, {"text": "2"}], codec.DONE]


def test_a_redelivery_waits_between_its_frames(site, inbox, on, history):
    run_one(site, frames=2)
    site(Register("dead", "worker", b"", (RECEIVE,)))
    assert site(Claim("dead", "", (RECEIVE,), 1)).deliveries
    assert site(Reap("dead", 0))
    history(False)
    worker = site.worker(route(RECEIVE, on(site.note)), stale_wait=0.02)
    wait_for(lambda: worker.counters["stale"] > 2, timeout=PATIENCE, what="said again")
    assert site.ran == [0]
    history(True)
    assert site.wait(2) == [0, 1]
    inbox.wait(1)


@pytest.mark.parametrize("answered", [0, 1])
def test_only_what_was_not_answered_becomes_a_dead_letter(site, inbox, on, answered):
    run_one(site)
    for worker in ("first", "second", "third"):
        site(Register(worker, "worker", b"", (RECEIVE,)))
        assert site(Claim(worker, "", (RECEIVE,), 1)).deliveries
        assert site(Reap(worker, 0))
    site.forget_history()
    worker = site.worker(route(RECEIVE, on(site.note)), stale_wait=0.02)
    wait_for(lambda: worker.counters["stale"] > 2, timeout=PATIENCE, what="given up again")
    assert site(DeadChannels()) == {}
    site(Resume("iface", b"", (("1-abc", answered, 0),), (), "0-0"))
    site.stop(worker)  # Which waits for what is not settled.
    assert site(DeadChannels()) == ({} if answered else {RECEIVE: 1})
    assert (site.ran, site.length(RECEIVE)) == ([], 0)


def test_a_stuck_consumer_waits_for_its_interface_with_the_frames_before_it(
    site, inbox, on, history
):
    def consumer(message):
        if message["n"] == 1:
            site.gate.wait(PATIENCE)
        message.reply_channel.send({"text": message["text"]})

    # Not told while it runs: the frame that is done and the end of the delivery come together.
    options = {"partial": PATIENCE, "run_limit": 0.3, "stale_wait": 0.02}
    worker = site.worker(route(RECEIVE, on(consumer)), **options)
    history(False)
    run_one(site, frames=2)
    wait_for(lambda: worker.counters["stale"] > 4, timeout=PATIENCE, what="said again")
    assert site(DeadChannels()) == {}
    assert inbox.entries() == []
    history(True)
    first, last = inbox.wait(2)
    assert first == [codec.PROGRESS, "1-abc", 1, 1, [{"text": "0"}]]
    assert last == [codec.ANSWER, "1-abc", 1, [], codec.STUCK]
    assert site(DeadChannels()) == {RECEIVE: 1}
    site.gate.set()


def test_an_interface_that_is_declared_dead_ends_the_wait(site, inbox, on, history):
    worker = site.worker(route(RECEIVE, on(site.hold)), stale_wait=0.02)
    run_one(site)
    site.wait(1)
    history(False)
    site.gate.set()
    wait_for(lambda: worker.counters["stale"] > 2, timeout=PATIENCE, what="said again")
    assert site(Reap("iface", None))
    began = time.monotonic()
    site.stop(worker)  # Which waits for what is not settled.
    assert time.monotonic() - began < 5.0


def test_who_stops_waits_for_it(site, inbox, history):
    worker = site.worker(route(RECEIVE, site.hold), stale_wait=0.02)
    run_one(site)
    site.wait(1)
    history(False)
    site.gate.set()
    wait_for(lambda: worker.counters["stale"], timeout=PATIENCE, what="it is stale")
    worker.stop()
    history(True)
    inbox.wait(1)
    site.join(worker)
    assert site.length(RECEIVE) == 0


def test_what_is_not_settled_within_the_grace_period_goes_back(site, inbox, history):
    worker = site.worker(route(RECEIVE, site.hold), stale_wait=0.02, grace=0.2)
    run_one(site)
    site.wait(1)
    history(False)
    site.gate.set()
    wait_for(lambda: worker.counters["stale"], timeout=PATIENCE, what="it is stale")
    site.stop(worker)
    assert site.length(RECEIVE) == 1
