"""A person ends a login in one tab, and reads in the other why its socket was closed."""

import pytest
from playwright.sync_api import Page, expect

from tests.realtime.running import BOTH, DEPLOYED, connected

pytestmark = pytest.mark.timeout(90)


def sign_in(page: Page, name: str) -> Page:
    page.get_by_role("link", name="Sign in").first.click()
    page.get_by_role("button", name=f"I am {name}").click()
    return page


def says(page: Page, words: str) -> None:
    expect(page.get_by_role("log")).to_contain_text(words)


@BOTH
def test_sign_out_in_one_tab_closes_the_sockets_of_all(tab):
    page = tab("/logins/")
    says(page, "Closed with 4401. Nobody is signed in here")
    connected(sign_in(page, "ada"))
    says(page, "Open, for ada.")
    elsewhere = connected(tab("/logins/"))

    page.get_by_role("button", name="Sign out", exact=True).press("Enter")
    for each in (page, elsewhere):
        says(each, "Closed with 4411. This login was ended: signed out")
        expect(each.locator("#connection")).to_have_text("Closed (4411)")
    expect(page.get_by_role("status").filter(has_text="Signed out.")).to_be_visible()

    # Somebody who wants to come back without a login is told why not.
    elsewhere.get_by_role("button", name="Connect again").click()
    says(elsewhere, "Closed with 4401.")
    elsewhere.locator("#closed").get_by_role("link", name="Sign in").click()
    elsewhere.get_by_role("button", name="I am ada").click()
    connected(elsewhere)


@DEPLOYED
def test_a_session_runs_out_and_a_new_password_needs_a_new_login(tab, browser):
    page = connected(sign_in(tab("/logins/"), "ada"))
    with browser.new_context() as context:
        phone = context.new_page()
        phone.goto(f"{tab.address}/logins/")
        connected(sign_in(phone, "ada"))

        page.get_by_label("Seconds from now").fill("0")
        page.get_by_role("button", name="Let it expire").click()  # The browser asks for more.
        page.get_by_label("Seconds from now").fill("2")
        page.get_by_role("button", name="Let it expire").click()
        says(page, "Closed with 4414. The session has run out of time.")
        connected(phone)  # The other login goes on.

        phone.get_by_role("button", name="Change the password").click()
        says(phone, "Closed with 4412. The password was changed")
        phone.get_by_role("button", name="Connect again").click()
        connected(phone)

        phone.get_by_role("button", name="Deactivate the account").click()
        says(phone, "Closed with 4413. This account was deactivated.")
        phone.get_by_role("button", name="Change the password").click()
        expect(phone.get_by_role("status").filter(has_text="Nobody is signed in")).to_be_visible()
