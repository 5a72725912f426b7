"""Consumers that never return: what becomes of them, and of those beside them."""

import asyncio
import contextlib
import threading
import time
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from djchan import Channel, route
from djchan.exceptions import InvalidChannelLayer
from djchan.lanes import limits, loopwatch
from djchan.lanes.options import WorkerOptions
from djchan.layers import codec
from djchan.layers.operations import DeadLetters, Push, Reap, Send
from djchan.worker import Worker
from tests.lanes.site import PATIENCE, Inbox, Site, delivery, workers_known
from tests.support.waiting import wait_for

RECEIVE = "websocket.receive"
LIMIT = 0.3


# ---------------------------------------------------------------------- decided


@pytest.mark.parametrize(
    ("channel", "limit"),
    [
        ("websocket.receive", 60.0),
        ("websocket.connect", 60.0),
        ("http.request", 120.0),
        ("thumbnails", 0.0),
        ("websockets", 0.0),
    ],
)
def test_only_where_somebody_waits_there_is_a_limit(channel, limit):
    assert limits.limit_of(channel, WorkerOptions()) == limit


@pytest.mark.parametrize("name", ["stale_wait", "reconcile"])
def test_waits_that_cannot_be_zero_say_so(name):
    with pytest.raises(InvalidChannelLayer, match=f"{name}.*above 0"):
        WorkerOptions.parse({name: 0.0})


def test_the_stack_of_a_thread_shows_where_it_is():
    held = threading.Event()

    def a_place_to_wait() -> None:
        held.wait(PATIENCE)

    thread = threading.Thread(target=a_place_to_wait)
    thread.start()
    wait_for(lambda: "a_place_to_wait" in limits.stack_of(thread.ident), timeout=5, what="it waits")
    held.set()
    thread.join(5)
    assert "ended" in limits.stack_of(thread.ident)
    assert "ended" in limits.stack_of(None)


# --------------------------------------------------------------------- consumers


