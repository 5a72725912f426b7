"""A person talks to three consumers, two in the server and one in a worker."""

import re
import urllib.request

import pytest
from playwright.sync_api import Locator, Page, expect
from websockets.sync.client import connect

from tests.realtime.running import BOTH, DEPLOYED, connected

pytestmark = pytest.mark.timeout(90)

NAMES = ("inside", "json", "outside")


def pane(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def said(page: Page, name: str) -> Locator:
    return pane(page, name).get_by_role("log").locator(".said")


def tell(page: Page, name: str, text: str) -> None:
    pane(page, name).get_by_role("textbox").fill(text)
    page.keyboard.press("Enter")


@BOTH
def test_what_one_is_told_all_three_hear_in_every_tab(tab, running):
    tabs = [connected(tab("/together/")) for _ in range(2)]
    heard = []
    for number, teller in enumerate(NAMES):
        tell(tabs[number % 2], teller, f"from <b>{teller}</b>")
        heard.append(re.compile(rf"^{teller} from <b>{teller}</b> process [0-9]+ ?$"))
        for page in tabs:
            for listener in NAMES:
                expect(said(page, listener)).to_have_text(heard)

    processes = {name: said(tabs[0], name).locator(".process").all_inner_texts() for name in NAMES}
    inside, json, outside = processes["inside"]
    assert inside == json
    # The consumers of Channels 4 are in the server; the third one in whichever worker took it.
    if running.workers:
        assert inside == f"process {running.daphne.pid}"
        assert outside in {f"process {worker.pid}" for worker in running.workers}
    else:
        assert inside == outside


@BOTH
def test_what_is_no_line_is_said_in_words_and_nowhere_else(tab):
    page = connected(tab("/together/"))
    page.evaluate(
        """() => new Promise((settled, failed) => {
            const socket = new WebSocket(`ws://${location.host}/ws/together/json/`);
            socket.onopen = () => socket.send("no JSON");
            socket.onmessage = (event) => {
                const told = JSON.parse(event.data);
                if (told.refused === "That is not JSON.") socket.send('{"text": "JSON"}');
                else settled(told.text);
            };
            socket.onclose = () => failed("closed");
        })"""
    )
    for name in NAMES:
        expect(said(page, name)).to_have_count(1)
        expect(pane(page, name).locator(".refused")).to_have_count(0)
    tell(page, "outside", "   x")  # The browser takes it; what is around it is cut off.
    expect(said(page, "outside").last).to_contain_text("outside x process")


@DEPLOYED
def test_without_what_runs_inside_the_rest_is_the_same(running):
    plain = running.processes.daphne("realtime.asgi:channel_layer")
    with urllib.request.urlopen(f"http://127.0.0.1:{plain.port}/together/", timeout=10) as page:
        assert b"<h1>Side by side</h1>" in page.read()
    for path, said, heard in (
        ("/chat/", "hello", "You said: hello"),
        ("/ws/together/outside/", "hello", '"where": "outside"'),
    ):
        with connect(f"ws://127.0.0.1:{plain.port}{path}", open_timeout=10) as socket:
            socket.send(said)
            assert heard in socket.recv(timeout=10)
    # A path that is inside elsewhere is here one that no route names.
    with connect(f"ws://127.0.0.1:{plain.port}/ws/together/inside/", open_timeout=10) as socket:
        socket.send("hello")
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.5)


@DEPLOYED
def test_workers_may_come_and_go_what_is_inside_does_not_notice(tab, running):
    page = connected(tab("/together/"))
    for worker in running.workers:
        worker.kill9()
    tell(page, "inside", "nobody is there")
    for name in NAMES:
        expect(said(page, name)).to_have_count(1)
    tell(page, "outside", "is somebody there?")
    tell(page, "json", "not yet")
    expect(said(page, "json")).to_have_count(2)
    running.start_worker()
    for name in NAMES:
        expect(said(page, name).locator(".text")).to_have_text(
            ["nobody is there", "not yet", "is somebody there?"]
        )
