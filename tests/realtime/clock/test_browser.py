"""A person watches the clock; workers come and go, and it does not notice."""

import pytest
from playwright.sync_api import Page, expect

from tests.realtime.running import BOTH, DEPLOYED, connected
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(90)


def ticks(page: Page) -> int:
    return int(page.locator("#ticks").inner_text())


def goes_on(page: Page) -> None:
    seen = ticks(page)
    wait_for(lambda: ticks(page) >= seen + 3, timeout=15, what="three more ticks")


@BOTH
def test_two_tabs_have_a_clock_each(tab):
    page, other = connected(tab("/clock/")), connected(tab("/clock/"))
    page.get_by_label("Seconds between two ticks").fill("0.1")
    page.keyboard.press("Enter")
    goes_on(page)
    goes_on(other)
    assert ticks(page) > ticks(other)

    page.get_by_label("Seconds between two ticks").fill("60")
    page.get_by_role("button", name="Set").click()
    expect(page.get_by_role("alert")).to_contain_text("from 0.1 to 5.0")
    goes_on(page)

    page.get_by_role("button", name="Ping").click()
    expect(page.locator("#pong")).to_have_text("pong (1)")
    expect(other.locator("#pong")).to_have_text("no pong yet")


@DEPLOYED
def test_it_runs_in_the_server_and_needs_no_worker(tab, running):
    page = connected(tab("/clock/"))
    expect(page.locator("#process")).to_have_text(str(running.daphne.pid))
    for worker in running.workers:
        worker.kill9()
    goes_on(page)
