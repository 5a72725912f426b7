"""A delivery that has a source runs for one turn; the rest of it waits for the next one."""

import time

import pytest

from djchan import route
from djchan.layers import codec
from djchan.layers.operations import Send
from tests.lanes.site import PATIENCE, delivery
from tests.support.waiting import wait_for

pytestmark = pytest.mark.parametrize("site", ["memory", "redis"], indirect=True)

RECEIVE = "websocket.receive"
BUSY, QUIET = "aaaa", "bbbb"
SLOW = [f"slow {number}" for number in range(6)]


def send(site, connection: str, source: str, *texts: str) -> None:
    push = delivery(1, *({"text": text} for text in texts), connection=connection)
    site(Send("", 0, (push._replace(source=source),)))


def answered(inbox, connection: str) -> bool:
    return any(entry[0] == codec.ANSWER and entry[1] == connection for entry in inbox.entries())


@pytest.fixture
def slow(site, on):
    def echo(message):
        text = message["text"]
        site.ran.append(text)
        if text == SLOW[0]:
            site.gate.wait(PATIENCE)
        if text.startswith("slow"):
            time.sleep(0.03)
        message.reply_channel.send({"text": text})

    return on(echo)


def run(site, inbox, slow, source: str, **options: float) -> list[str]:
    """The order in which frames run when a quiet client sends one behind six slow ones."""
    site.worker(route(RECEIVE, slow), concurrency=1, **options)
    send(site, "1-abc", source, *SLOW)
    wait_for(lambda: site.ran, timeout=PATIENCE, what="the busy one runs")
    send(site, "2-def", QUIET if source else "", "quiet")
    site.gate.set()
    for connection in ("1-abc", "2-def"):
        wait_for(lambda c=connection: answered(inbox, c), timeout=PATIENCE, what=connection)
    return list(site.ran)


def test_a_quiet_source_runs_between_the_frames_of_a_busy_one(site, inbox, slow):
    ran = run(site, inbox, slow, BUSY)

    assert [text for text in ran if text != "quiet"] == SLOW, "each once, and in order"
    assert ran.index("quiet") < len(SLOW) - 1


@pytest.mark.parametrize(("source", "turn"), [("", 0.02), (BUSY, 5.0)])
def test_without_a_source_and_within_its_turn_a_delivery_runs_whole(
    site, inbox, slow, source, turn
):
    ran = run(site, inbox, slow, source, turn=turn)
    assert ran == [*SLOW, "quiet"]
    entries = [entry for entry in inbox.entries() if entry[1] == "1-abc"]
    assert [entry[0] for entry in entries].count(codec.ANSWER) == 1
