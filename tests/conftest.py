"""Fixtures of all tests: private servers, real processes, a browser."""

from tests.support.browser import browser, page
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
    "own_broker",
    "page",
    "processes",
    "redis_server",
    "start_server",
    "valkey_server",
]
