import logging
import threading
from typing import Any

import pytest

from djchan.exceptions import BrokerUnavailable
from djchan.layers.heartbeat import Heartbeat, Progress
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
        kind = options.pop("kind", "worker")
        made.append(Heartbeat(engine, "me", kind, **options))
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


def test_it_has_begun_when_a_beat_was_answered(engine, heartbeat):
    engine.known = False
    beating = heartbeat()
    wait_for(lambda: engine.count(Beat) > 2, timeout=5, what="beats of who is not known")
    assert not beating.begun.is_set()
    engine.known, engine.down = True, True
    tries = engine.count(Beat)
    wait_for(lambda: engine.count(Beat) > tries + 2, timeout=5, what="beats without an answer")
    # The last one that was answered may have been of a moment before it was down.
    beating.begun.clear()
    wait_for(lambda: engine.count(Beat) > tries + 4, timeout=5, what="more of them")
    assert not beating.begun.is_set()
    engine.down = False
    assert beating.begun.wait(5)


def test_it_names_its_own_connection_and_the_others(engine, heartbeat):
    heartbeat(clients=lambda: ["9", "", "10"], interval=60)
    # The second beat is there at once: the first made the connection that it names.
    wait_for(lambda: engine.count(Beat) == 2, timeout=5, what="second beat")
    assert [beat.clients for beat in engine.said] == ["10,9", "10,9,c1"]


def test_an_interface_says_what_it_had_answered(engine, heartbeat):
    reads = iter(range(1000))
    beating = heartbeat(kind="interface", progress=lambda: Progress("out", 7, next(reads)))
    wait_for(lambda: engine.count(Beat) > 3, timeout=5, what="beats")
    beats = [beat for beat in engine.said if isinstance(beat, Beat)]
    assert {(beat.link, beat.number) for beat in beats} == {("out", 7)}
    assert [beat.read for beat in beats] == list(range(len(beats))), "asked before each"
    # The engine's number of a beat is how many it had heard.
    assert [beat.beat for beat in beats] == list(range(len(beats)))

    beating.resumed()
    told = engine.count(Beat)
    wait_for(lambda: engine.count(Beat) > told + 1, timeout=5, what="beats again")
    assert 0 in [beat.beat for beat in engine.said[told:]]


def test_a_worker_does_not(engine, heartbeat):
    heartbeat()
    wait_for(lambda: engine.count(Beat) > 2, timeout=5, what="beats")
    assert {(beat.beat, beat.link, beat.number, beat.read) for beat in engine.said} == {
        (0, "", 0, 0)
    }


def test_who_is_unknown_begins_anew(engine, heartbeat):
    heartbeat(kind="interface")
    wait_for(lambda: engine.count(Beat) > 3, timeout=5, what="beats")
    engine.known = False
    at = engine.count(Beat)
    wait_for(lambda: engine.count(Beat) > at + 3, timeout=5, what="beats that are not known")
    assert engine.said[-1].beat == 0


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
