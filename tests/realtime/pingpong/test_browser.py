"""A person pings by both sockets, and sends what is no JSON."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.realtime.running import BOTH, connected

pytestmark = pytest.mark.timeout(90)


def pane(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def send(page: Page, name: str, frame: str) -> None:
    pane(page, name).get_by_role("textbox").fill(frame)
    page.keyboard.press("Enter")


def received(page: Page, name: str) -> Locator:
    return pane(page, name).get_by_role("log").locator(".received")


@BOTH
def test_pings_are_answered_and_their_time_is_shown(tab, running):
    page, other = connected(tab("/pingpong/")), connected(tab("/pingpong/"))
    for name in ("text", "json"):
        expect(pane(page, name).locator("output")).to_have_text("\N{EN DASH}")
        for _ in range(3):
            pane(page, name).get_by_role("button", name="Ping").click()
        expect(received(page, name)).to_have_count(3)
        expect(pane(page, name).locator("output")).to_have_text(re.compile(r"^[0-9]+\.[0-9]$"))
        expect(pane(page, name).locator(".count")).to_have_text("3")
        expect(pane(page, name).locator(".median")).to_have_text(re.compile(r"^[0-9.]+ ms$"))

    # What is wrong is said, and the same socket goes on: so does its worker.
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    send(page, "json", "{'ping': 1}")
    expect(received(page, "json").last).to_contain_text("This is not JSON")
    send(page, "json", '{"pong": 1}')
    expect(received(page, "json").last).to_contain_text("a whole number of your own")
    send(page, "text", "<b>PONG</b>")
    expect(received(page, "text").last).to_have_text("This socket understands PING only.")
    pane(page, "json").get_by_role("button", name="Ping").press("Enter")
    expect(received(page, "json").last).to_have_text('{"pong": 1004}')
    assert sockets == []
    for process in running.processes.started:
        assert process.printed("Traceback") == 0

    # Each answer went to the socket that asked: the other tab's have heard none.
    pane(other, "json").get_by_role("button", name="Ping").click()
    expect(received(other, "json")).to_have_text(['{"pong": 1001}'])
    expect(received(other, "text")).to_have_count(0)
