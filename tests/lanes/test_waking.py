"""A worker that stood still starts nothing until it knows that its leases are its own."""

import threading
import time
from typing import Any

import pytest

from djchan import route
from djchan.lanes.registration import Registration
from djchan.lanes.thread import Lane
from djchan.layers.heartbeat import Heartbeat
from djchan.layers.memory.links import MemoryEngine
from djchan.layers.operations import Beat, Reap, Register, Send
from djchan.layers.watch import Limits
from tests.lanes.site import PATIENCE, Inbox, Site, delivery
from tests.support.waiting import wait_for

RECEIVE = "websocket.receive"


class Sleeper:
    """Lets a worker's heartbeat stand still as if the process was stopped, and wake up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stopped = threading.Event()
        self.awake = threading.Event()
        beat = Heartbeat._beat

        def held(heartbeat: Heartbeat, link: Any) -> float:
            if self.stopped.is_set() and heartbeat.kind == "worker":
                self.awake.wait(PATIENCE)
            return beat(heartbeat, link)

        monkeypatch.setattr(Heartbeat, "_beat", held)

    def sleep(self) -> None:
        self.stopped.set()

    def wake(self) -> None:
        self.stopped.clear()
        self.awake.set()


@pytest.fixture
def sleeper(monkeypatch: pytest.MonkeyPatch) -> Sleeper:
    return Sleeper(monkeypatch)


OPTIONS = {"worker_silence": 0.4, "beat": 0.1, "slow": 60.0, "partial": 60.0}


def bury_worker(site: Site) -> None:
    site(Register("watcher", "interface", b""))
    processes = site(Beat("watcher")).processes
    (name,) = [name for name, (_, kind, _) in processes.items() if kind == "worker"]
    assert site(Reap(name, processes[name][0]))


def is_in_doubt(worker: Any) -> bool:
    return not worker._roster.crew.registrations.current.may_start(time.monotonic())


@pytest.fixture
def held(site: Site) -> threading.Event:
    return threading.Event()


@pytest.fixture
def consumer(site: Site, held: threading.Event, on: Any) -> Any:
    """Notes what it runs; "hold" waits for the gate."""

    def consumer(message: Any) -> None:
        site.ran.append(message["text"])
        if message["text"] == "hold":
            held.set()
            site.gate.wait(PATIENCE)

    return on(consumer)


def test_the_frames_behind_the_one_that_ran_are_left_to_whoever_has_them(
    site, inbox: Inbox, sleeper, held, consumer
):
    worker = site.worker(route(RECEIVE, consumer), **OPTIONS)
    site(Send("", 0, (delivery(1, {"text": "hold"}, {"text": "a"}),)))
    assert held.wait(PATIENCE)
    sleeper.sleep()
    wait_for(lambda: is_in_doubt(worker), timeout=PATIENCE, what="its last beat is old")
    bury_worker(site)
    site.gate.set()
    # Nothing can show that "a" is never begun but that it has not, when all is known.
    sleeper.wake()
    wait_for(lambda: worker._roster.crew.registrations.renewals, timeout=PATIENCE, what="a new id")
    wait_for(lambda: site.ran.count("a") == 1, timeout=PATIENCE, what="the suspect has run")
    assert site.ran == ["hold", "hold", "a"]


def test_nor_does_it_begin_a_frame_behind_a_commit_during_which_it_stood_still(
    site, inbox: Inbox, sleeper, monkeypatch
):
    sure: list[bool] = []
    worker: Any = None
    tell = Lane._tell

    def stand_still(lane: Lane, *args: Any) -> bool:
        monkeypatch.setattr(Lane, "_tell", tell)  # Once.
        told = tell(lane, *args)
        sleeper.sleep()
        wait_for(lambda: is_in_doubt(worker), timeout=PATIENCE, what="its last beat is old")
        sleeper.wake()
        return told

    def consumer(message):
        sure.append(not is_in_doubt(worker))

    worker = site.worker(route(RECEIVE, consumer), **{**OPTIONS, "partial": 0.0})
    monkeypatch.setattr(Lane, "_tell", stand_still)
    frames = [{"text": text} for text in "abc"]
    site(Send("", 0, (delivery(1, *frames),)))
    wait_for(lambda: len(sure) == 3, timeout=PATIENCE, what="all have run")
    assert sure == [True, True, True]


def test_nor_does_it_begin_the_deliveries_behind_it(site, sleeper, held, monkeypatch):
    looks: list[bool] = []
    may_start = Registration.may_start

    def noted(registration: Registration, now: float) -> bool:
        looks.append(may_start(registration, now))
        return looks[-1]

    def consumer(message):
        site.ran.append(message["n"])
        if message["n"] == 0:
            held.set()
            site.gate.wait(PATIENCE)

    site.numbers("x", 30)
    worker = site.worker(route("x", consumer), **OPTIONS)
    wait_for(lambda: len(site.ran) == 1, timeout=PATIENCE, what="the first runs")
    sleeper.sleep()
    wait_for(lambda: is_in_doubt(worker), timeout=PATIENCE, what="its last beat is old")
    monkeypatch.setattr(Registration, "may_start", noted)
    site.gate.set()
    wait_for(lambda: looks.count(False) > 3, timeout=PATIENCE, what="it has looked often")
    assert site.ran == [0]
    sleeper.wake()
    site.wait(30)
    assert site.ran == list(range(30))


def test_one_that_stops_in_doubt_gives_back_what_it_has_not_begun(site, sleeper, held):
    def consumer(message):
        site.ran.append(message["n"])
        if message["n"] == 20:
            held.set()
            site.gate.wait(PATIENCE)

    site.numbers("x", 40)
    worker = site.worker(route("x", consumer), **OPTIONS)
    assert held.wait(PATIENCE)
    sleeper.sleep()
    wait_for(lambda: is_in_doubt(worker), timeout=PATIENCE, what="its last beat is old")
    worker.stop()
    site.gate.set()
    wait_for(lambda: site.length("x") == 19, timeout=PATIENCE, what="the rest is back")
    sleeper.wake()
    site.join(worker)
    assert site.ran == list(range(21))


class TestDoubt:
    """When a worker may have been declared dead, by what others go by."""

    @pytest.mark.parametrize(
        ("limits", "interval", "seconds"),
        [
            (Limits(), 0.25, 1.5),  # Not connected, twice.
            (Limits(worker=0.4), 0.1, 0.4),  # Silent for too long.
            (Limits(worker=60.0), 5.0, 20.0),  # Beats that are rarer than that.
        ],
    )
    def test_it_begins_after(self, limits, interval, seconds):
        heartbeat = Heartbeat(
            MemoryEngine(), "w", "worker", on_gone=tuple, interval=interval, limits=limits
        )
        registration = Registration("w")
        assert registration.may_start(time.monotonic()), "it has no heartbeat yet"
        registration.heartbeat = heartbeat
        began = heartbeat.answered_at
        assert registration.may_start(began + seconds - 0.01)
        assert not registration.may_start(began + seconds + 0.01)
        registration.gone = True
        assert not registration.may_start(began)
