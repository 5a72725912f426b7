import threading
import time

from djchan.exceptions import BrokerUnavailable
from djchan.lanes.outage import CAUSES, Outage
from tests.support.waiting import wait_for


def test_who_waits_is_woken_by_the_first_answer():
    outage = Outage()
    outage.began(BrokerUnavailable())
    waited = []

    def wait() -> None:
        began = time.monotonic()
        outage.wait(10)
        waited.append(time.monotonic() - began)

    thread = threading.Thread(target=wait)
    thread.start()
    outage.ended()
    wait_for(lambda: waited, timeout=5, what="woken")
    assert waited[0] < 5
    thread.join(5)


def test_each_error_is_a_doubt_and_an_outage_is_one_line(caplog):
    outage = Outage()
    for _ in range(3):
        outage.began(BrokerUnavailable("away"))
    outage.doubt()
    assert outage.doubts == 4
    assert caplog.text.count("away") == 1


def test_a_redis_that_comes_and_goes_is_a_line_a_second_at_most(caplog, monkeypatch):
    now = 100.0
    monkeypatch.setattr("djchan.lanes.outage.time.monotonic", lambda: now)
    outage = Outage()
    for _ in range(50):
        outage.began(BrokerUnavailable("away"))
        outage.ended()
        now += 0.1
    assert 8 <= len(caplog.records) <= 12


def test_an_outage_that_was_too_short_for_a_line_gets_one_when_it_lasts(caplog, monkeypatch):
    now = 100.0
    monkeypatch.setattr("djchan.lanes.outage.time.monotonic", lambda: now)
    outage = Outage()
    outage.began(BrokerUnavailable("first"))
    outage.ended()
    outage.began(BrokerUnavailable("second"))
    assert "second" not in caplog.text
    now += 1.0
    outage.began(BrokerUnavailable("second"))
    assert caplog.text.count("second") == 1


def test_another_cause_gets_a_line_of_its_own_and_many_do_not(caplog, monkeypatch):
    now = 100.0
    monkeypatch.setattr("djchan.lanes.outage.time.monotonic", lambda: now)
    outage = Outage()
    for number in range(3 * CAUSES):
        for _ in range(2):
            outage.began(BrokerUnavailable(f"cause {number}."))
            now += 1.0
    assert len(caplog.records) == CAUSES
    assert "cause 0. Trying again" in caplog.text and "cause 1. Trying again" in caplog.text
