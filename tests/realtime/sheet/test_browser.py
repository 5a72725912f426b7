"""Several people write in one sheet, each in tabs of their own; and workers die meanwhile."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from redis import Redis

from tests.realtime.running import BOTH, DEPLOYED, Tabs, connected
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(120)


@BOTH
def test_a_saved_cell_refreshes_in_every_other_tab(tab):
    bob = signed_in(tab, "bob")
    frames: list[str] = []
    bob.on("websocket", lambda socket: socket.on("framereceived", lambda data: frames.append(data)))
    bob.reload()
    connected(bob)
    same_person = connected(tab("/sheet/shop/"))
    prices = connected(tab("/sheet/prices/"))
    watcher = connected(another(tab)("/sheet/shop/"))
    eve = signed_in(another(tab), "eve")

    # Who is not signed in watches; who is not on the staff watches the prices.
    expect(watcher.get_by_role("textbox")).to_have_count(0)
    expect(watcher.get_by_role("link", name="Sign in to write.")).to_be_visible()
    expect(prices.get_by_role("textbox")).to_have_count(0)

    write(bob, "Amount of Coffee", " 99 ")
    expect(cell(bob, "Amount of Coffee")).to_have_value("99")
    expect(news(bob)).to_have_text("Saved: Amount of Coffee is “99”.")
    expect(cell(bob, "Amount of Cups")).to_be_focused()  # Enter went on to the next row
    expect(cell(same_person, "Amount of Coffee")).to_have_value("99")
    expect(news(same_person)).to_have_text("You, in another tab, wrote “99” in Amount of Coffee.")
    expect(cell(eve, "Amount of Coffee")).to_have_value("99")
    expect(watcher.get_by_role("cell", name="99")).to_be_visible()

    # A choice, with the keys alone; and a name, by which the cells of a row are called.
    cell(eve, "Place of Honey").select_option("In the cellar")
    expect(news(bob)).to_have_text("eve wrote “In the cellar” in Place of Honey.")
    expect(cell(bob, "Place of Honey")).to_have_value("cellar")
    write(eve, "Item of Honey", "Syrup")
    expect(cell(bob, "Place of Syrup")).to_have_value("cellar")

    # What is not valid stays in the cell, with the reason, and is seen by nobody else.
    write(bob, "Amount of Cups", "13")
    problem = bob.get_by_role("alert")
    expect(problem).to_have_text("In the window there is room for 12, not 13.")
    expect(cell(bob, "Amount of Cups")).to_have_value("13")
    expect(cell(bob, "Amount of Cups")).to_have_attribute("aria-invalid", "true")
    expect(cell(bob, "Amount of Cups")).to_have_accessible_description(
        "In the window there is room for 12, not 13."
    )
    write(bob, "Note of Cups", "<img src=x onerror=alert(1)>")
    expect(cell(eve, "Note of Cups")).to_have_value("<img src=x onerror=alert(1)>")
    expect(news(bob)).to_have_text("Saved: Note of Cups is “<img src=x onerror=alert(1)>”.")
    expect(cell(eve, "Amount of Cups")).to_have_value("8")
    cell(bob, "Amount of Cups").press("Escape")
    expect(cell(bob, "Amount of Cups")).to_have_value("8")
    expect(problem).to_have_count(0)

    # The tab that wrote had answers, and was told only of what others wrote; the other
    # sheet was told of nothing.
    told = [json.loads(frame) for frame in frames]
    assert [one["name"] for one in told if one["kind"] == "cell"] == ["eve", "eve"]
    assert [one["kind"] for one in told if one["kind"] not in ("cell", "cells")] == [
        "saved",
        "refused",
        "saved",
    ]
    expect(news(prices)).to_have_text("")


@BOTH
def test_a_sign_out_closes_the_sheets_of_that_login_and_no_others(tab):
    bob = signed_in(tab, "bob")
    elsewhere = connected(tab("/sheet/shop/"))
    watcher = connected(another(tab)("/sheet/shop/"))

    bob.get_by_role("button", name="Sign out bob").click()
    expect(elsewhere.locator("#connection")).to_have_text("Closed (4411)")
    expect(news(elsewhere)).to_have_text("This login has ended. Reload the page to look on.")
    elsewhere.reload()
    connected(elsewhere)
    expect(elsewhere.get_by_role("textbox")).to_have_count(0)
    connected(watcher)


@BOTH
def test_two_people_write_one_cell(tab):
    bob = signed_in(tab, "bob")
    eve = signed_in(another(tab), "eve")
    note = "Note of Teapots"

    # Typed, and not saved yet: what others save does not replace it.
    cell(bob, note).fill("round ones")
    write(eve, note, "square ones")
    expect(bob.get_by_role("alert")).to_have_text("eve wrote “square ones” here meanwhile.")
    expect(cell(bob, note)).to_have_value("round ones")
    expect(cell(bob, note)).to_be_focused()
    bob.keyboard.press("Enter")  # does not save over it: first decide
    expect(bob.get_by_role("button", name="Keep mine")).to_be_focused()
    expect(cell(eve, note)).to_have_value("square ones")
    bob.keyboard.press("Enter")
    expect(bob.get_by_role("alert")).to_have_count(0)
    expect(cell(bob, note)).to_be_focused()
    expect(cell(eve, note)).to_have_value("round ones")

    # Both press Enter in one moment: neither has heard of the other's, and a worker decides.
    frame = {"kind": "write", "sheet": "shop", "id": 1, "column": 3, "seen": 0}
    first = bob.evaluate(BY_A_SOCKET_OF_ITS_OWN, {**frame, "value": "first"})
    second = eve.evaluate(BY_A_SOCKET_OF_ITS_OWN, {**frame, "value": "second"})
    assert (first["kind"], first["value"], first["version"]) == ("saved", "first", 1)
    assert (second["kind"], second["value"], second["name"]) == ("conflict", "first", "bob")
    expect(cell(eve, "Note of Tea, green")).to_have_value("first")

    cell(eve, note).fill("no tea at all")
    write(bob, note, "round ones, blue")
    expect(eve.get_by_role("alert")).to_have_text("bob wrote “round ones, blue” here meanwhile.")
    eve.get_by_role("button", name="Take theirs").click()
    expect(cell(eve, note)).to_have_value("round ones, blue")
    expect(eve.get_by_role("alert")).to_have_count(0)
    write(eve, note, "round ones, green")
    expect(cell(bob, note)).to_have_value("round ones, green")


@DEPLOYED
def test_a_worker_dies_while_it_writes(tab, running):
    bob = signed_in(tab, "bob")
    eve = signed_in(another(tab), "eve")
    redis = running.processes.env["REDIS_URL"]
    sockets: list[str] = []
    bob.on("websocket", lambda socket: sockets.append(socket.url))

    wait_for(lambda: not leased(redis), timeout=15, what="the workers are done")
    with locked(Path(running.processes.env["REALTIME_DB"])):
        write(bob, "Amount of Coffee", "77")
        # Taken by a worker, which waits for the database now.
        wait_for(lambda: leased(redis), timeout=15, what="a worker has the message")
        for worker in running.workers:
            worker.kill9()
    cell(eve, "Amount of Honey").fill("5")
    eve.keyboard.press("Tab")  # to nobody, for now
    expect(box(bob, "Amount of Coffee")).to_have_attribute("data-state", "saving")
    running.start_worker("--exclude-channels=thumbnails")

    for page in (bob, eve):
        expect(cell(page, "Amount of Coffee")).to_have_value("77")
        expect(cell(page, "Amount of Honey")).to_have_value("5")
    expect(box(bob, "Amount of Coffee")).to_have_attribute("data-state", "saved")
    expect(box(eve, "Amount of Honey")).to_have_attribute("data-state", "saved")
    assert sockets == []
    # Written once each, by whom it was.
    with sqlite3.connect(running.processes.env["REALTIME_DB"]) as database:
        written = database.execute(
            "select field, version, username from sheet_cell "
            "join auth_user on auth_user.id = user_id order by username"
        ).fetchall()
    database.close()
    assert written == [("amount", 1, "bob"), ("amount", 1, "eve")]


@DEPLOYED
def test_what_is_typed_without_a_connection_is_saved_with_the_next(tab, running):
    bob = signed_in(tab, "bob")
    running.daphne.stop()
    expect(bob.locator("#connection")).to_have_attribute("data-state", "waiting")
    write(bob, "Amount of Coffee", "66")
    expect(news(bob)).to_have_text("Not connected. Amount of Coffee will be saved when we are.")
    running.start_daphne()
    expect(news(bob)).to_have_text("Saved: Amount of Coffee is “66”.", timeout=30_000)
    bob.reload()
    expect(cell(connected(bob), "Amount of Coffee")).to_have_value("66")
    tab.expect_complaints("WebSocket connection to")


BY_A_SOCKET_OF_ITS_OWN = """(frame) => new Promise((settled) => {
    const socket = new WebSocket(`ws://${location.host}/ws/sheet/shop/`);
    socket.onopen = () => socket.send(JSON.stringify(frame));
    socket.onmessage = (event) => { settled(JSON.parse(event.data)); socket.close(); };
})"""


def another(tab: Tabs) -> Tabs:
    """Another visitor's tabs. What their console complains of fails the test, too."""
    other = Tabs(tab.address, tab.context.browser.new_context())
    other.complaints = tab.complaints
    return other


def signed_in(tab: Tabs, name: str) -> Page:
    page = tab("/people/sign-in/?next=/sheet/shop/")
    page.get_by_role("button", name=f"I am {name}").click()
    return connected(page)


def cell(page: Page, label: str) -> Locator:
    return page.get_by_label(label, exact=True)


def box(page: Page, label: str) -> Locator:
    return page.locator("td").filter(has=page.get_by_label(label, exact=True))


def news(page: Page) -> Locator:
    return page.locator("#news")


def write(page: Page, label: str, value: str) -> None:
    cell(page, label).fill(value)
    page.keyboard.press("Enter")


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Nobody else can write to the database inside; who tries waits."""
    database = sqlite3.connect(file, isolation_level=None, timeout=20)
    database.execute("BEGIN IMMEDIATE")
    yield
    database.execute("ROLLBACK")
    database.close()


def leased(redis_url: str) -> bool:
    """Whether a worker has a message that is not done."""
    with Redis.from_url(redis_url) as client:
        return any(client.keys("*:l:*"))
