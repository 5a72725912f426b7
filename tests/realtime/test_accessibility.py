"""Every page, as axe-core and a narrow phone see it: signed in and not, light and dark.

One server and one browser for the whole file: nothing here changes what the site shows.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, expect

from realtime import systems
from tests.realtime.running import PATIENCE, Site, connected, say
from tests.support.browser import chromium
from tests.support.processes import Processes

pytestmark = [pytest.mark.full, pytest.mark.timeout(90)]

PHONE = 360  # px
GRAVE = ("serious", "critical")

SYSTEMS = tuple(systems.in_order())
ROOM = "/rooms/lobby/"
SHEET = "/sheet/shop/"
TALKATIVE = ("/echo/", ROOM)  # Here a line is said before one looks.
SEVERAL_SOCKETS = ("/clock/", "/pingpong/", "/together/")


def paths() -> list[str]:
    urls = "realtime.urls"
    return [
        reverse("home", urlconf=urls),
        reverse("people:sign-in", urlconf=urls),
        *(reverse(system.url_name, urlconf=urls) for system in SYSTEMS),
        *(reverse("source", urlconf=urls, args=[system.name]) for system in SYSTEMS[:1]),
        ROOM,
        SHEET,
    ]


class Look(NamedTuple):
    """How somebody looks at a page. ``person``: who is signed in, if anybody is."""

    scheme: str
    width: int
    person: str

    def __str__(self) -> str:
        return f"{self.scheme}-{self.width}-{self.person or 'nobody'}"


LOOKS = (
    Look("light", 1100, ""),
    Look("dark", 1100, "ada"),
    Look("light", PHONE, "ada"),
    Look("dark", PHONE, ""),
)


class Visits:
    """Opens pages; each in a context of its own, which knows the cookies of who is signed in."""

    def __init__(self, address: str, browser: Browser) -> None:
        self.address = address
        self.browser = browser
        self.states: dict[str, Any] = {"": None}

    def open(self, path: str, look: Look) -> Page:
        context = self.browser.new_context(
            color_scheme="dark" if look.scheme == "dark" else "light",
            # What fades in has not its contrast yet.
            reduced_motion="reduce",
            viewport=ViewportSize(width=look.width, height=740),
            storage_state=self._signed_in(look.person),
        )
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto(f"{self.address}{path}")
        return page

    def _signed_in(self, person: str) -> Any:
        if person not in self.states:
            context = self.browser.new_context()
            page = context.new_page()
            page.goto(f"{self.address}/people/sign-in/")
            page.get_by_role("button", name=f"I am {person}").click()
            expect(page.get_by_role("button", name=f"Sign out {person}")).to_be_visible()
            self.states[person] = context.storage_state()
            context.close()
        return self.states[person]


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Iterator[Visits]:
    folder = tmp_path_factory.mktemp("site")
    processes = Processes(folder)
    try:
        site = Site(processes, folder, "", database=database)
        site.start_runserver()
        with chromium() as browser:
            yield Visits(site.address, browser)
    finally:
        processes.clean_up()


def findings(page: Page) -> list[str]:
    """What axe-core finds that is grave: what to do, with a link, and where."""
    return [
        f"{found['impact']}: {found['help']} ({found['helpUrl']}) at {node['target']}"
        for found in Axe().run(page).response["violations"]
        if found["impact"] in GRAVE
        for node in found["nodes"]
    ]


def check(page: Page, look: Look) -> None:
    assert findings(page) == []
    if look.width == PHONE:
        assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE, "scrolls sideways"
    page.context.close()


@pytest.mark.parametrize("look", LOOKS, ids=str)
@pytest.mark.parametrize("path", paths())
def test_axe_finds_nothing_grave(visits, path, look):
    page = visits.open(path, look)
    # A page that opens a socket shows another state with another color soon.
    expect(page.locator("html:has(script) #connection[data-state=connecting]")).to_have_count(0)
    if path in TALKATIVE:
        say(connected(page), "hello world")
        expect(page.locator("#log").get_by_text("hello world").last).to_be_visible()
    if path in SEVERAL_SOCKETS:
        # Each enables its buttons when it is open; axe exempts disabled ones from contrast.
        expect(page.locator("button:disabled")).to_have_count(0)
    check(page, look)


@pytest.mark.parametrize("look", LOOKS[1:3], ids=str)
def test_axe_finds_nothing_grave_where_work_was_done(visits, look):
    page = visits.open("/thumbnails/", look)
    image = io.BytesIO()
    Image.radial_gradient("L").resize((900, 300)).save(image, "PNG")
    page.get_by_label("Image").set_input_files(
        {"name": f"{'a-long-name' * 6}.png", "mimeType": "image/png", "buffer": image.getvalue()}
    )
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page.get_by_role("link", name="Download all")).to_be_visible()
    check(page, look)


def test_axe_does_find_what_is_grave(visits):
    page = visits.open("/", LOOKS[0])
    page.evaluate("document.documentElement.removeAttribute('lang')")
    (finding,) = findings(page)
    assert finding.startswith("serious: <html> element must have a lang attribute (https://")
    assert finding.endswith("at ['html']")
    page.context.close()


def test_who_has_only_a_keyboard_sees_where_they_are_and_may_skip_the_header(visits):
    page = visits.open("/", LOOKS[2])
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Tab")
    home = page.get_by_role("link", name="djchan")
    expect(home).to_be_focused()
    expect(home).to_have_css("outline-style", "solid")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")
    page.context.close()


def test_nothing_moves_for_who_does_not_want_it(visits):
    page = connected(visits.open("/echo/", LOOKS[0]))
    say(page, "hello world")
    expect(page.locator(".received")).to_be_visible()
    assert page.evaluate("document.getAnimations({ subtree: true }).length") == 0
    page.context.close()
