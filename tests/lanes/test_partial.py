"""Deliveries of several frames whose effects are committed before the last one has run."""

import threading
import time

import pytest

from djchan import Channel, route
from djchan.layers import codec
from djchan.layers.operations import Beat, Claim, Commit, Outcome, Reap, Register, Send
from tests.lanes.site import PATIENCE, Inbox, Site, delivery, workers_known
from tests.support.waiting import wait_for

pytestmark = pytest.mark.parametrize("site", ["memory", "redis"], indirect=True)

RECEIVE = "websocket.receive"


def frames(*texts: str) -> Send:
    return Send("", 0, (delivery(1, *({"text": text} for text in texts)),))


def reply(*texts: str) -> list[object]:
    return [codec.REPLY, "1-abc", [{"text": text} for text in texts]]


def so_far(frames: int, *texts: str) -> list[object]:
    return [codec.PROGRESS, "1-abc", 1, frames, [{"text": text} for text in texts]]


def answer(*texts: str, status: str = codec.DONE) -> list[object]:
    return [codec.ANSWER, "1-abc", 1, [{"text": text} for text in texts], status]


def texts(inbox: Inbox) -> list[str]:
    """All that the socket was told, in order."""
    return [each["text"] for entry in inbox.entries() for each in entry[-1 if entry[0] else 3]]


