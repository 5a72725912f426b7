"""A person says something, and hears it; also while workers and servers come and go."""

import re

import pytest
from playwright.sync_api import Page, expect

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


@BOTH
def test_the_slow_way_holds_nobody_up(tab, running):
    if running.workers:
        worker = running.start_worker("--only-channels=slow-echo").pid
        others = [process.pid for process in running.workers if process.pid != worker]
    page = connected(tab("/echo/"))
    received = page.locator(".received")
    say_slowly(page, "work")
    expect(page.locator(".sent")).to_have_text(["work the slow way"])
    say(page, "meanwhile")
    expect(received).to_have_text(["You said: meanwhile"])
    expect(received).to_have_count(2, timeout=30_000)
    answer = re.fullmatch(
        r"You said: work \(3 seconds of work by worker (\d+), handed on by worker (\d+)\)\s*",
        received.last.text_content(),
    )
    assert answer is not None
    if running.workers:
        # Who holds the line, and who has done the work, are two processes.
        assert int(answer[1]) == worker
        assert int(answer[2]) in others


@DEPLOYED
def test_the_slow_answer_comes_once_though_its_worker_dies(tab, running):
    first = running.start_stuck_worker(
        "import types, workers.echo; workers.echo.time = types.SimpleNamespace(sleep=stuck)",
        "--only-channels=slow-echo",
    )
    first.wait_printed("is ready", timeout=30)
    mine, neighbors = connected(tab("/echo/")), connected(tab("/echo/"))
    say_slowly(mine, "work")
    first.wait_printed("stuck")
    second = running.start_worker("--only-channels=slow-echo")
    second.wait_printed("is ready", timeout=30)
    first.kill9()

    received = mine.locator(".received")
    expect(received).to_contain_text([f"You said: work (3 seconds of work by worker {second.pid}"])
    # What else there might be of it would have come before the next answer.
    say_slowly(mine, "more work")
    expect(received).to_contain_text(["You said: work (", "You said: more work ("])
    expect(neighbors.locator(".received")).to_have_count(0)


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
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    running.start_daphne()
    connected(page)
    say(page, "back again")
    expect(page.locator(".received")).to_have_text(["You said: back again"])
    tab.expect_complaints("WebSocket connection to")  # it found nobody for a while


def say_slowly(page: Page, text: str) -> None:
    """As somebody does who has only a keyboard."""
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(text)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="The slow way")).to_be_focused()
    page.keyboard.press("Enter")