class Consumers:
    """ "hold" waits for the gate; all reply with their text, and send it on."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.held = threading.Semaphore(0)

    def end(self, message: Any) -> None:
        Channel("sent", channel_layer=self.site.layer).send({"text": message["text"]})
        message.reply_channel.send({"text": message["text"]})
        self.site.ran.append(message["text"])

    def sync(self, message: Any) -> None:
        if message["text"].startswith("hold"):
            self.held.release()
            self.site.gate.wait(PATIENCE)
        self.end(message)

    async def aio(self, message: Any) -> None:
        if message["text"].startswith("hold"):
            self.held.release()
            await asyncio.Event().wait()
        self.end(message)

    async def stubborn(self, message: Any) -> None:
        """One that does not let itself be canceled."""
        if message["text"].startswith("hold"):
            self.held.release()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        self.end(message)

    async def blocking(self, message: Any) -> None:
        """One that blocks the loop, after others have begun on it."""
        if message["text"].startswith("hold"):
            await asyncio.sleep(0.02)
            self.held.release()
            self.site.gate.wait(PATIENCE)
        elif message["text"].startswith("wait"):
            await asyncio.sleep(0.05)
        self.end(message)

    def wait(self) -> None:
        assert self.held.acquire(timeout=PATIENCE)


@pytest.fixture
def consumers(site):
    return Consumers(site)


def say(site: Site, *texts: str, connection: str = "1-abc", seq: int = 1) -> None:
    contents = [{"text": text} for text in texts]
    site(Send("", 0, (delivery(seq, *contents, connection=connection),)))


def answers(inbox: Inbox) -> dict[str, tuple[list[str], str]]:
    """By connection: the texts that came with its answer, and its status."""
    return {
        entry[1]: ([reply["text"] for reply in entry[3]], entry[4])
        for entry in inbox.entries()
        if entry[0] == codec.ANSWER
    }


STUCK = ([], codec.STUCK)


@pytest.mark.parametrize("consumer", ["sync", "aio", "stubborn"])
def test_at_the_limit_it_is_answered_kept_and_logged(site, inbox, consumers, consumer, caplog):
    worker = site.worker(route(RECEIVE, getattr(consumers, consumer)), run_limit=LIMIT)
    say(site, "hold")
    consumers.wait()
    wait_for(lambda: answers(inbox), timeout=PATIENCE, what="an answer")
    assert answers(inbox) == {"1-abc": STUCK}
    (letter,) = site(DeadLetters(RECEIVE))
    assert (letter.reason, letter.attempt) == ("stuck", 1)
    assert worker.counters["stuck"] == 1
    # A consumer of the test before may be given up only now.
    ours = f"Consumers.{consumer}, for <Message iface.1-abc.0 on {RECEIVE}>"
    lines = [each.getMessage() for each in caplog.records if ours in each.getMessage()]
    (line,) = [each for each in lines if "run_limit" in each]
    assert f"in {consumer}\n" in line  # Its stack.


@pytest.mark.parametrize("consumer", ["sync", "aio", "stubborn"])
def test_others_go_on_with_one_thread(site, inbox, consumers, consumer):
    site.worker(route(RECEIVE, getattr(consumers, consumer)), run_limit=LIMIT)
    say(site, "hold")
    consumers.wait()
    for seq in range(1, 4):
        say(site, f"text {seq}", connection="2-def", seq=seq)
        wait_for(
            lambda seq=seq: answers(inbox).get("2-def") == ([f"text {seq}"], codec.DONE),
            timeout=PATIENCE,
            what=f"answer {seq}",
        )
    wait_for(lambda: "1-abc" in answers(inbox), timeout=PATIENCE, what="an answer to the first")
    assert answers(inbox)["1-abc"] == STUCK


@pytest.mark.parametrize("consumer", ["sync", "stubborn"])
def test_when_it_returns_after_all_nothing_comes_of_it(site, inbox, consumers, consumer):
    worker = site.worker(route(RECEIVE, getattr(consumers, consumer)), run_limit=LIMIT)
    before = [each for each in threading.enumerate() if each.name.startswith("djchan-lane")]
    say(site, "hold")
    consumers.wait()
    wait_for(lambda: answers(inbox), timeout=PATIENCE, what="an answer")
    site.gate.set()
    wait_for(lambda: site.ran == ["hold"], timeout=PATIENCE, what="it has returned")
    if consumer == "sync":
        # Its thread ends, and claims nothing.
        wait_for(
            lambda: not any(each.is_alive() for each in before), timeout=PATIENCE, what="its end"
        )
    say(site, "after", connection="2-def")
    wait_for(lambda: "2-def" in answers(inbox), timeout=PATIENCE, what="another answer")
    assert site.length("sent") == 1
    assert answers(inbox)["1-abc"] == STUCK
    assert (worker.counters["stuck"], worker.counters["fenced"]) == (1, 0)


@pytest.mark.parametrize("consumer", ["sync", "aio", "stubborn"])
def test_the_frames_before_it_are_committed(site, inbox, consumers, consumer):
    site.worker(route(RECEIVE, getattr(consumers, consumer)), run_limit=LIMIT, partial=PATIENCE)
    say(site, "a", "b", "hold", "c")
    consumers.wait()
    wait_for(lambda: answers(inbox), timeout=PATIENCE, what="an answer")
    assert inbox.entries()[0] == [codec.REPLY, "1-abc", [{"text": "a"}]]
    assert answers(inbox) == {"1-abc": STUCK}
    assert site.length("sent") == 2
    (letter,) = site(DeadLetters(RECEIVE))
    assert letter.done == 2


@pytest.mark.parametrize("consumer", ["sync", "aio", "blocking"])
def test_the_log_names_a_consumer_that_may_wait_for_a_later_frame(
    site, inbox, consumers, consumer, caplog
):
    site.worker(route(RECEIVE, getattr(consumers, consumer)), run_limit=LIMIT)
    say(site, "a", "hold", "b", "c")
    consumers.wait()
    wait_for(lambda: answers(inbox), timeout=PATIENCE, what="an answer")
    ours = f"Consumers.{consumer}, for <Message iface.1-abc.0 on {RECEIVE}>"
    (record,) = [
        each
        for each in caplog.records
        if ours in each.getMessage() and "run_limit" in each.getMessage()
    ]
    line = record.getMessage()
    assert "the frames of a socket run one after the other" in line
    assert "Keep what it knows in message.channel_session and return" in line
    # What waits behind a blocked event loop is not looked at.
    assert ("(2 waited here)" in line) == (consumer != "blocking")
    assert (record.channel, record.message_id, record.attempt) == (RECEIVE, "iface.1-abc.0", 1)
    assert record.consumer.endswith(f"Consumers.{consumer}")
    assert LIMIT < record.duration < PATIENCE


def test_each_frame_has_the_limit_for_itself(site, inbox, consumers):
    def consumer(message):
        time.sleep(0.15)
        consumers.end(message)

    worker = site.worker(route(RECEIVE, consumer), run_limit=LIMIT)
    say(site, "a", "b", "c", "d")
    wait_for(lambda: answers(inbox), timeout=PATIENCE, what="an answer")
    assert answers(inbox)["1-abc"][1] == codec.DONE
    assert worker.counters["stuck"] == 0


@pytest.mark.parametrize("consumer", ["sync", "aio"])
def test_a_custom_channel_has_no_limit(site, consumers, consumer):
    site.worker(
        route("work", site.hold if consumer == "sync" else site.anote),
        route("work.async", consumers.aio),
        run_limit=0.05,
        http_run_limit=0.05,
    )
    site.numbers("work", 1)
    site.wait(1)
    time.sleep(0.2)  # Four times the limit.
    site.gate.set()
    wait_for(lambda: site.workers[0][0].counters["done"] == 1, timeout=PATIENCE, what="done")
    assert site(DeadLetters("work")) == []


def test_a_request_has_a_limit_of_its_own(site, inbox, consumers, caplog):
    site.worker(route("http.request", consumers.sync), http_run_limit=LIMIT, run_limit=0.0)
    push = delivery(1, {"text": "hold", "method": "GET", "path": "/"})
    envelope = codec.decode_envelope(push.payload)
    envelope.channel = "http.request"
    site(Send("", 0, (Push("http.request", codec.encode_envelope(envelope)),)))
    consumers.wait()
    wait_for(lambda: answers(inbox), timeout=PATIENCE, what="an answer")
    assert answers(inbox) == {"1-abc": STUCK}
    assert "http_run_limit" in caplog.text
    assert "later frame" not in caplog.text


def test_what_waits_behind_it_runs_elsewhere(site, inbox, consumers):
    worker = site.worker(route(RECEIVE, consumers.sync), run_limit=LIMIT, slow=PATIENCE)
    say(site, "a", connection="0-c")  # So that the next claim takes two.
    wait_for(lambda: answers(inbox), timeout=PATIENCE, what="an answer")
    contents = [("1-abc", "hold"), ("2-def", "b"), ("3-ghi", "c")]
    pushes = [delivery(1, {"text": text}, connection=name) for name, text in contents]
    site(Send("", 0, tuple(pushes)))
    wait_for(lambda: len(answers(inbox)) == 4, timeout=PATIENCE, what="all are answered")
    assert answers(inbox)["3-ghi"] == (["c"], codec.DONE)
    assert worker.counters["stuck"] == 1


def test_one_that_is_fenced_is_abandoned_all_the_same(site, inbox, consumers):
    """Declared dead while it ran, and stuck in the same consumer."""
    worker = site.worker(
        route(RECEIVE, consumers.sync), run_limit=LIMIT, beat=60.0, worker_silence=300.0
    )
    say(site, "hold")
    consumers.wait()
    (process,) = workers_known(site)
    assert site(Reap(process, None))  # Its work goes back as it was.
    consumers.wait()  # It is run again, under its new id, by the lane that took the place.
    wait_for(lambda: answers(inbox), timeout=PATIENCE, what="an answer")
    assert answers(inbox) == {"1-abc": STUCK}
    assert worker.counters["stuck"] == 2


# ----------------------------------------------------------------- starting anew


def worker_that_can_restart(site: Site, *routes: Any, **options: Any) -> Worker:
    worker: Worker = site.worker(*routes, can_restart=True, **options)
    return worker


def test_with_most_threads_stuck_the_process_is_to_start_anew(site, inbox, consumers, caplog):
    worker = worker_that_can_restart(
        site, route(RECEIVE, consumers.sync), threads=3, run_limit=LIMIT
    )
    for number, name in enumerate(["1-c", "2-c"]):
        assert not worker.restart
        say(site, f"hold {number}", connection=name)
        consumers.wait()
        wait_for(lambda: len(answers(inbox)) > number, timeout=PATIENCE, what="an answer")  # noqa: B023
    site.join(worker)
    assert worker.restart
    assert worker.unfinished == 2
    assert workers_known(site) == set()
    assert "starts anew" in caplog.text


def test_with_one_of_three_stuck_it_goes_on(site, inbox, consumers):
    worker = worker_that_can_restart(
        site, route(RECEIVE, consumers.sync), threads=3, run_limit=LIMIT
    )
    say(site, "hold")
    consumers.wait()
    wait_for(lambda: answers(inbox), timeout=PATIENCE, what="an answer")
    say(site, "b", connection="2-c")
    wait_for(lambda: len(answers(inbox)) == 2, timeout=PATIENCE, what="another answer")
    site.stop(worker)
    assert not worker.restart


def test_the_rest_is_finished_before(site, inbox, consumers):
    """What runs on a custom channel has the grace period, as at any end."""
    done = threading.Event()

    def work(message):
        done.wait(PATIENCE)
        Channel("sent", channel_layer=site.layer).send({})

    worker = worker_that_can_restart(
        site, route(RECEIVE, consumers.sync), route("work", work), threads=3, run_limit=LIMIT
    )
    site.send("work", {})
    for name in ("1-c", "2-c"):
        say(site, "hold", connection=name)
        consumers.wait()
    wait_for(lambda: worker.restart, timeout=PATIENCE, what="it is to restart")
    assert site.length("sent") == 0
    done.set()
    site.join(worker)
    assert site.length("sent") == 1
    assert worker.restart


def test_a_signal_is_stronger(site, inbox, consumers):
    def work(message):
        working.set()
        site.gate.wait(PATIENCE)

    working = threading.Event()
    worker = worker_that_can_restart(
        site, route(RECEIVE, consumers.sync), route("work", work), threads=2, run_limit=LIMIT
    )
    site.send("work", {})
    assert working.wait(PATIENCE)
    say(site, "hold", connection="1-c")
    wait_for(lambda: answers(inbox), timeout=PATIENCE, what="an answer")
    say(site, "hold", connection="2-c")
    wait_for(lambda: worker.restart, timeout=PATIENCE, what="it is to restart")
    worker.stop()
    site.gate.set()
    site.join(worker)
    assert not worker.restart


# --------------------------------------------------------------- the event loop


def test_a_loop_that_is_blocked_is_replaced(site, inbox, consumers, caplog):
    worker = site.worker(route(RECEIVE, consumers.blocking), run_limit=LIMIT, grace=1.0)
    say(site, "hold", connection="1-c")
    say(site, "wait", connection="2-c")
    consumers.wait()
    wait_for(lambda: len(answers(inbox)) == 2, timeout=PATIENCE, what="both are answered")
    assert answers(inbox) == {"1-c": STUCK, "2-c": (["wait"], codec.DONE)}
    (letter,) = site(DeadLetters(RECEIVE))
    assert letter.reason == "stuck"
    assert worker.counters["stuck"] == 1
    (record,) = [each for each in caplog.records if "blocked the event loop" in each.getMessage()]
    assert "Consumers.blocking, for <Message iface.1-c.0" in record.getMessage()
    assert "in blocking\n" in record.getMessage()
    # Awake again, it commits nothing and ends.
    (lane,) = worker._roster._blocked
    site.gate.set()
    lane._thread.join(PATIENCE)
    assert not lane._thread.is_alive()
    assert answers(inbox)["1-c"] == STUCK
    assert site.length("sent") == 1
    assert worker.counters["fenced"] == 0


@pytest.mark.parametrize("settled", [False, True], ids=["unanswered", "answered"])
def test_frames_that_are_done_when_the_loop_is_blocked_run_once(site, inbox, consumers, settled):
    """The loop has noted them to be committed, and comes to it, or does not."""

    async def consumer(message):
        if message["text"] == "hold":
            time.sleep(0.03)  # They are due after ``partial``.
            for _ in range(100 if settled else 2):
                await asyncio.sleep(0)
            consumers.held.release()
            site.gate.wait(PATIENCE)
        consumers.end(message)

    worker = site.worker(route(RECEIVE, consumer), run_limit=LIMIT, partial=0.02, grace=1.0)
    say(site, "a", "hold", "b")
    consumers.wait()
    wait_for(lambda: answers(inbox), timeout=PATIENCE, what="an answer")
    assert answers(inbox) == {"1-abc": STUCK}
    assert str(inbox.entries()).count("{'text': 'a'}") == 1
    (letter,) = site(DeadLetters(RECEIVE))
    assert (letter.reason, letter.done) == ("stuck", 1)
    assert (site.ran, worker.counters["fenced"]) == (["a"], 0)


def test_where_it_can_it_starts_anew(site, inbox, consumers):
    worker = worker_that_can_restart(
        site, route(RECEIVE, consumers.blocking), run_limit=LIMIT, grace=1.0
    )
    say(site, "hold")
    consumers.wait()
    site.join(worker)
    assert worker.restart
    assert answers(inbox) == {"1-abc": STUCK}


def test_a_blocked_thread_of_synchronous_code_is_noticed(
    site, inbox, consumers, monkeypatch, caplog
):
    async def consumer(message):
        consumers.held.release()
        await sync_to_async(site.gate.wait)(PATIENCE)

    monkeypatch.setattr(loopwatch, "PROBE", 0.2)
    worker = worker_that_can_restart(site, route(RECEIVE, consumer), run_limit=LIMIT, grace=1.0)
    say(site, "hold")
    consumers.wait()
    wait_for(lambda: worker.restart, timeout=PATIENCE, what="it is to restart")
    assert answers(inbox) == {"1-abc": STUCK}
    assert "sync_to_async" in caplog.text
    site.gate.set()


def test_one_that_is_canceled_leaves_the_others_alone(site, inbox, consumers):
    worker = site.worker(route(RECEIVE, consumers.aio), run_limit=LIMIT, concurrency=2)
    say(site, "hold 1", connection="1-c")
    say(site, "hold 2", connection="2-c")
    say(site, "c", connection="3-c")
    wait_for(lambda: len(answers(inbox)) == 3, timeout=PATIENCE, what="all are answered")
    assert answers(inbox) == {"1-c": STUCK, "2-c": STUCK, "3-c": (["c"], codec.DONE)}
    began = time.monotonic()
    site.stop(worker)
    assert time.monotonic() - began < 5.0
    assert worker.unfinished == 0
