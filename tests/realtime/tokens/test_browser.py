"""A token in a page and in a program: shown either way, revoked, run out, missing."""

import pytest
from playwright.sync_api import Page, expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.realtime.running import BOTH, connected

pytestmark = pytest.mark.timeout(120)


def make(page: Page, name: str) -> str:
    before = page.get_by_label("The token").input_value()
    page.get_by_label("Name").fill(name)
    page.keyboard.press("Enter")
    expect(page.get_by_label("The token")).not_to_have_value(before)
    return page.get_by_label("The token").input_value()


def use(page: Page, how: str) -> None:
    page.get_by_label(how).check()
    page.get_by_role("button", name="Connect").press("Enter")


def says(page: Page, words: str) -> None:
    expect(page.get_by_role("log")).to_contain_text(words)


@BOTH
def test_tokens(tab, browser, running):
    page = tab("/tokens/")
    page.get_by_role("link", name="Sign in").first.click()
    page.get_by_role("button", name="I am ada").click()
    expect(page.get_by_text("None yet.")).to_be_visible()
    first, second = make(page, "one <b>"), make(page, "two")
    expect(page.get_by_role("rowheader")).to_have_text(["two", "one <b>"])

    # A program, and a page of somebody who is not signed in.
    url = f"ws://127.0.0.1:{running.port}/ws/tokens/"
    client = "-m", "realtime.tokens.client", url
    program = running.processes.python(*client, second, "--first-message", "--stay")
    with browser.new_context() as context:
        stranger = context.new_page()
        stranger.goto(f"{tab.address}/tokens/")
        stranger.get_by_label("Token", exact=True).fill(first)
        use(stranger, "In the handshake")
        says(connected(stranger), '{"welcome": "ada"}')
        stranger.get_by_role("button", name="Who am I?").press("Enter")
        says(stranger, '{"you": "ada", "by": "one <b>"}')
        program.wait_printed('{"you": "ada", "by": "two"}')

        page.reload()  # Shown once.
        expect(page.get_by_label("The token")).to_be_hidden()
        expect(page.get_by_label("The token")).to_have_value("")
        page.get_by_role("button", name="Revoke one <b>").press("Enter")
        says(stranger, "Closed with 4403. This token was revoked.")
        expect(page.get_by_role("rowheader", name="one <b>")).to_be_focused()
        expect(page.get_by_role("row").filter(has_text="This token was revoked.")).to_have_count(1)
        use(stranger, "In the first message")
        expect(stranger.get_by_text("Closed with 4403")).to_have_count(2)

        # The other one was not revoked; and by then its program has heard nothing of it.
        stranger.get_by_label("Token", exact=True).fill(second)
        use(stranger, "In the first message")
        expect(stranger.locator(".received").last).to_have_text('{"welcome": "ada"}')
        assert program.running()
        page.get_by_role("button", name="Revoke two").press("Enter")
        assert program.wait_exit() == 1
        program.wait_printed("Closed with 4403: the token was revoked.")

        use(stranger, "Not at all")
        says(stranger, "Closed with 4408. No token came in time.")

    # No Origin: no browser. That of another site is refused, whatever token is shown.
    unknown = running.processes.python(*client, "no-token")
    assert unknown.wait_exit() == 1
    unknown.wait_printed("Closed with 4401: there is no such token.")
    third = make(page, "three")
    good = running.processes.python(*client, third)
    assert good.wait_exit() == 0
    assert third not in good.output()
    with (
        pytest.raises(InvalidStatus, match="403"),
        connect(url, subprotocols=["djchan", f"token.{third}"], origin="https://evil.example"),
    ):
        pass
    for process in running.processes.started:  # What the servers and workers print.
        assert not any(token in process.output() for token in (first, second, third))
