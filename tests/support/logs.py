"""Loggers that a test may set up as a command does, without those after it hearing of it."""

import logging
from collections.abc import Iterator

import pytest

from djchan import log
from djchan.throttling import throttle

TOUCHED = ("djchan", "djchan.worker", "django.channels", *log.DAPHNE)


@pytest.fixture
def loggers() -> Iterator[None]:
    """Loggers as a new process has them, put back afterwards."""
    before = {}
    for name in TOUCHED:
        logger = logging.getLogger(name)
        before[name] = (logger.parent, logger.level, logger.propagate, logger.handlers[:])
    for name in TOUCHED:
        logger = logging.getLogger(name)
        logger.setLevel(logging.NOTSET)
        logger.propagate = True
        logger.handlers[:] = []
    logging.getLogger("djchan").parent = logging.getLogger()
    yield
    for name, (parent, level, propagate, handlers) in before.items():
        logger = logging.getLogger(name)
        logger.parent, logger.propagate, logger.handlers[:] = parent, propagate, handlers
        logger.setLevel(level)


@pytest.fixture(autouse=True)
def every_line() -> Iterator[None]:
    """No line is left out because an earlier test, or this one, has logged the same."""
    yield
    throttle.clear()
