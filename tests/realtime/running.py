"""The example site as processes, and a person's tabs in Chromium.

Each test that takes ``running`` says how, with BOTH: on ``runserver`` alone (interface, workers
and an in-memory layer in one process), and on Daphne, two workers and Redis (four processes).
"""

import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from tests.support.processes import Process, Processes
from tests.support.waiting import free_port, wait_for

PATIENCE = 10_000  # ms
expect.set_options(timeout=PATIENCE)

BOTH = pytest.mark.parametrize("running", ["runserver", "deployed"], indirect=True)
ALONE = pytest.mark.parametrize("running", ["runserver"], indirect=True)
DEPLOYED = pytest.mark.parametrize("running", ["deployed"], indirect=True)


STUCK = """
import sys, threading
import django
from django.core.management import execute_from_command_line

def stuck(*args):
    print("stuck", flush=True)
    threading.Event().wait()

django.setup()
"""
RUNWORKER = "execute_from_command_line(['manage.py', 'runworker', *sys.argv[1:]])"


def environment(database: Path, media: Path, *, redis_url: str = "") -> dict[str, str]:
    """The site's settings; nothing of the developer's own environment counts."""
    return {
        "DJANGO_SETTINGS_MODULE": "realtime.settings",
        "REALTIME_DB": str(database),
        "REALTIME_MEDIA": str(media),
        "REALTIME_DEBUG": "1",
        "REDIS_URL": redis_url,
    }


class Site:
    """The running site: where it is, and its processes."""

    def __init__(
        self, processes: Processes, folder: Path, redis_url: str, *, database: Path
    ) -> None:
        self.processes = processes
        self.media = folder / "media"
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.daphne: Process | None = None
        self.workers: list[Process] = []
        copied = shutil.copy(database, folder / "db.sqlite3")
        processes.env = environment(copied, self.media, redis_url=redis_url)

    def start_runserver(self) -> None:
        self.processes.manage("runserver", "--noreload", f"127.0.0.1:{self.port}")
        self.wait_answering()

    def start_daphne(self) -> None:
        self.daphne = self.processes.daphne("realtime.asgi:application", port=self.port)

    def start_worker(self, *options: str) -> Process:
        worker = self.processes.runworker(*options)
        self.workers.append(worker)
        return worker

    def start_stuck_worker(self, change: str, *options: str) -> Process:
        """Start a worker that is in the middle of something for as long as a test likes.

        ``change``: Python code that it runs before all else. What blocks calls ``stuck()``,
        which prints "stuck" and never returns.
        """
        code = "\n".join((STUCK, change, RUNWORKER))
        worker = self.processes.python("-c", code, *options, name="stuck")
        self.workers.append(worker)
        return worker

    def wait_answering(self) -> None:
        """A page comes out of a worker, so a page is the sign that all are there."""
        wait_for(self._answers, timeout=30, what="the site answers")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/", timeout=5) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database of the site. Each test gets a copy, since a migration takes seconds."""
    folder = tmp_path_factory.mktemp("site")
    database = folder / "db.sqlite3"
    migrate = Processes(folder).manage(
        "migrate", "--verbosity=0", env=environment(database, folder / "media")
    )
    assert migrate.wait_exit(timeout=60) == 0, migrate.output()
    return database


@pytest.fixture
def running(
    request: pytest.FixtureRequest, processes: Processes, tmp_path: Path, database: Path
) -> Iterator[Site]:
    if request.param == "runserver":
        site = Site(processes, tmp_path, "", database=database)
        site.start_runserver()
    else:
        url = request.getfixturevalue("own_broker").url
        site = Site(processes, tmp_path, url, database=database)
        site.start_daphne()
        # Background work has to wait until a test starts a worker for it.
        for _ in range(2):
            site.start_worker("--exclude-channels=slow-echo", "--exclude-channels=thumbnails")
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
