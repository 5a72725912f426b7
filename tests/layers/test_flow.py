"""A run that sends a response waits for its client, over an engine in memory."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from djchan.exceptions import BrokerUnavailable, ProcessGone
from djchan.layers import flow as flow_module
from djchan.layers.flow import Flow
from djchan.layers.memory.links import MemoryEngine
from djchan.layers.operations import WINDOW, Address, Grant, Reap, Register, Send
from tests.support.waiting import wait_for

ADDRESS = Address("i1", "c1", 1)


class Interface:
    """Grants, and leaves."""

    def __init__(self) -> None:
        self.engine = MemoryEngine()
        self.link = self.engine.link("interface")
        self.numbers = 0
        self.link.perform(Register("i1", "interface", b""))
        self.send(begin=("c1", "c2"))

    def send(self, *grants: Grant, **what: tuple[str, ...]) -> None:
        self.numbers += 1
        self.link.perform(Send("i1", self.numbers, grants, link="out", **what))

    def grant(self, total: int) -> None:
        self.send(Grant("i1", "c1", total))


@pytest.fixture
def interface() -> Interface:
    return Interface()


@pytest.fixture
def flow(interface: Interface, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flow]:
    monkeypatch.setattr(flow_module, "LINGER", 0.2)
    made = Flow(interface.engine)
    yield made
    wait_for(lambda: made._looking is None, timeout=5, what="its thread ends when none waits")


@contextmanager
def elsewhere(function: object) -> Iterator[list[object]]:
    """Call ``function`` in another thread; what it returned or raised."""
    results: list[object] = []

    def run() -> None:
        try:
            results.append(function())  # type: ignore[operator]
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield results
    finally:
        thread.join(5)
        assert not thread.is_alive()


def test_within_its_window_nobody_is_asked(flow: Flow) -> None:
    stream = flow.open(ADDRESS)
    stream.send(WINDOW - 1)
    assert stream.has_room
    stream.send(1)
    assert not stream.has_room
    assert flow._looking is None


def test_it_waits_until_more_is_granted(flow: Flow, interface: Interface) -> None:
    stream = flow.open(ADDRESS)
    stream.send(WINDOW)
    with elsewhere(stream.wait) as results:
        wait_for(lambda: stream.waits, timeout=5, what="it waits")
        interface.grant(WINDOW + 10)
    assert results == [None]
    assert stream.has_room
    stream.send(10)
    assert not stream.has_room


def test_what_was_granted_before_is_not_waited_for(flow: Flow, interface: Interface) -> None:
    stream = flow.open(ADDRESS)
    stream.send(WINDOW)
    interface.grant(WINDOW + 10)
    stream.wait()


@pytest.mark.parametrize("end", ["cut", "forget", "reap"])
def test_a_client_that_left_ends_the_wait(flow: Flow, interface: Interface, end: str) -> None:
    stream = flow.open(ADDRESS)
    stream.send(WINDOW)
    with elsewhere(stream.wait) as results:
        wait_for(lambda: stream.waits, timeout=5, what="it waits")
        if end == "reap":
            interface.link.perform(Reap("i1", None))
        else:
            interface.send(**{end: ("c1",)})
    assert [type(result) for result in results] == [ProcessGone]
    with pytest.raises(ProcessGone):
        stream.send(1)


@pytest.mark.asyncio
async def test_a_coroutine_waits_likewise(flow: Flow, interface: Interface) -> None:
    stream = flow.open(ADDRESS)
    stream.send(WINDOW)
    waiting = asyncio.ensure_future(stream.await_room())
    left = asyncio.ensure_future(stream.left())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    interface.grant(WINDOW + 10)
    await asyncio.wait_for(waiting, 5)
    assert not left.done()
    interface.send(cut=("c1",))
    await asyncio.wait_for(left, 5)


@pytest.mark.asyncio
async def test_who_is_canceled_waits_no_more(flow: Flow) -> None:
    stream = flow.open(ADDRESS)
    left = asyncio.ensure_future(stream.left())
    await asyncio.sleep(0.05)
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    assert stream._wakers == []


def test_two_that_wait_are_both_woken(flow: Flow, interface: Interface) -> None:
    streams = [flow.open(ADDRESS), flow.open(Address("i1", "c2", 1))]
    for stream in streams:
        stream.send(WINDOW)
    with elsewhere(streams[0].wait), elsewhere(streams[1].wait):
        wait_for(lambda: all(each.waits for each in streams), timeout=5, what="both wait")
        interface.send(Grant("i1", "c1", 2 * WINDOW), Grant("i1", "c2", 2 * WINDOW))
    assert all(stream.has_room for stream in streams)


def test_without_the_store_it_waits_on(
    flow: Flow, interface: Interface, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_module, "LOOK", 0.05)
    stream = flow.open(ADDRESS)
    stream.send(WINDOW)
    perform = interface.engine.perform

    def broken(operation: object) -> object:
        raise BrokerUnavailable

    monkeypatch.setattr(interface.engine, "perform", broken)
    with elsewhere(stream.wait) as results:
        wait_for(lambda: stream.waits, timeout=5, what="it waits")
        monkeypatch.setattr(interface.engine, "perform", perform)
        interface.grant(2 * WINDOW)
    assert results == [None]


def test_a_run_that_waits_for_its_client_has_not_stood_still(
    flow: Flow, interface: Interface
) -> None:
    assert flow.moved_at(ADDRESS) == 0, "it sends nothing in parts"
    stream = flow.open(ADDRESS)
    begun = flow.moved_at(ADDRESS)
    assert 0 < begun <= time.monotonic()
    assert flow.moved_at(ADDRESS) == begun
    stream.send(WINDOW)
    with elsewhere(stream.wait):
        wait_for(lambda: stream.waits, timeout=5, what="it waits")
        now = time.monotonic()
        assert flow.moved_at(ADDRESS) >= now
        interface.grant(2 * WINDOW)
    flow.close(stream)
    assert flow.moved_at(ADDRESS) == 0
