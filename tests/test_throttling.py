"""Lines that come too often: some are logged, and the next one says how many were not."""

import logging

import pytest

from djchan import throttling
from djchan.throttling import Throttle, throttled


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def throttle(monkeypatch):
    it = Throttle(clock=Clock())
    it.is_on = True
    monkeypatch.setattr(throttling, "throttle", it)
    return it


def test_a_cause_is_logged_once_in_a_while_and_says_how_many_were_left_out(throttle, caplog):
    logger = logging.getLogger("djchan.test")
    for number in range(5):
        throttled(logger, logging.WARNING, "full", "%s was full with %d", "a", number)
    throttled(logger, logging.WARNING, "other", "another cause")
    throttle._clock.now += throttling.QUIET
    throttled(logger, logging.WARNING, "full", "%s was full with %d", "a", 5)

    assert [record.getMessage() for record in caplog.records] == [
        "a was full with 0",
        "another cause",
        "a was full with 5 (4 more like it before this line)",
    ]


def test_the_first_lines_of_a_burst_are_logged(throttle):
    found = [throttle.left_out("error", 3) for _ in range(5)]
    throttle._clock.now += throttling.QUIET
    found += [throttle.left_out("error", 3) for _ in range(4)]

    assert found == [0, 0, 0, None, None, 2, 0, 0, None]


def test_outside_of_servers_and_workers_every_line_is_logged(throttle):
    throttle.clear()

    assert [throttle.left_out("error") for _ in range(3)] == [0, 0, 0]


def test_causes_are_bounded(throttle, monkeypatch):
    monkeypatch.setattr(throttling, "CAUSES", 3)
    for cause in "abcd":
        assert throttle.left_out(cause) == 0

    assert len(throttle._causes) == 3
    assert throttle.left_out("d") is None
    assert throttle.left_out("a") == 0


def test_a_level_that_is_off_counts_nothing(throttle):
    logger = logging.getLogger("djchan.test")
    logger.setLevel(logging.ERROR)
    throttled(logger, logging.INFO, "cause", "never")
    logger.setLevel(logging.NOTSET)

    assert not throttle._causes
