"""People in a room, each in tabs of their own: what they say, who is here, who is typing."""

import json
import sqlite3
import time

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.realtime.running import BOTH, DEPLOYED, PATIENCE, Tabs, connected, say
from tests.support.raw import Raw, handshake
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(120)


@BOTH
def test_people_in_a_room(tab, running):
    elsewhere = connected(tab("/rooms/coffee/"))
    bob = connected(another(tab)("/rooms/lobby/"))
    expect(bob.locator("#log .event")).to_have_text(["anon joined"])
    bob.get_by_label("Your name").fill("Bob")
    bob.keyboard.press("Enter")
    expect(here(bob)).to_have_text(["Bob"])

    # Who is signed in has that name, with a sign that nobody can take.
    ada = tab("/people/sign-in/?next=/rooms/lobby/")
    ada.get_by_role("button", name="I am ada").click()
    expect(connected(ada).get_by_label("Your name")).to_have_count(0)
    for page in (ada, bob):
        expect(here(page)).to_have_text(["Bob", "ada"])
        expect(here(page).nth(1).get_by_label("(signed in)")).to_be_visible()
        expect(here(page).nth(0).get_by_label("(signed in)")).to_have_count(0)

    ada.bring_to_front()
    say(ada, "hello <b>Bob</b>")
    for page in (ada, bob):
        expect(texts(page)).to_have_text(["hello <b>Bob</b>"])
        expect(page.locator("#log .said .name")).to_have_text(["ada"])
    expect(ada.locator("#log b")).to_have_count(0)

    # Typing: told to the others, not with every key, and over when it is said.
    sent: list[str] = []
    bob.on("websocket", lambda socket: socket.on("framesent", lambda data: sent.append(data)))
    bob.reload()
    connected(bob)
    expect(here(ada)).to_have_text(["ada", "Bob"])
    bob.bring_to_front()
    ada.evaluate(NOTE_TYPING)
    began = time.monotonic()
    bob.keyboard.type("hello ada, how are you today? ")
    took = time.monotonic() - began
    was_told_of_typing(ada)
    frames = [json.loads(frame) for frame in sent]
    assert 1 <= frames.count({"typing": True}) <= 2 + took / 2
    bob.keyboard.press("Enter")
    expect(texts(ada)).to_have_text(["hello <b>Bob</b>", "hello ada, how are you today?"])
    expect(ada.locator("#typing")).to_have_text("")
    # And by itself, for who types and thinks better of it.
    ada.evaluate("told.length = 0")
    bob.keyboard.type("I ")
    was_told_of_typing(ada)
    expect(bob.locator("#typing")).to_have_text("")
    expect(ada.locator("#typing")).to_have_text("")

    # Who comes later, or again, sees what was said, once and in order, then what is said.
    ada.reload()
    connected(ada)
    again = connected(tab("/rooms/lobby/"))
    for page in (ada, bob, again):
        expect(here(page)).to_have_text(["Bob", TWICE])
    say(ada, "very well")
    everything = ["hello <b>Bob</b>", "hello ada, how are you today?", "very well"]
    for page in (ada, bob, again):
        expect(texts(page)).to_have_text(everything)

    # A tab that is killed says no goodbye.
    ghost = Raw(running.port, handshake("/ws/rooms/lobby/?name=Ghost"))
    for page in (ada, bob):
        expect(here(page)).to_have_text(["Bob", TWICE, "Ghost"])
    ghost.reset()
    again.close()
    for page in (ada, bob):
        expect(here(page)).to_have_text(["Bob", "ada"])
    expect(ada.locator("#log .event").filter(has_text="Ghost left")).to_have_count(1)

    # With another name, by another socket, which is shown the same lines again.
    bob.get_by_label("Your name").fill("Robert")
    bob.keyboard.press("Enter")
    for page in (ada, bob):
        expect(here(page)).to_have_text(["ada", "Robert"])
    expect(texts(bob)).to_have_text(everything)

    # All this time nothing came into the other room.
    expect(elsewhere.locator("#log li")).to_have_text(["anon joined"])
    expect(here(elsewhere)).to_have_text(["anon"])


@DEPLOYED
def test_no_line_is_lost_or_doubled(tab, running):
    """Two talk fast while a third comes in, again and again, and a worker is killed."""
    watcher = connected(tab("/rooms/lobby/"))
    talkers = [connected(another(tab)("/rooms/coffee/")) for _ in range(2)]
    for name, page in zip("ab", talkers, strict=True):
        page.evaluate(TALK, name)
    newcomer = tab("/rooms/lobby/")
    for round in range(4):
        expect(texts(newcomer).first).to_be_visible()
        if round == 1:
            running.workers[0].kill9()
        newcomer.reload()
    running.start_worker("--exclude-channels=thumbnails")
    for page in talkers:
        page.evaluate("talking")

    spoken = [f"{name} {number}" for name in "ab" for number in range(LINES)]
    for last in (f"a {LINES - 1}", f"b {LINES - 1}"):
        for page in (watcher, newcomer):
            expect(texts(page).filter(has_text=last)).to_have_count(1, timeout=30_000)
    seen = texts(watcher).all_text_contents()
    assert sorted(seen) == sorted(spoken)
    for name in "ab":
        assert [text for text in seen if text[0] == name] == [
            text for text in spoken if text[0] == name
        ]
    late = texts(newcomer).all_text_contents()
    assert len(late) >= 2
    assert late == seen[-len(late) :]
    with sqlite3.connect(running.processes.env["REALTIME_DB"]) as database:
        (kept,) = database.execute("select count(*), count(distinct text) from rooms_line")
    database.close()
    assert kept == (len(spoken), len(spoken))


TWICE = "ada \u00d7 2"
LINES = 100  # of each talker: together fewer than a room keeps

TALK = f"""(name) => {{
    window.talking = new Promise((settled) => {{
        const socket = new WebSocket(`ws://${{location.host}}/ws/rooms/lobby/`);
        let number = 0;
        socket.onopen = () => {{
            const timer = setInterval(() => {{
                socket.send(JSON.stringify({{ text: `${{name}} ${{number++}}` }}));
                if (number === {LINES}) settled(clearInterval(timer));
            }}, 50);
        }};
    }});
}}"""


# It goes by itself after some seconds, so what was there is noted.
NOTE_TYPING = """() => {
    window.told = [];
    const typing = document.getElementById("typing");
    new MutationObserver(() => told.push(typing.textContent)).observe(typing, { childList: true });
}"""


def was_told_of_typing(page: Page) -> None:
    wait_for(
        lambda: "Bob is typing …" in page.evaluate("told"),
        timeout=PATIENCE / 1000,
        what="the others are told who is typing",
    )


def another(tab: Tabs) -> Tabs:
    """Another visitor's tabs. What their console complains of fails the test, too."""
    other = Tabs(tab.address, tab.context.browser.new_context())
    other.complaints = tab.complaints
    return other


def texts(page: Page) -> Locator:
    return page.locator("#log .said .text")


def here(page: Page) -> Locator:
    return page.get_by_role("list", name="Here now:").get_by_role("listitem")
