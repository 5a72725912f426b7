"""A real Chromium, driven by Playwright, for the pages of the example site.

``page`` starts a browser for one test and ends it with the test. Not one for the session:
Playwright's synchronous interface keeps an event loop running in this thread, in which no
asynchronous test could start and Django would refuse its ORM.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.waiting import missing

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 5000  # ms that an action or an expectation waits.

FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # A browser at rest calls home; tests reach this machine only.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium for as long as the ``with`` block runs."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        missing("chromium", "apt-get install chromium")
    flags = list(FLAGS)
    if os.geteuid() == 0:
        flags.append("--no-sandbox")  # Chromium refuses its sandbox to root.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=flags, headless=True, timeout=15_000
        )
        yield browser
        browser.close()


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A headless Chromium; each ``new_context()`` is another visitor."""
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a new visitor; an error in the page's JavaScript fails the test."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    errors: list[str] = []
    context.on("weberror", lambda web_error: errors.append(str(web_error.error)))
    yield context.new_page()
    context.close()
    assert not errors, errors
