"""A consumer that sends to a channel which is over its hard limit: its lane rests."""

import time

import pytest

from djchan import Channel, route
from djchan.layers.inmemory import InMemoryChannelLayer
from tests.lanes.site import PATIENCE, Site
from tests.support.waiting import wait_for

PAUSE = 0.2


class TightSite(Site):
    """Its channel "full" holds three messages; the fourth is parked."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = InMemoryChannelLayer(
            capacity=100_000, channel_capacity={"full": 3}, overflow=1
        )
        self.link = self.layer.engine.link("test")
        self.at: list[float] = []

    def fill(self, message):
        self.at.append(time.monotonic())
        Channel("full", channel_layer=self.layer).send({"n": message["n"]})
        self.ran.append(message["n"])

    def rests(self) -> int:
        """How often it has rested, between two messages."""
        pairs = zip(self.at, self.at[1:], strict=False)
        return sum(after - before >= PAUSE for before, after in pairs)


@pytest.fixture
def tight():
    site = TightSite()
    yield site
    for worker, _ in site.workers:
        worker.stop()
    for worker, _ in site.workers:
        site.join(worker)


def test_a_lane_rests_when_what_it_sent_was_parked(tight, on):
    worker = tight.worker(route("x", on(tight.fill)), park_pause=PAUSE, concurrency=1, batch=1)
    tight.numbers("x", 6)
    tight.wait(6)
    wait_for(lambda: worker.counters["parked"] == 3, timeout=PATIENCE, what="three are parked")
    assert tight.rests() >= 1
    assert tight.length("full") == 3


def test_within_the_limit_nobody_rests(tight, on):
    worker = tight.worker(route("x", on(tight.fill)), park_pause=PAUSE, batch=1)
    tight.numbers("x", 3)
    tight.wait(3)
    wait_for(lambda: tight.length("full") == 3, timeout=PATIENCE, what="all are there")
    assert worker.counters["parked"] == 0


def test_nothing_is_lost_of_a_flood(tight):
    """Who floods is slowed down to what the others take off."""
    tight.worker(route("x", tight.fill), park_pause=0.01)
    tight.numbers("x", 12)
    tight.wait(12)
    got = []

    def full(message):
        got.append(message["n"])

    tight.worker(route("full", full))
    wait_for(lambda: len(got) == 12, timeout=PATIENCE, what="twelve came through")
    assert got == list(range(12))


def test_what_the_monitor_committed_counts_for_its_lane(tight):
    def fill(message):
        if message["n"] == 5:
            tight.gate.wait(PATIENCE)  # What was finished before is committed meanwhile.
        tight.fill(message)

    tight.numbers("x", 8)
    worker = tight.worker(route("x", fill), park_pause=PAUSE, slow=60.0)
    wait_for(lambda: worker.counters["parked"] >= 2, timeout=PATIENCE, what="two are parked")
    tight.gate.set()
    tight.wait(8)
