"""Fixtures of all tests: private servers, real processes, a browser, kinds of consumers."""

import pytest
from hypothesis import HealthCheck, settings

from djchan.test_mode import CONFIG, test_mode
from tests.support.browser import browser, page
from tests.support.consumers import kind, name
from tests.support.logs import every_line, loggers
from tests.support.processes import processes
from tests.support.servers import (
    broker,
    own_broker,
    redis_server,
    start_server,
    valkey_server,
)

__all__ = [
    "broker",
    "browser",
    "every_line",
    "kind",
    "loggers",
    "name",
    "own_broker",
    "page",
    "processes",
    "redis_server",
    "start_server",
    "valkey_server",
]

# How long an example takes says how busy the machine is; the time limit of the test is enough.
settings.register_profile("djchan", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("djchan")


def pytest_configure() -> None:
    # The layers of these tests are their own, in the processes that they start as well.
    test_mode.choose(CONFIG)


# Parameters that CI adds: what else runs the same text, where `make test` has one of each.
IN_CI = {"deployed", "encrypted", "uvicorn", "valkey"}


def pytest_itemcollected(item: pytest.Item) -> None:
    parameters = getattr(item, "callspec", None)
    if parameters is not None and not IN_CI.isdisjoint(parameters.id.split("-")):
        item.add_marker("full")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Modules that start processes run first: a run should not end with one process that waits
    # for a long module. The order within each half stays random.
    items.sort(key=_starts_no_process)


def _starts_no_process(item: pytest.Item) -> bool:
    return {"processes", "browser"}.isdisjoint(getattr(item, "fixturenames", ()))
