"""A person reads the ticker in tabs, and one without a browser over plain HTTP."""

import http.client

import pytest
from playwright.sync_api import Page, expect

from djchan.layers.redis import RedisChannelLayer
from tests.realtime.running import BOTH, DEPLOYED, Site, connected, say
from tests.support.servers import Server
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(120)


def headlines(page: Page):
    return page.get_by_role("log").locator(".said")


class Listener:
    """One held response, read line by line."""

    def __init__(self, site: Site, after: int | None = None) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
        headers = {} if after is None else {"Last-Event-ID": str(after)}
        self.connection.request("GET", "/ticker/events/", headers=headers)
        self.response = self.connection.getresponse()
        assert self.response.status == 200
        assert self.response.headers["Content-Type"] == "text/event-stream"

    def next(self, prefix: str) -> str:
        """What follows the ``prefix`` of the next line that has it."""
        while line := self.response.readline():
            text = line.decode().rstrip("\n")
            if text.startswith(prefix):
                return text.removeprefix(prefix)
        raise AssertionError("the response has ended")

    def close(self) -> None:
        self.response.close()
        self.connection.close()


@BOTH
def test_what_is_published_comes_to_every_tab(tab, running):
    page, other = (connected(tab("/ticker/")) for _ in range(2))
    page.bring_to_front()
    say(page, "It <b>rains</b>")
    for each in (page, other):
        expect(headlines(each)).to_have_text(["It <b>rains</b>"])
    expect(page.get_by_role("textbox", name="Headline")).to_have_value("")
    expect(page.get_by_role("log").locator("b")).to_have_count(0)

    # Without a browser; who starts the beat, the first, is sent its comment at once.
    plain = Listener(running)
    id, data = plain.next("id: "), plain.next("data: ")
    assert data == '{"text": "It <b>rains</b>"}'
    say(page, "It snows")
    assert plain.next("data: ") == '{"text": "It snows"}'
    plain.close()
    again = Listener(running, after=int(id))  # And not what it had.
    assert again.next("data: ") == '{"text": "It snows"}'
    again.close()

    # A page that comes late, and one that is left and comes back: each headline once.
    late = connected(tab("/ticker/"))
    expect(headlines(late)).to_have_text(["It <b>rains</b>", "It snows"])
    other.reload()
    expect(headlines(connected(other))).to_have_text(["It <b>rains</b>", "It snows"])


@DEPLOYED
def test_who_leaves_frees_the_place(tab, running: Site, own_broker: Server):
    layer = RedisChannelLayer(hosts=[own_broker.url])

    def processes_with_listeners() -> int:
        return len(layer.group_channels("ticker"))

    try:
        assert processes_with_listeners() == 0
        plain = Listener(running)
        assert plain.next(": ") == "still here"  # To the first one at once.
        page = connected(tab("/ticker/"))
        assert processes_with_listeners() == 1
        page.close()
        say(connected(tab("/ticker/")), "one of them is gone")
        assert plain.next("data: ") == '{"text": "one of them is gone"}'
        plain.close()
        tab.context.pages[-1].goto(f"{running.address}/echo/")
        wait_for(lambda: processes_with_listeners() == 0, timeout=15, what="the group is empty")
    finally:
        layer.close()


@DEPLOYED
def test_a_page_misses_nothing_while_the_server_is_away(tab, running: Site):
    page = connected(tab("/ticker/"))
    say(page, "before")
    expect(headlines(page)).to_have_text(["before"])
    for worker in running.workers:
        worker.kill9()  # What is held is not theirs: it stays open.
    running.start_worker()
    say(page, "by another worker")
    expect(headlines(page)).to_have_text(["before", "by another worker"])

    running.daphne.stop()
    expect(page.locator("#connection")).to_have_attribute("data-state", "waiting")
    missed = "from realtime.ticker.models import Headline; Headline.publish('meanwhile')"
    assert running.processes.manage("shell", "-c", missed).wait_exit(timeout=30) == 0
    running.start_daphne()
    connected(page)
    expect(headlines(page)).to_have_text(["before", "by another worker", "meanwhile"])
    tab.expect_complaints("ERR_")  # it found nobody for a while
