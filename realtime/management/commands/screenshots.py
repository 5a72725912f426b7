"""``manage.py screenshots FOLDER``: a picture of every page, for the documentation.

Starts the site as ``manage.py runserver`` on a database of its own, opens each page in
Chromium as somebody who is signed in, light and dark and on a phone, and writes small WebP
files: ``echo-light.webp``, ``echo-dark.webp``, ``echo-phone.webp`` … It needs the dependency
groups ``site`` and ``test``, and a Chromium on the PATH.
"""

import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from django.core.management import BaseCommand, CommandError, CommandParser
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright

from realtime.systems import ROOT, in_order

PERSON = "ada"
LONGEST = 800  # px: the longer edge of a picture
MOST_BYTES = 1_000_000  # of all pictures together
QUALITY = 65  # of WebP, 0 to 100
START_SECONDS = 60.0
STEADY = 700  # ms for what comes by itself once a page is there
# What shows more of a system than the page where it begins.
BETTER = {"rooms": "/rooms/lobby/", "sheet": "/sheet/shop/"}
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


class Look(NamedTuple):
    name: str
    dark: bool
    width: int
    height: int


LOOKS = (
    Look("light", dark=False, width=1000, height=750),
    Look("dark", dark=True, width=1000, height=750),
    Look("phone", dark=False, width=360, height=740),
)


class Command(BaseCommand):
    help = "Takes a picture of every page of the site, light, dark and on a phone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, metavar="FOLDER", help="Where they are written.")

    def handle(self, *args: Any, folder: Path, **options: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with site() as address, chromium() as browser:
            written = [file for look in LOOKS for file in take(browser, look, address, folder)]
        size = sum(file.stat().st_size for file in written)
        self.stdout.write(f"{len(written)} pictures in {folder}, {size // 1000} kB")
        if size > MOST_BYTES:
            raise CommandError(f"That is more than {MOST_BYTES // 1000} kB: lower QUALITY.")


def take(browser: Browser, look: Look, address: str, folder: Path) -> Iterator[Path]:
    """Take a picture of each page; the files."""
    context = visitor(browser, look, address)
    for name, page_address in pages(address):
        file = folder / f"{name}-{look.name}.webp"
        small(picture(context, page_address)).save(file, "WEBP", quality=QUALITY, method=6)
        yield file
    context.close()


def pages(address: str) -> Iterator[tuple[str, str]]:
    """The name and the address of each page."""
    yield "home", f"{address}/"
    for system in in_order():
        yield system.name, f"{address}{BETTER.get(system.name, system.address)}"
    yield "source", f"{address}/source/{next(iter(in_order())).name}/"


def visitor(browser: Browser, look: Look, address: str) -> BrowserContext:
    """A visitor who is signed in."""
    context = browser.new_context(
        color_scheme="dark" if look.dark else "light",
        reduced_motion="reduce",
        viewport=ViewportSize(width=look.width, height=look.height),
    )
    page = context.new_page()
    page.goto(f"{address}/people/sign-in/")
    page.get_by_role("button", name=f"I am {PERSON}").click()
    page.get_by_role("button", name=f"Sign out {PERSON}").wait_for()
    page.close()
    return context


def picture(context: BrowserContext, address: str) -> bytes:
    """The page, once it is quiet; where a line can be said, one has been."""
    page = context.new_page()
    page.goto(address)
    # Not "networkidle": a page may hold a response open for as long as it is there.
    connecting = page.locator("html:has(script) #connection[data-state=connecting]")
    connecting.wait_for(state="detached")
    page.wait_for_timeout(STEADY)
    if page.locator("#connection[data-state=open]").count():
        _say(page)
    png = page.screenshot()
    page.close()
    return png


def _say(page: Page) -> None:
    field = page.locator("form#say input[name=text]")
    if field.count() and page.locator("#log").count():
        field.fill("hello world")
        field.press("Enter")
        page.locator("#log > *").last.wait_for()
        page.wait_for_timeout(STEADY)  # for the answer, if there is one


def small(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.thumbnail((LONGEST, LONGEST))
    return image


@contextmanager
def chromium() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        raise CommandError(f"None of {', '.join(CHROMIUM)} is on the PATH: install Chromium.")
    # It refuses its sandbox to root.
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@contextmanager
def site() -> Iterator[str]:
    """The address of a site of its own, for as long as the ``with`` block runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "realtime.settings",
            "REALTIME_DB": f"{folder}/db.sqlite3",
            "REALTIME_MEDIA": f"{folder}/media",
            "REALTIME_DEBUG": "1",
            "REDIS_URL": "",
        }
        manage = [sys.executable, str(ROOT / "manage.py")]
        subprocess.run([*manage, "migrate", "--verbosity=0"], env=env, cwd=ROOT, check=True)
        log = Path(folder, "runserver.log")
        with log.open("wb") as file:
            server = subprocess.Popen(
                [*manage, "runserver", "--noreload", f"127.0.0.1:{port}"],
                env=env,
                cwd=ROOT,
                stdout=file,
                stderr=file,
            )
        try:
            if not _answers(f"http://127.0.0.1:{port}/", server):
                raise CommandError(
                    f"runserver did not answer within {START_SECONDS:g} s:\n{log.read_text()}"
                )
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


def _answers(address: str, server: subprocess.Popen[bytes]) -> bool:
    """Wait until it does; False when it has ended, or not within START_SECONDS."""
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False
