"""Ada writes; readers in tabs, and by the hundred on plain sockets, read."""

import asyncio
import json
import threading

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect
from websockets.asyncio.client import connect

from tests.realtime.running import BOTH, DEPLOYED, PATIENCE, Site, Tabs, connected
from tests.support.processes import Process

pytestmark = pytest.mark.timeout(150)

READERS = 300
MATCHES = ("harbor-hills", "river-rail", "castle-canal")


def board(page: Page, match: str = "river-rail"):
    return page.locator(f"[data-match={match}] .goals")


def ada(tab: Tabs) -> Page:
    """Another visitor than those who read: signed in, on the writer's page."""
    context = tab.context.browser.new_context()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(f"{tab.address}/scores/")
    page.get_by_role("link", name="Write the scores").click()
    page.get_by_role("button", name="I am ada").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Write the scores")
    return connected(page)


@BOTH
def test_one_writes_and_all_read(tab):
    early = tab("/scores/")
    routes: list[WebSocketRoute] = []

    def through(route: WebSocketRoute) -> None:
        route.connect_to_server()
        routes.append(route)

    late = tab("/")
    late.route_web_socket("**/ws/scores/", through)
    connected(early)
    writer = ada(tab)
    goal = writer.get_by_role("button", name="River Town +1")
    goal.click()
    for page in (early, writer):
        expect(board(page)).to_have_text("1:0")
    # By keyboard, too; the button has kept the focus, as the page was not loaded anew.
    expect(goal).to_be_focused()
    writer.keyboard.press("Enter")
    expect(board(early)).to_have_text("2:0")
    expect(board(early, "castle-canal")).to_have_text("0:0")

    late.goto(f"{tab.address}/scores/")
    expect(board(connected(late))).to_have_text("2:0")
    # An older state that took a longer way is not shown: a later sign comes after it.
    old = {"match": "river-rail", "home_goals": 7, "away_goals": 7, "minute": 7, "revision": 1}
    routes[0].send(json.dumps({"matches": [old]}))
    writer.get_by_role("button", name="Canal Rovers +1").click()
    expect(board(late, "castle-canal")).to_have_text("0:1")
    expect(board(late)).to_have_text("2:0")

    # Of two writers who saw the same, the second is told.
    second = ada(tab)
    second.evaluate(
        "() => document.querySelector('[data-match=river-rail] [name=revision]').value = '0'"
    )
    second.get_by_role("button", name="Railway Athletic +1").click()
    expect(second.get_by_role("status").filter(has_text="Not changed")).to_be_visible()
    expect(board(second)).to_have_text("2:0")
    second.context.close()
    writer.context.close()


@BOTH
def test_who_is_no_staff_may_not_write(tab):
    page = tab("/scores/")
    page.get_by_role("link", name="Write the scores").click()
    page.get_by_role("button", name="I am bob").click()
    expect(page.get_by_text("bob is none of it")).to_be_visible()
    page.get_by_role("link", name="Read them").click()
    # With the token of bob's own session, past all buttons.
    status = connected(page).evaluate(
        """async () => {
            const csrfmiddlewaretoken = document.querySelector("[name=csrfmiddlewaretoken]").value;
            const body = new URLSearchParams(
                {csrfmiddlewaretoken, match: "river-rail", change: "home+1", revision: "0"});
            return (await fetch("/scores/write/", {method: "POST", body})).status;
        }"""
    )
    assert status == 403
    page.reload()
    expect(board(connected(page))).to_have_text("0:0")
    tab.expect_complaints("403 (Forbidden)")


class Readers:
    """So many plain sockets, in an event loop of their own thread."""

    def __init__(self, port: int) -> None:
        self.url = f"ws://127.0.0.1:{port}/ws/scores/"
        self.here = threading.Semaphore(0)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def start(self, count: int) -> list:
        """Connect them, and return when each was told the present state."""
        futures = []
        for first in range(0, count, 50):  # As people come: not all in the same instant.
            some = range(first, min(count, first + 50))
            futures += [asyncio.run_coroutine_threadsafe(self.read(), self.loop) for _ in some]
            for _ in some:
                assert self.here.acquire(timeout=30), "a reader was not told the present state"
        return futures

    async def read(self) -> list[dict[str, int]]:
        """What one reader has in the end, when each match has reached its minute 90."""
        newest: dict[str, dict[str, int]] = {}
        async with connect(self.url, compression=None, open_timeout=30) as socket:
            await socket.send("state")
            while not (newest and all(state["minute"] == 90 for state in newest.values())):
                matches = json.loads(await socket.recv())["matches"]
                for state in matches:
                    before = newest.get(state["match"])
                    if before is None or state["revision"] > before["revision"]:
                        newest[state["match"]] = state
                if len(matches) == 3:  # What it had asked for.
                    self.here.release()
        return [newest[match] for match in MATCHES]

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


def result(command: Process) -> str:
    """The last line of a match that was played by the command."""
    assert command.wait_exit(timeout=60) == 0, command.output()
    return command.output().splitlines()[-1]


@DEPLOYED
def test_hundreds_read_and_each_has_the_last_word(tab: Tabs, running: Site):
    page = connected(tab("/scores/"))
    readers = Readers(running.port)
    try:
        early = readers.start(READERS // 2)
        games = [
            running.processes.manage("score", "--demo", slug, "--pause", "0.1") for slug in MATCHES
        ]
        for game in games:
            game.wait_printed("'")
        late = readers.start(READERS - READERS // 2)  # In the middle of it: told at once.
        results = [result(game) for game in games]
        last = [future.result(timeout=60) for future in early + late]
    finally:
        readers.stop()
    assert len(last) == READERS
    for states in last:
        assert states == last[0]
    for state, line in zip(last[0], results, strict=True):
        goals = f"{state['home_goals']}:{state['away_goals']}"
        assert f" {goals} " in line
        assert state["revision"] == 31  # The kick-off, and thirty steps.
        expect(board(page, state["match"])).to_have_text(goals)
