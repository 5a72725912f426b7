"""Bob's tabs get what is for him from everywhere, Eve's get nothing of it."""

import json

import pytest
from playwright.sync_api import Page, expect

from tests.realtime.running import BOTH, connected
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(90)


def sign_in(page: Page, name: str) -> Page:
    page.get_by_role("link", name="Sign in").first.click()
    page.get_by_role("button", name=f"I am {name}").click()
    return connected(page)


def items(page: Page):
    return page.get_by_role("log").get_by_role("listitem")


def press(page: Page, button: str, *, to: str, text: str, said: str) -> None:
    page.get_by_label("To", exact=True).select_option(to)
    page.get_by_label("Text").fill(text)
    page.get_by_role("button", name=button).press("Enter")
    expect(page.get_by_role("status").filter(has_text=said)).to_be_visible()


@BOTH
def test_from_everywhere_to_one_person(tab, browser, running):
    bob = tab("/notifications/")
    expect(bob.get_by_role("alert")).to_contain_text("closed with 4401. Nobody is signed in here")
    sign_in(bob, "bob")
    expect(bob.get_by_text("Nothing yet.")).to_be_visible()
    second = connected(tab("/notifications/"))
    with browser.new_context() as context:
        eve = context.new_page()
        heard: list[str] = []
        eve.on(
            "websocket",
            lambda socket: socket.on("framereceived", lambda data: heard.append(str(data))),
        )
        eve.goto(f"{tab.address}/notifications/")
        sign_in(eve, "eve")

        press(eve, "From a view", to="bob", text="Dinner <b>now</b>", said="from the view")
        press(eve, "Save and roll back", to="bob", text="gone", said="nothing is pushed")
        press(eve, "Save a parcel", to="bob", text="a book", said="post_save")
        press(eve, "Remind in 3 s", to="bob", text="the tea", said="A worker pushes it in 3 s.")
        expected = ["the tea", "A parcel for you: a book", "Dinner <b>now</b>"]
        command = running.processes.manage("notify", "bob", "from the shell")
        assert command.wait_exit(timeout=30) == 0
        for page in (bob, second):
            expect(items(page).filter(has_text="the tea")).to_be_visible()
        if not running.workers:
            # Another process: it cannot reach this one's sockets, and says so.
            command.wait_printed("The channel layer is in memory")
            for page in (bob, second):
                connected(page).reload()
        for page in (bob, second):
            for text in [*expected, "from the shell"]:
                expect(items(page).filter(has_text=text)).to_have_count(1)
            expect(items(page)).to_have_count(4)  # Not the one that was rolled back.
            expect(page.locator("#unread")).to_have_text("4 new")
        expect(bob.locator("#items b")).to_have_count(0)

        # Read in one tab, it is read in the other, and stays so.
        bob.get_by_role("button", name="Mark as read").press("Enter")
        expect(bob.get_by_role("log")).to_be_focused()
        for page in (bob, second):
            expect(page.locator("#unread")).to_be_empty()
            expect(items(page).filter(has_text="New:")).to_have_count(0)

        # Eve hears what is for her, and by then has heard nothing that was for him.
        press(bob, "From a view", to="eve", text="for you", said="from the view")
        expect(items(eve)).to_have_count(1)
        expect(items(eve)).to_contain_text("for you")
        frames = [json.loads(text) for text in heard]
        wait_for(lambda: len(frames) == 2, timeout=1, what="a list and one push")
        assert [frame["kind"] for frame in frames] == ["list", "new"]

    # Away, and back.
    for page in (bob, second):
        page.close()
    away = connected(tab("/notifications/"))
    expect(items(away)).to_have_count(4)
    expect(away.locator("#unread")).to_be_empty()

    # The socket is bound to the login, so it ends with it.
    other = connected(tab("/notifications/"))
    away.get_by_role("button", name="Sign out bob").press("Enter")
    expect(other.get_by_role("alert")).to_contain_text("closed with 4411. This login was ended")
