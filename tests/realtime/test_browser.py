"""A person uses the site, in Chromium, with all processes as they run for real.

Each test runs twice: on ``runserver`` alone (interface, workers and an in-memory layer in one
process), and on Daphne, two workers and Redis (four processes).
"""

import io
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from tests.support.processes import Process, Processes
from tests.support.waiting import free_port, wait_for
from workers.images import SIZES

pytestmark = pytest.mark.timeout(90)

PATIENCE = 10_000  # ms
expect.set_options(timeout=PATIENCE)

BOTH = pytest.mark.parametrize("running", ["runserver", "deployed"], indirect=True)
DEPLOYED = pytest.mark.parametrize("running", ["deployed"], indirect=True)


class Site:
    """The running site: where it is, and its processes."""

    def __init__(self, processes: Processes, folder: Path, redis_url: str) -> None:
        self.processes = processes
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.daphne: Process | None = None
        self.workers: list[Process] = []
        # Nothing of the developer's own environment counts here.
        processes.env = {
            "DJANGO_SETTINGS_MODULE": "realtime.settings",
            "REALTIME_DB": str(folder / "db.sqlite3"),
            "REALTIME_MEDIA": str(folder / "media"),
            "REALTIME_DEBUG": "1",
            "REDIS_URL": redis_url,
        }
        assert processes.manage("migrate", "--verbosity=0").wait_exit(timeout=30) == 0

    def start_runserver(self) -> None:
        self.processes.manage("runserver", "--noreload", f"127.0.0.1:{self.port}")
        self.wait_answering()

    def start_daphne(self) -> None:
        self.daphne = self.processes.daphne("realtime.asgi:channel_layer", port=self.port)

    def start_worker(self, *options: str) -> None:
        self.workers.append(self.processes.runworker(*options))

    def wait_answering(self) -> None:
        """A page comes out of a worker, so a page is the sign that all are there."""
        wait_for(self._answers, timeout=30, what="the site answers")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/", timeout=5) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture
def running(request: pytest.FixtureRequest, processes: Processes, tmp_path: Path) -> Iterator[Site]:
    if request.param == "runserver":
        site = Site(processes, tmp_path, "")
        site.start_runserver()
    else:
        site = Site(processes, tmp_path, request.getfixturevalue("own_broker").url)
        site.start_daphne()
        # Thumbnails have to wait until a test starts a worker for them.
        site.start_worker("--exclude-channels=thumbnails")
        site.start_worker("--exclude-channels=thumbnails")
        site.wait_answering()
    return site


class Tabs:
    """Opens pages of the site in tabs of one visitor; notes what the console complains of."""

    def __init__(self, address: str, context: BrowserContext) -> None:
        self.address = address
        self.context = context
        self.complaints: list[str] = []
        context.set_default_timeout(PATIENCE)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("console", self._heard)

    def __call__(self, path: str) -> Page:
        page = self.context.new_page()
        page.goto(f"{self.address}{path}")
        return page

    def expect_complaints(self, sentence: str) -> None:
        """Forget the complaints that hold ``sentence``, made by Chromium, not by a page."""
        self.complaints = [text for text in self.complaints if sentence not in text]

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} {message.location}")


@pytest.fixture
def tab(running: Site, browser: Browser) -> Iterator[Tabs]:
    """Open tabs of one visitor; what is complained of in a console fails the test."""
    tabs = Tabs(running.address, browser.new_context())
    yield tabs
    complaints = list(tabs.complaints)  # of the test, not of its end
    tabs.context.close()
    assert not complaints, complaints


def connected(page: Page) -> Page:
    expect(page.get_by_role("status").filter(has_text="Connected")).to_be_visible()
    return page


def say(page: Page, text: str) -> None:
    """As somebody does who has only a keyboard: the field has the focus when a page opens."""
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(text)
    page.keyboard.press("Enter")


@BOTH
def test_the_home_page_leads_to_every_page(tab):
    page = tab("/")
    for name in ("Echo", "Rooms", "Thumbnails"):
        page.get_by_role("navigation").get_by_role("link", name=name).click()
        current = page.locator("nav [aria-current=page]")
        expect(current).to_have_text(name)
        page.get_by_role("link", name="djchan").click()
        expect(page).to_have_title("djchan")


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


@BOTH
def test_an_image_becomes_thumbnails(tab, running):
    page = tab("/thumbnails/")
    page.get_by_label("Image").set_input_files(
        {"name": "sea <1>.png", "mimeType": "image/png", "buffer": sea()}
    )
    frames: list[dict] = []
    page.on(
        "websocket",
        lambda socket: socket.on("framereceived", lambda data: frames.append(json.loads(data))),
    )
    page.get_by_role("button", name="Make thumbnails").click()
    page.wait_for_url(re.compile(r"/thumbnails/[-0-9a-f]{36}/$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Thumbnails of sea <1>.png")
    connected(page)

    if running.workers:
        # Nobody takes them yet, so the page is there before the work begins.
        expect(page.locator("#state")).to_have_text("waiting")
        running.start_worker("--only-channels=thumbnails")

    expect(page.locator("#state")).to_have_text("done", timeout=30_000)
    images = page.get_by_role("list", name="Thumbnails").get_by_role("img")
    expect(images).to_have_count(len(SIZES))
    # Each decoded: resolves when the image is there, and raises if it cannot be shown.
    page.evaluate(
        "() => Promise.all("
        "[...document.querySelectorAll('#thumbnails img')].map((image) => image.decode()))"
    )
    widths = page.eval_on_selector_all("#thumbnails img", "all => all.map(i => i.naturalWidth)")
    assert widths == list(SIZES)
    if running.workers:
        # The page followed the work: it was told after each thumbnail, not at the end alone.
        made = [len(state["thumbnails"]) for state in frames]
        assert made == sorted(made)
        assert set(made) == set(range(len(SIZES) + 1))

    before = len(frames)
    page.reload()
    expect(page.locator("#state")).to_have_text("done")
    expect(images).to_have_count(len(SIZES))
    connected(page)
    expect(page.locator("#job")).to_have_attribute("data-state", "done")
    wait_for_frames(page, frames, before + 1)


@BOTH
def test_what_is_no_image_is_refused(tab):
    page = tab("/thumbnails/")
    page.get_by_label("Image").set_input_files(
        {"name": "evil.png", "mimeType": "image/png", "buffer": b"<svg onload=alert(1)>"}
    )
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page.get_by_role("alert")).to_contain_text("not an image in one of the formats")
    tab.expect_complaints("400 (Bad Request)")


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


def joined(page: Page, name: str) -> None:
    # Not the last line: the socket with the former name leaves at the same time.
    expect(page.locator("#log .event").filter(has_text=f"{name} joined")).to_have_count(1)


def sea() -> bytes:
    """A PNG of 6 million pixels: as wide as high, and some work to decode."""
    red, green, blue = (Image.radial_gradient("L").rotate(turn) for turn in (0, 90, 45))
    buffer = io.BytesIO()
    Image.merge("RGB", (red, green, blue)).resize((2500, 2500)).save(buffer, "PNG")
    return buffer.getvalue()


def wait_for_frames(page: Page, frames: list[dict], count: int) -> None:
    """Until so many frames have come; Playwright tells of them only while it runs."""

    def come() -> bool:
        page.evaluate("1")
        return len(frames) >= count

    wait_for(come, timeout=PATIENCE / 1000, what=f"{count} frames")
