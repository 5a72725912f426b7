import logging
import threading
from typing import Any

import pytest

from djchan.exceptions import BrokerUnavailable
from djchan.layers.heartbeat import Heartbeat
from djchan.layers.operations import Beat, Beats, Connected, Reap
from djchan.layers.watch import Limits
from tests.support.waiting import wait_for


class FakeEngine:
    """An engine whose one link answers what it is told to."""

    local_only = False

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.others: dict[str, tuple[int, str, str]] = {}
        self.known = True
        self.down = False
        self.connected: bool | None = False
        self.closed = threading.Event()
        self.client = ""

    def link(self, name: str) -> "FakeEngine":
        return self

    def perform(self, *operations: Any) -> list[Any]:
        self.said += operations
        if self.down:
            self.client = ""
            raise BrokerUnavailable
        self.client = self.client or f"c{len(self.said)}"
        return [self.answer(operation) for operation in operations]

    def answer(self, operation: Any) -> Any:
        if isinstance(operation, Beat):
            own = {operation.process: (len(self.said), "worker", operation.clients)}
            return Beats(0, {**own, **self.others}) if self.known else None
        if isinstance(operation, Connected):
            return self.connected
        assert isinstance(operation, Reap)
        return self.others.pop(operation.process, None) is not None

    def client_id(self) -> str:
        return self.client

    def close(self) -> None:
        self.closed.set()

    def count(self, kind: type) -> int:
        return sum(isinstance(operation, kind) for operation in tuple(self.said))


FAST = Limits(late=0.05, confirm=0.02, fresh=0.05, worker=30.0)


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def heartbeat(engine):
    made = []

    def make(**options):
        options = {"interval": 0.01, "on_gone": lambda: None, **options}
        made.append(Heartbeat(engine, "me", "worker", **options))
        made[-1].start()
        return made[-1]

    yield make
    for each in made:
        each.stop()
        each.join(5)


def test_it_beats_until_it_is_stopped(engine, heartbeat):
    beating = heartbeat()
    wait_for(lambda: engine.count(Beat) > 3, timeout=5, what="beats")
    beating.stop()
    beating.join(5)
    assert engine.closed.is_set()
    assert engine.count(Beat) == len(engine.said)


def test_it_names_its_own_connection_and_the_others(engine, heartbeat):
    heartbeat(clients=lambda: ["9", "", "10"], interval=60)
    # The second beat is there at once: the first made the connection that it names.
    wait_for(lambda: engine.count(Beat) == 2, timeout=5, what="second beat")
    assert [beat.clients for beat in engine.said] == ["10,9", "10,9,c1"]


def test_being_unknown_is_told_at_each_beat(engine, heartbeat):
    engine.known = False
    told = []
    heartbeat(on_gone=lambda: told.append(1))
    wait_for(lambda: len(told) > 2, timeout=5, what="on_gone")


def test_a_silent_layer_is_beaten_to_again_when_it_answers(engine, heartbeat):
    engine.down = True
    heartbeat()
    wait_for(lambda: engine.count(Beat) > 1, timeout=5, what="tries")
    engine.down = False
    tries = engine.count(Beat)
    wait_for(lambda: engine.count(Beat) > tries + 3, timeout=5, what="beats again")


def test_a_dead_process_is_reaped_and_named(engine, heartbeat, caplog):
    engine.others["gone"] = (7, "worker", "1,2")
    heartbeat(limits=FAST)
    with caplog.at_level(logging.WARNING):
        wait_for(lambda: engine.count(Reap), timeout=5, what="reap")
        wait_for(lambda: caplog.records, timeout=5, what="log line")
    assert Reap("gone", 7) in engine.said
    assert engine.count(Connected) >= 2
    assert "gone" in caplog.text
    assert "handed on" in caplog.text


def test_a_reap_that_another_did_is_not_logged(engine, heartbeat, caplog):
    engine.others["gone"] = (7, "worker", "1,2")
    original = engine.answer
    engine.answer = lambda op: False if isinstance(op, Reap) else original(op)
    heartbeat(limits=FAST)
    wait_for(lambda: engine.count(Reap) > 1, timeout=5, what="reaps")
    assert caplog.records == []


def test_a_connected_process_is_let_be(engine, heartbeat):
    engine.others["slow"] = (7, "worker", "1,2")
    engine.connected = True
    heartbeat(limits=FAST)
    wait_for(lambda: engine.count(Connected) > 3, timeout=5, what="questions")
    assert engine.count(Reap) == 0


def test_a_bug_in_a_callback_does_not_stop_the_beats(engine, heartbeat, caplog):
    engine.known = False

    def broken():
        raise RuntimeError("broken")

    heartbeat(on_gone=broken)
    wait_for(lambda: engine.count(Beat) > 2, timeout=5, what="beats")
    assert "broken" in caplog.text
