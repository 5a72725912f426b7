"""Two people in a room, each in a tab."""

import pytest
from playwright.sync_api import Page, expect

from tests.realtime.running import BOTH, connected, say

pytestmark = pytest.mark.timeout(90)


@BOTH
def test_two_tabs_in_a_room(tab):
    ada = connected(tab("/rooms/lobby/"))
    expect(ada.locator("#log .event")).to_have_text(["anon joined"])
    ada.get_by_label("Your name").fill("Ada")
    ada.keyboard.press("Enter")
    joined(ada, "Ada")

    bob = tab("/rooms/lobby/")
    bob.get_by_label("Your name").fill("Bob")
    bob.keyboard.press("Enter")
    joined(bob, "Bob")
    joined(ada, "Bob")
    elsewhere = connected(tab("/rooms/coffee/"))

    connected(ada).bring_to_front()
    say(ada, "hello <b>Bob</b>")
    for page in (ada, bob):
        expect(page.locator("#log .said")).to_have_text(["Ada hello <b>Bob</b>"])
    expect(ada.locator("#log b")).to_have_count(0)
    connected(bob).bring_to_front()
    say(bob, "hello Ada")
    for page in (ada, bob):
        expect(page.locator("#log .said").last).to_have_text("Bob hello Ada")

    bob.close()
    expect(ada.locator("#log .event").filter(has_text="Bob left")).to_have_count(1)
    expect(elsewhere.locator("#log .said")).to_have_count(0)


def joined(page: Page, name: str) -> None:
    # Not the last line: the socket with the former name leaves at the same time.
    expect(page.locator("#log .event").filter(has_text=f"{name} joined")).to_have_count(1)
