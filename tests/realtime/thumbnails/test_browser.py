"""A person uploads an image and watches its thumbnails come."""

import io
import json
import re
import zipfile

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.realtime.running import BOTH, DEPLOYED, PATIENCE, connected
from tests.support.waiting import wait_for
from workers.images import SIZES

pytestmark = pytest.mark.timeout(90)


@BOTH
def test_an_image_becomes_thumbnails(tab, running):
    page = tab("/thumbnails/")
    frames: list[dict] = []
    page.on(
        "websocket",
        lambda socket: socket.on("framereceived", lambda data: frames.append(json.loads(data))),
    )
    upload(page, "sea <1>.png")
    expect(page.get_by_role("heading", level=1)).to_have_text("Thumbnails of sea <1>.png")

    if running.workers:
        # Nobody takes them yet, so the page is there before the work begins.
        expect(page.locator("#state")).to_have_text("waiting")
        expect(result_of(page)).to_be_hidden()
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

    with page.expect_download() as download:
        result_of(page).click()
    with zipfile.ZipFile(download.value.path()) as packed:
        assert packed.namelist() == [f"{size}.webp" for size in SIZES]

    before = len(frames)
    page.reload()
    expect(page.locator("#state")).to_have_text("done")
    expect(images).to_have_count(len(SIZES))
    connected(page)
    expect(page.locator("#job")).to_have_attribute("data-state", "done")
    wait_for_frames(page, frames, before + 1)


@DEPLOYED
def test_another_worker_finishes_what_a_killed_one_began(tab, running):
    first = running.start_stuck_worker(
        f"""
from workers import images
shrink = images.shrink
images.shrink = lambda *a: stuck() if a[1] == {SIZES[2]} else shrink(*a)
""",
        "--only-channels=thumbnails",
    )
    page = tab("/thumbnails/")
    upload(page, "sea.png")
    items = page.locator("#thumbnails li")
    expect(page.locator("#state")).to_have_text("working: 2 of 4", timeout=30_000)
    expect(items).to_have_count(2)
    folder = running.media / "jobs" / page.url.rstrip("/").rpartition("/")[2]
    made = {file.name: file.stat().st_mtime_ns for file in folder.glob("*.webp")}
    assert set(made) == {f"{size}.webp" for size in SIZES[:2]}

    page.reload()  # nothing is forgotten; and from here on, the page is not loaded again
    expect(page.locator("#state")).to_have_text("working: 2 of 4")
    connected(page)
    page.evaluate("window.loaded = 'once'")
    running.start_worker("--only-channels=thumbnails").wait_printed("is ready", timeout=30)
    first.kill9()
    expect(page.locator("#state")).to_have_text("done", timeout=30_000)
    assert page.evaluate("loaded") == "once"
    sizes = items.evaluate_all("all => all.map((item) => Number(item.dataset.size))")
    assert sizes == list(SIZES)
    # What the first one had made was not made again.
    after = {file.name: file.stat().st_mtime_ns for file in folder.glob("*.webp")}
    assert set(after) == {f"{size}.webp" for size in SIZES}
    assert made.items() <= after.items()


@BOTH
def test_what_is_no_image_is_refused(tab):
    page = tab("/thumbnails/")
    page.get_by_label("Image").set_input_files(
        {"name": "evil.png", "mimeType": "image/png", "buffer": b"<svg onload=alert(1)>"}
    )
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page.get_by_role("alert")).to_contain_text("not an image in one of the formats")
    tab.expect_complaints("400 (Bad Request)")


def upload(page: Page, name: str) -> None:
    page.get_by_label("Image").set_input_files(
        {"name": name, "mimeType": "image/png", "buffer": sea()}
    )
    page.get_by_role("button", name="Make thumbnails").click()
    page.wait_for_url(re.compile(r"/thumbnails/[-0-9a-f]{36}/$"))
    connected(page)


def result_of(page: Page) -> Locator:
    # By its text: a role would not find what is hidden.
    return page.get_by_text("Download all of them in one file")


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
