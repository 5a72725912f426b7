"""The home page leads everywhere, and from each page to its source."""

import re

import pytest
from playwright.sync_api import expect

from realtime import systems
from tests.realtime.running import ALONE, BOTH

pytestmark = pytest.mark.timeout(90)


LOUD = re.compile(r".* - (?:WARNING|ERROR|CRITICAL) - .*|Traceback.*")


@BOTH
def test_the_home_page_leads_to_every_page_and_its_source_and_no_process_complains(running, tab):
    page = tab("/")
    for system in systems.in_order():
        page.get_by_role("link", name=system.title, exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(system.title)
        page.get_by_role("link", name="the source of this page").click()
        expect(page.get_by_role("heading", level=2)).to_have_text(list(system.files))
        expect(page.locator("pre .k, pre .kd, pre .kn").first).to_be_visible()
        page.get_by_role("link", name="djchan").click()
        expect(page).to_have_title("djchan")
    for process in running.processes.started:
        assert LOUD.findall(process.output()) == [], process.name


@ALONE
def test_a_file_is_copied_by_a_click(tab):
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = tab("/source/echo/")
    page.get_by_role("button", name="Copy").first.click()
    expect(page.get_by_role("status")).to_have_text("realtime/echo/consumers.py is copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == (systems.ROOT / "realtime/echo/consumers.py").read_text().strip()


@BOTH
def test_sign_in_by_a_click_and_out_again(tab):
    page = tab("/echo/")
    page.get_by_role("link", name="Sign in").click()
    page.get_by_role("button", name="I am ada").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Echo and task queue")
    page.get_by_role("button", name="Sign out ada").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
