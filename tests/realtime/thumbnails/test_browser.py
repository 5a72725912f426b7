"""A person uploads an image and watches its thumbnails come."""

import io
import json
import re

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.realtime.running import BOTH, PATIENCE, connected
from tests.support.waiting import wait_for
from workers.images import SIZES

pytestmark = pytest.mark.timeout(90)


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
