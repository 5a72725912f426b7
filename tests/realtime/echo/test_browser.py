"""A person says something, and hears it; also while workers and servers come and go."""

import pytest
from playwright.sync_api import expect

from tests.realtime.running import BOTH, DEPLOYED, connected, say

pytestmark = pytest.mark.timeout(90)


@BOTH
def test_echo(tab):
    page = connected(tab("/echo/"))
    log = page.get_by_role("log")
    page.keyboard.press("Enter")
    expect(log.locator(".received")).to_have_text(["You said: hello world"])

    say(page, "<img src=x onerror=alert(1)> 🐎")
    expect(log.locator(".received").last).to_have_text("You said: <img src=x onerror=alert(1)> 🐎")
    expect(log.locator("img")).to_have_count(0)


@BOTH
def test_a_path_that_no_route_names_says_nothing(tab):
    page = connected(tab("/echo/"))
    # A promise, not wait_for_function: that polls by eval, which the pages' policy forbids.
    page.evaluate(
        """() => new Promise((settled) => {
            window.heard = [];
            window.stranger = new WebSocket(`ws://${location.host}/elsewhere/`);
            stranger.onopen = () => { stranger.send("hello world"); settled(); };
            stranger.onclose = () => settled();
            stranger.onmessage = (event) => heard.push(event.data);
        })"""
    )
    # Three rounds through the workers: an answer would have come with them.
    for number in range(3):
        page.evaluate("stranger.readyState === WebSocket.OPEN && stranger.send('hello again')")
        say(page, f"round {number}")
        expect(page.locator(".received").last).to_have_text(f"You said: round {number}")
    assert page.evaluate("heard") == []


@DEPLOYED
def test_a_socket_outlives_the_workers(tab, running):
    page = connected(tab("/echo/"))
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    for worker in running.workers:
        worker.kill9()
    say(page, "is somebody there?")
    expect(page.locator(".received")).to_have_count(0)
    running.start_worker()
    expect(page.locator(".received")).to_have_text(["You said: is somebody there?"])
    assert sockets == []


@DEPLOYED
def test_a_page_comes_back_when_the_server_does(tab, running):
    page = connected(tab("/echo/"))
    running.daphne.stop()
    expect(page.locator("#connection")).to_have_attribute("data-state", "waiting")
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    running.start_daphne()
    connected(page)
    say(page, "back again")
    expect(page.locator(".received")).to_have_text(["You said: back again"])
    tab.expect_complaints("WebSocket connection to")  # it found nobody for a while
