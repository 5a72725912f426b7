"""The browser shows a page and reports an error in it."""

import pytest
from playwright.sync_api import Browser, Page


def test_a_page_runs_its_script(page: Page) -> None:
    page.set_content("<p id=p></p><script>p.textContent = 6 * 7</script>")
    assert page.text_content("#p") == "42"


def test_nothing_outside_this_machine_is_reached(browser: Browser) -> None:
    with browser.new_context() as context, pytest.raises(Exception, match="ERR_NAME_NOT_RESOLVED"):
        context.new_page().goto("http://example.com/", timeout=5000)


@pytest.mark.asyncio
async def test_an_asynchronous_test_runs_beside_browser_tests() -> None:
    """Playwright's event loop must be gone when its test is over."""
