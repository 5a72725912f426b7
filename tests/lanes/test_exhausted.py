"""A worker whose process can have no more threads or file descriptors waits, and goes on."""

import asyncio
import errno
import threading
from collections.abc import Iterator

import pytest

from djchan import route
from djchan.exceptions import BrokerUnavailable, ProcessGone
from djchan.layers import flow
from djchan.layers.flow import Flow
from djchan.layers.memory.links import MemoryEngine
from djchan.layers.operations import WINDOW, Address
from tests.lanes.site import PATIENCE
from tests.support.waiting import wait_for


class NoThreads:
    """Threads of djchan with one of ``names`` do not start while ``on``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.on = False
        self.names: tuple[str, ...] = ("djchan-",)
        self.refused: list[str] = []
        start = threading.Thread.start

        def limited(thread: threading.Thread) -> None:
            if self.on and thread.name.startswith(self.names):
                self.refused.append(thread.name)
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", limited)


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[NoThreads]:
    limit = NoThreads(monkeypatch)
    yield limit
    limit.on = False


@pytest.mark.parametrize("name", ["djchan-lane-", "djchan-heartbeat"])
def test_a_worker_that_cannot_start_its_threads_starts_them_later(site, no_threads, name, caplog):
    no_threads.on, no_threads.names = True, (name,)
    worker = site.worker(route("go", site.note), threads=2)
    wait_for(lambda: len(no_threads.refused) > 1, timeout=PATIENCE, what="more than one attempt")
    site.numbers("go", 3)
    assert not site.ran
    assert "Raise its limit" in caplog.text
    no_threads.on = False
    assert sorted(site.wait(3)) == [0, 1, 2]
    site.stop(worker)
    assert worker.unfinished == 0


def test_a_worker_that_never_had_its_threads_ends_when_it_is_told(site, no_threads):
    no_threads.on, no_threads.names = True, ("djchan-lane-",)
    worker = site.worker(route("go", site.note), threads=2)
    wait_for(lambda: no_threads.refused, timeout=PATIENCE, what="an attempt")
    site.stop(worker)
    assert worker.unfinished == 0


def test_a_stuck_thread_is_replaced_when_there_can_be_another(site, no_threads, caplog):
    def consumer(message):
        if message["n"] == 0:
            site.gate.wait(PATIENCE)
        site.note(message)

    worker = site.worker(
        route("http.request", consumer), route("go", site.note), threads=1, http_run_limit=0.2
    )
    no_threads.on, no_threads.names = True, ("djchan-lane-",)
    site.numbers("http.request", 1)
    wait_for(lambda: len(no_threads.refused) > 1, timeout=PATIENCE, what="more than one attempt")
    site.numbers("go", 1)
    no_threads.on = False
    assert site.wait(1) == [0]
    site.gate.set()
    site.stop(worker)


class NoLoops:
    """No event loop can be made while ``on``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.on = True
        self.refused = 0
        make = asyncio.new_event_loop

        def limited() -> asyncio.AbstractEventLoop:
            if self.on:
                self.refused += 1
                raise OSError(errno.EMFILE, "Too many open files")
            return make()

        monkeypatch.setattr(asyncio, "new_event_loop", limited)


def test_async_consumers_wait_for_the_file_descriptors_of_their_loop(site, monkeypatch, caplog):
    limit = NoLoops(monkeypatch)
    worker = site.worker(route("async", site.anote), route("go", site.note), threads=2)
    site.numbers("async", 1)
    wait_for(lambda: limit.refused > 1, timeout=PATIENCE, what="more than one attempt")
    site.numbers("go", 1)
    site.wait(1)  # What needs no loop runs.
    limit.on = False
    assert site.wait(2) == [0, 0]
    site.stop(worker)
    assert "Too many open files" in caplog.text
    assert not [record for record in caplog.records if record.exc_info]


def test_async_consumers_wait_for_the_thread_of_their_loop(site, no_threads):
    no_threads.on, no_threads.names = True, ("djchan-async-lane",)
    worker = site.worker(route("async", site.anote), threads=1)
    site.numbers("async", 3)
    wait_for(lambda: len(no_threads.refused) > 1, timeout=PATIENCE, what="more than one attempt")
    no_threads.on = False
    assert site.wait(3) == [0, 1, 2]
    site.stop(worker)


def test_a_worker_without_a_loop_ends_when_it_is_told_and_gives_back_what_waits(site, monkeypatch):
    limit = NoLoops(monkeypatch)
    worker = site.worker(route("async", site.anote), threads=1)
    site.numbers("async", 1)
    wait_for(lambda: limit.refused, timeout=PATIENCE, what="an attempt")
    site.stop(worker)
    assert (worker.unfinished, site.length("async")) == (0, 1)


def test_a_response_that_cannot_be_waited_for_fails_and_the_next_one_does_not(
    no_threads, monkeypatch
):
    monkeypatch.setattr(flow, "LINGER", 0.1)
    responses = Flow(MemoryEngine())
    streams = [responses.open(Address("i1", f"c{n}", 1)) for n in range(2)]
    no_threads.on = True
    streams[0].send(WINDOW)
    with pytest.raises(BrokerUnavailable, match="TasksMax"):
        streams[0].wait()
    responses.close(streams[0])
    no_threads.on = False
    with pytest.raises(ProcessGone):  # It has no reader, and learns it.
        streams[1].send(WINDOW)
        streams[1].wait()
    responses.close(streams[1])
    wait_for(lambda: responses._looking is None, timeout=PATIENCE, what="its thread ends")
