"""One browser for a whole module here, whose tests are many, short, and without database."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.realtime.running import database
from tests.static.pages import pages
from tests.support.browser import chromium

__all__ = ["browser", "database", "pages"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started