class Consumers:
    """Echo; "slow" takes 30 ms, "hold" waits for the gate."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.holding = threading.Event()

    def echo(self, message):
        text = message["text"]
        self.site.ran.append(text)
        if text.startswith("slow"):
            time.sleep(0.03)
        if text.startswith("hold"):
            self.holding.set()
            self.site.gate.wait(PATIENCE)
        message.reply_channel.send({"text": text})

    def wait(self) -> None:
        assert self.holding.wait(PATIENCE)


@pytest.fixture
def consumers(site):
    return Consumers(site)


def test_frames_that_are_done_are_told_while_a_slow_one_runs(site, inbox, consumers, on):
    worker = site.worker(route(RECEIVE, on(consumers.echo)))
    site(frames("a", "b", "hold", "c"))
    assert inbox.wait(1) == [so_far(2, "a", "b")]
    site.gate.set()
    wait_for(
        lambda: inbox.entries()[-1][0] == codec.ANSWER, timeout=PATIENCE, what="the answer is there"
    )
    assert inbox.entries()[0] == so_far(2, "a", "b")
    assert texts(inbox) == ["a", "b", "hold", "c"]
    # On a slow machine "hold" is told alone, before "c" has run.
    assert worker.counters["partial"] == len(inbox.entries()) - 1


def test_a_quick_delivery_is_committed_whole(site, inbox, consumers, on):
    worker = site.worker(route(RECEIVE, on(consumers.echo)), partial=5.0)
    site(frames("a", "slow", "b", "slow", "c"))
    assert inbox.wait(1) == [answer("a", "slow", "b", "slow", "c")]
    assert worker.counters["partial"] == 0


def test_slow_frames_are_told_one_after_the_other(site, inbox, consumers, on):
    worker = site.worker(route(RECEIVE, on(consumers.echo)))
    site(frames("slow 1", "slow 2", "slow 3"))
    wait_for(lambda: texts(inbox)[2:], timeout=PATIENCE, what="three replies")
    assert texts(inbox) == ["slow 1", "slow 2", "slow 3"]
    assert worker.counters["partial"] >= 1


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_when_an_answer_gets_lost_nothing_is_lost_or_doubled(
    site, inbox, consumers, on, flaky, lost
):
    flaky.lose = [Commit] * lost
    site.worker(route(RECEIVE, on(consumers.echo)))
    site(frames("slow 1", "a", "slow 2", "hold", "b"))
    consumers.wait()
    site.gate.set()
    wait_for(lambda: len(texts(inbox)) >= 5, timeout=PATIENCE, what="five replies")
    wait_for(lambda: not flaky.lose, timeout=PATIENCE, what="the answers were lost")
    assert texts(inbox) == ["slow 1", "a", "slow 2", "hold", "b"]
    assert site.ran == ["slow 1", "a", "slow 2", "hold", "b"]


def test_the_end_waits_for_progress_that_is_on_its_way(site, inbox, consumers, on, flaky):
    """The layer does not answer from the moment the progress is said until after the end."""
    site.worker(route(RECEIVE, on(consumers.echo)), partial=0.0)
    site(frames("a", "hold", "b"))
    consumers.wait()
    inbox.wait(1)
    flaky.down = True
    site.gate.set()
    wait_for(lambda: site.ran == ["a", "hold"] or "b" in site.ran, timeout=5, what="it goes on")
    flaky.down = False
    wait_for(lambda: len(texts(inbox)) >= 3, timeout=PATIENCE, what="three replies")
    assert texts(inbox) == ["a", "hold", "b"]
    assert inbox.entries()[-1][0] == codec.ANSWER


def half_done(site: Site, *, done: int) -> None:
    """Let a worker die that had committed the first frames of a delivery."""
    site(Register("dead", "worker", b"", (RECEIVE,)))
    (leased,) = site(Claim("dead", "", (RECEIVE,), 1)).deliveries
    if done:
        (result,) = site(Commit("dead", "lane", 1, (Outcome(leased.token, progress=done),)))
        assert result == "done"
    assert site(Reap("dead", 0))


def test_a_redelivery_starts_behind_what_is_done(site, inbox, consumers, on):
    site(frames("a", "b", "c", "d"))
    half_done(site, done=2)
    worker = site.worker(route(RECEIVE, on(consumers.echo)))
    wait_for(lambda: len(texts(inbox)) >= 2, timeout=PATIENCE, what="two replies")
    assert texts(inbox) == ["c", "d"]
    assert site.ran == ["c", "d"]
    assert worker.counters["partial"] == 1


def test_a_frame_of_a_redelivery_runs_when_those_before_it_are_safe(site, inbox, on):
    safe = []

    def consumer(message):
        safe.append(texts(inbox))
        message.reply_channel.send({"text": message["text"]})

    site(frames("a", "b", "c"))
    half_done(site, done=0)
    worker = site.worker(route(RECEIVE, on(consumer)), partial=5.0)
    wait_for(lambda: len(texts(inbox)) == 3, timeout=PATIENCE, what="three replies")
    assert safe == [[], ["a"], ["a", "b"]]
    assert worker.counters["partial"] == 2


def test_what_is_somebody_else_s_by_now_is_not_run_on(site, inbox, consumers, on):
    """Declared dead within a frame: the rest of its run is the next worker's."""
    worker = site.worker(
        route(RECEIVE, on(consumers.echo)), partial=0.0, beat=60.0, worker_silence=300.0
    )
    site(frames("a", "hold", "slow", "b"))
    consumers.wait()
    inbox.wait(1)
    (process,) = workers_known(site)
    assert site(Reap(process, site(Beat("watcher")).processes[process][0]))
    site.gate.set()
    wait_for(lambda: worker.counters["fenced"], timeout=PATIENCE, what="its progress is fenced")
    # It goes on under a new id, and runs what is left of the delivery as anybody would.
    wait_for(lambda: len(texts(inbox)) >= 4, timeout=PATIENCE, what="four replies")
    assert texts(inbox) == ["a", "hold", "slow", "b"]
    assert [site.ran.count(text) for text in ("a", "hold", "b")] == [1, 2, 1]


def test_other_effects_of_frames_that_are_done_are_applied_too(site, inbox, consumers, on):
    def consumer(message):
        Channel("other", channel_layer=site.layer).send({"text": message["text"]})
        consumers.echo(message)

    site.worker(route(RECEIVE, on(consumer)))
    site(frames("a", "hold"))
    wait_for(lambda: site.length("other") == 1, timeout=PATIENCE, what="the first is there")
    site.gate.set()
    wait_for(lambda: site.length("other") == 2, timeout=PATIENCE, what="the second is there")


def test_a_frame_that_fails_among_parts_is_told_at_the_end(site, inbox, consumers, on):
    def consumer(message):
        consumers.echo(message)
        if message["text"] == "slow":
            raise ValueError

    site.worker(route(RECEIVE, on(consumer)))
    site(frames("slow", "hold"))
    consumers.wait()
    site.gate.set()
    wait_for(lambda: len(texts(inbox)) == 2, timeout=PATIENCE, what="two replies")
    assert inbox.entries()[-1][4] == codec.FAILED
