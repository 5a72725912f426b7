import asyncio
import logging
import threading
import time
from collections import Counter

import pytest

from djchan import Channel, route
from djchan.asgi import ChannelLayerWrapper
from djchan.exceptions import (
    BrokerUnsupported,
    ConsumeLater,
    InvalidChannelLayer,
)
from djchan.layers import codec
from djchan.layers.operations import (
    Beat,
    Claim,
    Closing,
    Commit,
    DeadLetters,
    Push,
    Reap,
    Register,
    Send,
)
from djchan.signals import worker_ready
from djchan.worker import Worker, WorkerGroup
from tests.lanes.site import PATIENCE, Flaky, Inbox, crash, delivery, running, workers_known
from tests.support.waiting import wait_for


@pytest.fixture
def site():
    yield from running()


# ---------------------------------------------------------------- running


def test_messages_of_a_channel_run_in_order(site):
    site.numbers("x", 500)
    worker = site.worker(route("x", site.note))
    assert site.wait(500) == list(range(500))
    assert worker.counters["done"] == 500


def test_it_waits_for_messages(site):
    site.worker(route("x", site.note))
    for n in range(3):
        site.send("x", {"n": n})
        site.wait(n + 1)


def test_what_a_consumer_sends_arrives(site):
    def forward(message):
        Channel("y", channel_layer=site.layer).send({"n": message["n"]})

    site.worker(route("x", forward), route("y", site.note))
    site.numbers("x", 100)
    assert site.wait(100) == list(range(100))


def test_a_delayed_message_runs_when_it_is_due(site):
    def later(message):
        Channel("y", channel_layer=site.layer).send({"n": 1}, delay=0.2)

    site.worker(route("x", later), route("y", site.note))
    began = time.monotonic()
    site.numbers("x", 1)
    site.wait(1)
    assert 0.15 < time.monotonic() - began < 2.0


def test_messages_carry_id_and_attempt(site):
    def consumer(message):
        site.ran.append((message.id, message.attempt, message.redelivered))

    site.worker(route("x", consumer))
    site.numbers("x", 2)
    (first, *rest), (second, *_) = site.wait(2)
    assert first != second
    assert rest == [1, False]


def test_no_channel_starves_beside_a_flood(site):
    release = threading.Event()

    def flood(message):
        release.wait(PATIENCE)
        Channel("flood", channel_layer=site.layer).send({})

    site.send("flood", *({} for _ in range(200)))
    site.worker(route("flood", flood), route("quiet", site.note))
    release.set()
    site.numbers("quiet", 5)
    site.wait(5)


def test_the_callback_is_called_before_the_consumer(site):
    def callback(channel, message):
        site.ran.append((channel, message["n"]))
        raise RuntimeError("the callback's own trouble")

    site.worker(route("x", site.note), callback=callback)
    site.numbers("x", 1)
    assert site.wait(2) == [("x", 0), 0]


def test_threads_run_side_by_side(site):
    barrier = threading.Barrier(4)

    def consumer(message):
        barrier.wait(PATIENCE)
        site.note(message)

    site.worker(route("x", consumer), threads=4)
    site.numbers("x", 4)
    site.wait(4)


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_nothing_that_a_consumer_raises_ends_the_worker(site, error, caplog):
    def consumer(message):
        if message["n"] == 0:
            raise error
        site.note(message)

    site.worker(route("x", consumer))
    site.numbers("x", 2)
    assert site.wait(1) == [1]
    assert error.__name__ in caplog.text


def test_an_unrouted_message_is_dropped(site, caplog):
    site.worker(route("x", site.note, path="^/here$"))
    site.send("x", {"n": 1, "path": "/there"}, {"n": 2, "path": "/here"})
    assert site.wait(1) == [2]
    assert "/there" in caplog.text


# ---------------------------------------------------------- the 1.x worker


class PatchedWorker(Worker):
    """Upstream's way to run so many messages: ``termed`` counts how often it is read."""

    left = 0

    @property
    def termed(self):
        if not self.left:
            return True
        self.left -= 1
        return False

    @termed.setter
    def termed(self, value):
        self.left = value


@pytest.mark.parametrize("count", [1, 2, 7])
def test_termed_is_read_once_per_message(site, count):
    site.numbers("x", 20)
    worker = PatchedWorker(site.wrapper(route("x", site.note)), signal_handlers=False)
    worker.termed = count
    worker.run()
    assert site.ran == list(range(count))
    assert site.length("x") == 20 - count


def test_globs_choose_the_channels(site):
    wrapper = site.wrapper()
    worker = Worker(wrapper, only_channels=["yes.*", "maybe.*"], exclude_channels=["*.not"])
    channels = ["no.1", "yes.1", "yes.not", "maybe.1"]
    assert worker.apply_channel_filters(channels) == ["yes.1", "maybe.1"]
    assert Worker(wrapper).apply_channel_filters(channels) == channels


def test_only_its_channels_are_claimed(site):
    site.worker(route("x", site.note), route("y", site.note), exclude_channels=["y"])
    site.numbers("y", 1)
    site.numbers("x", 3)
    site.wait(3)
    assert site.length("y") == 1


def test_ready_is_said_once_for_each_thread(site):
    said = []

    def receiver(sender, **kwargs):
        said.append(sender)

    worker = WorkerGroup(site.wrapper(), n_threads=3)
    worker_ready.connect(receiver)
    try:
        worker.ready()
    finally:
        worker_ready.disconnect(receiver)
    assert said == [worker] * 3
    assert worker.threads == 3


def test_options_come_from_the_settings_unless_they_are_given(site):
    wrapper = ChannelLayerWrapper(
        site.layer, "default", [], worker_options={"threads": 7, "grace": 3.0}
    )
    worker = Worker(wrapper, threads=2)
    assert (worker.threads, worker.options.grace) == (2, 3.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"thread": 2}, "thread"),
        ({"threads": 0}, "above 0"),
        ({"grace": "long"}, "seconds"),
        ({"worker_silence": 0.5}, "worker_silence"),
    ],
)
def test_wrong_options_are_refused_in_words(site, options, words):
    with pytest.raises(InvalidChannelLayer, match=words):
        Worker(site.wrapper(), **options)


def test_it_says_when_it_is_ready_and_what_it_serves(site, caplog):
    with caplog.at_level(logging.INFO, logger="djchan.worker"):
        site.worker(route(["b", "a"], site.note), threads=2)
        site.numbers("a", 1)
        site.wait(1)
    assert "is ready" in caplog.text
    assert "2 threads" in caplog.text
    assert "a, b" in caplog.text


# ------------------------------------------------------------ slow consumers


def test_who_waits_behind_a_slow_one_goes_to_another_worker(site):
    site.numbers("x", 10)
    first = site.worker(route("x", site.hold))
    site.wait(1)
    site.worker(route("x", site.hold))
    assert site.wait(10)[0] == 0
    assert first.in_job
    assert sorted(site.ran) == list(range(10))


def test_a_batch_behind_a_slow_one_is_given_back(site):
    def consumer(message):
        site.ran.append(message["n"])
        if message["n"] == 40:
            site.gate.wait(PATIENCE)

    site.numbers("x", 200)
    worker = site.worker(route("x", consumer), slow=0.01)
    wait_for(lambda: worker.counters["released"], timeout=PATIENCE, what="given back")
    site.worker(route("x", consumer))
    site.wait(200)
    assert sorted(site.ran) == list(range(200))


def test_what_was_finished_before_a_slow_one_is_committed_meanwhile(site):
    def consumer(message):
        n = message["n"]
        Channel("done", channel_layer=site.layer).send({"n": n})
        site.ran.append(n)
        if n == 5:
            site.gate.wait(PATIENCE)

    site.numbers("x", 6)
    site.worker(route("x", consumer))
    site.wait(6)
    wait_for(lambda: site.length("done") == 5, timeout=PATIENCE, what="five are committed")
    site.gate.set()
    wait_for(lambda: site.length("done") == 6, timeout=PATIENCE, what="the sixth is committed")
    got = [site.layer.receive(["done"])[1]["n"] for _ in range(6)]
    assert got == [0, 1, 2, 3, 4, 5]


# ------------------------------------------------------------ async consumers


def test_async_consumers_run_side_by_side_in_one_thread(site):
    here = []

    async def consumer(message):
        here.append(threading.get_ident())
        while len(here) < 50:
            await asyncio.sleep(0.001)
        site.ran.append(message["n"])

    site.numbers("x", 50)
    worker = site.worker(route("x", consumer), concurrency=50)
    site.wait(50)
    assert len(set(here)) == 1
    wait_for(lambda: worker.counters["done"] == 50, timeout=PATIENCE, what="50 counted")


def test_no_more_of_them_than_the_concurrency(site):
    here = Counter()

    async def consumer(message):
        here["now"] += 1
        here["most"] = max(here["most"], here["now"])
        await asyncio.sleep(0.002)
        here["now"] -= 1
        site.ran.append(message["n"])

    site.numbers("x", 40)
    site.worker(route("x", consumer), concurrency=3)
    site.wait(40)
    assert here["most"] == 3


def test_what_an_async_consumer_sends_arrives(site):
    async def forward(message):
        await Channel("y", channel_layer=site.layer).asend({"n": message["n"]})

    site.worker(route("x", forward), route("y", site.note))
    site.numbers("x", 50)
    assert sorted(site.wait(50)) == list(range(50))


@pytest.mark.parametrize(
    "error", [ValueError, SystemExit, KeyboardInterrupt, asyncio.CancelledError]
)
def test_nothing_that_an_async_consumer_raises_ends_the_worker(site, error):
    async def consumer(message):
        if message["n"] == 0:
            raise error
        site.ran.append(message["n"])

    worker = site.worker(route("x", consumer))
    site.numbers("x", 2)
    assert site.wait(1) == [1]
    wait_for(lambda: worker.counters["failed"] == 1, timeout=PATIENCE, what="the failure counts")


def test_synchronous_and_async_consumers_mix(site):
    site.worker(route("x", site.note), route("y", site.anote))
    site.numbers("x", 20)
    site.numbers("y", 20)
    assert sorted(site.wait(40)) == sorted([*range(20), *range(20)])


# ------------------------------------------------------------------- stopping


def test_stop_returns_at_once_when_idle(site):
    worker = site.worker(route("x", site.note))
    site.numbers("x", 1)
    site.wait(1)
    began = time.monotonic()
    site.stop(worker)
    assert time.monotonic() - began < 2.0
    assert worker.unfinished == 0


def test_stop_finishes_what_runs_and_gives_the_rest_back(site):
    def consumer(message):
        site.hold(message)
        Channel("done", channel_layer=site.layer).send({})

    site.numbers("x", 5)
    worker = site.worker(route("x", consumer))
    site.wait(1)
    worker.stop()
    site.gate.set()
    site.join(worker)
    assert site.ran == [0]
    assert (site.length("done"), site.length("x")) == (1, 4)


def test_stop_gives_back_what_waits_while_a_consumer_still_runs(site):
    def consumer(message):
        site.ran.append(message["n"])
        if message["n"] == 40:
            site.gate.wait(PATIENCE)

    site.numbers("x", 100)
    worker = site.worker(route("x", consumer), slow=60.0)
    site.wait(41)
    worker.stop()
    wait_for(lambda: site.length("x") == 59, timeout=PATIENCE, what="the rest is back")
    site.gate.set()
    site.join(worker)


def test_after_the_grace_period_a_message_goes_back_as_one_that_has_begun(site, caplog):
    site.numbers("x", 1)
    worker = site.worker(route("x", site.hold), grace=0.1)
    site.wait(1)
    site.stop(worker)
    assert worker.unfinished == 1
    assert "grace" in caplog.text
    attempts = []

    def consumer(message):
        attempts.append(message.attempt)
        site.note(message)

    site.worker(route("x", consumer))
    site.wait(2)
    assert attempts == [2]


def test_an_async_consumer_has_the_grace_period_too(site):
    async def consumer(message):
        site.ran.append("began")
        await asyncio.sleep(0.2)
        await Channel("done", channel_layer=site.layer).asend({})

    site.numbers("x", 1)
    worker = site.worker(route("x", consumer))
    site.wait(1)
    site.stop(worker)
    assert site.length("done") == 1


def test_an_async_consumer_that_is_canceled_sends_nothing_and_has_begun(site):
    async def consumer(message):
        site.ran.append(message.attempt)
        await Channel("done", channel_layer=site.layer).asend({})
        await asyncio.Event().wait()

    site.numbers("x", 1)
    worker = site.worker(route("x", consumer), grace=0.1)
    site.wait(1)
    site.stop(worker)
    assert (site.length("done"), site.length("x")) == (0, 1)
    assert worker.unfinished == 1
    site.worker(route("x", consumer), grace=0.1)
    site.wait(2)
    assert site.ran == [1, 2]


def test_a_silent_layer_does_not_hold_it_at_the_end(site, monkeypatch, caplog):
    monkeypatch.setattr("djchan.worker.ANSWER", 0.2)
    worker = site.worker(route("go", site.note), grace=0.5)
    site.numbers("go", 1)
    site.wait(1)
    asked, perform = [], worker._link.perform

    def silent(*operations):
        if isinstance(operations[0], Closing | Reap):
            asked.append(operations[0])
            site.gate.wait(PATIENCE)
        return perform(*operations)

    monkeypatch.setattr(worker._link, "perform", silent)
    site.stop(worker, timeout=5)
    assert "could not say goodbye: the channel layer did not answer" in caplog.text
    assert len(asked) == 1  # It is not asked again.
    site.gate.set()


def test_nothing_is_known_of_a_worker_that_has_left(site):
    worker = site.worker(route("x", site.note))
    site.numbers("x", 1)
    site.wait(1)
    site.stop(worker)
    site(Register("watcher", "interface", b""))
    assert set(site(Beat("watcher")).processes) == {"watcher"}


# ---------------------------------------------------- crashes, retries, oddities


def test_a_message_whose_worker_died_is_run_again(site):
    def consumer(message):
        site.ran.append((message.attempt, message.redelivered))

    site.numbers("x", 1)
    crash(site, 2, "x")
    site.worker(route("x", consumer))
    assert site.wait(1) == [(3, True)]


def test_after_three_crashes_it_is_a_dead_letter(site, caplog):
    site.numbers("x", 1)
    crash(site, 3, "x")
    worker = site.worker(route("x", site.note))
    wait_for(lambda: site(DeadLetters("x")), timeout=PATIENCE, what="dead letter")
    assert site(DeadLetters("x"))[0].reason == "poison"
    assert site.ran == []
    assert worker.counters["poison"] == 1
    assert "poison" in caplog.text


def test_consume_later_runs_eleven_times(site, caplog):
    doomed = []

    def consumer(message):
        doomed.append(message.__doomed__)
        raise ConsumeLater

    worker = site.worker(route("x", consumer), retry_delay=0.001)
    site.numbers("x", 1)
    wait_for(lambda: worker.counters["exhausted"], timeout=PATIENCE, what="it is dropped")
    assert doomed == [False] * 10 + [True]
    assert worker.counters["later"] == 10


def echo(message):
    message.reply_channel.send({"text": f"You said: {message['text']}"})


async def aecho(message):
    await message.reply_channel.asend({"text": f"You said: {message['text']}"})


@pytest.mark.parametrize("consumer", [echo, aecho])
def test_the_replies_of_a_delivery_come_with_its_answer(site, consumer):
    inbox = Inbox(site)
    site.worker(route("websocket.receive", consumer), partial=PATIENCE)
    site(Send("", 0, (delivery(1, {"text": "a", "order": 1}, {"text": "b", "order": 2}),)))
    replies = [{"text": "You said: a"}, {"text": "You said: b"}]
    assert inbox.wait(1) == [[codec.ANSWER, "1-abc", 1, replies, codec.DONE]]


def test_a_frame_that_raises_does_not_stop_the_others(site):
    inbox = Inbox(site)

    def consumer(message):
        echo(message)
        if message["text"] == "b":
            raise ValueError

    site.worker(route("websocket.receive", consumer), partial=PATIENCE)
    site(Send("", 0, (delivery(1, {"text": "a"}, {"text": "b"}, {"text": "c"}),)))
    ((_, _, _, replies, status),) = inbox.wait(1)
    assert [reply["text"][-1] for reply in replies] == ["a", "b", "c"]
    assert status == codec.FAILED


@pytest.mark.parametrize("on_loop", [False, True])
def test_a_frame_that_wants_to_run_later_holds_up_those_behind_it(site, on_loop):
    inbox = Inbox(site)
    tries = []

    def consumer(message):
        echo(message)
        if message["text"] == "b" and len(tries) < 2:
            tries.append(message.get("__retries__", 0))
            raise ConsumeLater

    async def aconsumer(message):
        consumer(message)

    chosen = aconsumer if on_loop else consumer
    site.worker(route("websocket.receive", chosen), retry_delay=0.01, partial=PATIENCE)
    site(Send("", 0, (delivery(1, {"text": "a"}, {"text": "b"}, {"text": "c"}),)))
    first, last = inbox.wait(2)
    assert first == [codec.PROGRESS, "1-abc", 1, 1, [{"text": "You said: a"}]]
    replies = [{"text": "You said: b"}, {"text": "You said: c"}]
    assert last == [codec.ANSWER, "1-abc", 1, replies, codec.DONE]
    assert tries == [0, 1]


def test_sockets_are_answered_in_order_by_many_threads(site):
    inbox = Inbox(site)
    site.worker(route("websocket.receive", echo), threads=3)
    connections = [f"{n}-c" for n in range(20)]
    for seq in range(1, 6):
        pushes = [
            delivery(seq, {"text": f"{seq}"}, connection=connection) for connection in connections
        ]
        site(Send("", 0, tuple(pushes)))
        inbox.wait(20 * seq)
    for connection in connections:
        answers = [entry[2] for entry in inbox.entries() if entry[1] == connection]
        assert answers == [1, 2, 3, 4, 5]


def test_what_cannot_be_read_goes_back_and_its_channel_is_left_alone(site, caplog):
    site(Send("", 0, (Push("x", b"\xc1 from the future"),)))
    site.worker(route("x", site.note), route("y", site.note), unreadable_wait=60.0)
    wait_for(lambda: "unreadable_wait" in caplog.text, timeout=PATIENCE, what="the log line")
    site.numbers("y", 3)
    site.wait(3)
    wait_for(lambda: site.length("x") == 1, timeout=PATIENCE, what="it is back")
    assert caplog.text.count("unreadable_wait") == 1


def test_it_is_looked_at_again_after_a_while(site, caplog):
    site(Send("", 0, (Push("x", b"\xc1 from the future"),)))
    site.worker(route("x", site.note), route("y", site.note), unreadable_wait=0.05)

    def again():
        site.numbers("y", 1)  # Something that lets it claim.
        return caplog.text.count("unreadable_wait") > 1

    wait_for(again, timeout=PATIENCE, what="another look")


# ----------------------------------------------------------------- the layer away


@pytest.fixture
def flaky(site):
    site.layer.engine = Flaky(site.layer.engine)
    yield site.layer.engine
    site.layer.engine.down = False


def test_an_outage_is_survived(site, flaky, caplog):
    site.worker(route("x", site.note))
    site.numbers("x", 1)
    site.wait(1)
    flaky.down = True
    site(Send("", 0, (Push("x", site.layer.word("x", {"n": 1}).payload),)))
    wait_for(lambda: "is lost" in caplog.text, timeout=PATIENCE, what="the log line")
    flaky.down = False
    assert site.wait(2) == [0, 1]
    lines = [record for record in caplog.records if "away" in record.getMessage()]
    assert len(lines) == 1
    assert "answers again" in caplog.text


def test_a_layer_that_is_away_at_the_start_is_waited_for(site, flaky, caplog):
    flaky.down = True
    site.worker(route("x", site.note))
    wait_for(lambda: "away" in caplog.text, timeout=PATIENCE, what="the log line")
    flaky.down = False
    site.numbers("x", 1)
    site.wait(1)


def test_it_can_be_stopped_while_the_layer_is_away(site, flaky, caplog):
    worker = site.worker(route("x", site.note))
    site.numbers("x", 1)
    site.wait(1)
    flaky.down = True
    site(Send("", 0, (Push("x", b"wakes it"),)))
    wait_for(lambda: "away" in caplog.text, timeout=PATIENCE, what="the log line")
    site.stop(worker)
    never = site.worker(route("x", site.note))
    site.stop(never)


def test_a_commit_whose_answer_was_lost_is_applied_once(site, flaky):
    def forward(message):
        Channel("y", channel_layer=site.layer).send({"n": message["n"]})
        site.note(message)

    flaky.lose = [Commit]
    site.worker(route("x", forward))
    site.numbers("x", 3)
    site.wait(3)
    wait_for(lambda: site.length("y") == 3, timeout=PATIENCE, what="three are committed")
    assert flaky.lose == []
    assert site.ran == [0, 1, 2]


def test_a_claim_whose_answer_was_lost_is_not_leased_for_ever(site, flaky):
    attempts = []

    def consumer(message):
        attempts.append(message.attempt)
        site.note(message)

    site.numbers("x", 1)
    flaky.lose = [Claim]
    site.worker(route("x", consumer))
    site.wait(1)
    assert flaky.lose == []
    assert attempts == [1]  # Nobody is charged with a crash.


def test_a_lost_claim_is_asked_again_under_the_same_id(site, flaky):
    def consumer(message):
        site.hold(message)
        Channel("done", channel_layer=site.layer).send({"n": message["n"]})

    site.numbers("x", 1)
    site.worker(route("x", consumer), threads=2)
    site.wait(1)
    before = workers_known(site)
    flaky.lose = [Claim]  # Of the other thread.
    site.send("x", {"n": 1})
    site.wait(2)
    assert flaky.lose == []
    site.gate.set()
    wait_for(lambda: site.length("done") == 2, timeout=PATIENCE, what="both are committed")
    assert workers_known(site) == before
    assert sorted(site.ran) == [0, 1]


def test_an_unusable_layer_ends_it_with_the_reason(site, flaky):
    class Old:
        def __getattr__(self, name):
            raise BrokerUnsupported("too old")

        def perform(self, *operations):
            raise BrokerUnsupported("too old")

        def close(self):
            pass

    flaky.link = lambda name: Old()
    with pytest.raises(BrokerUnsupported, match="too old"):
        Worker(site.wrapper(), signal_handlers=False).run()


def test_declared_dead_it_goes_on_under_a_new_id(site, caplog):
    site.worker(route("x", site.note), beat=0.05)
    site.numbers("x", 1)
    site.wait(1)
    (before,) = workers_known(site)
    assert site(Reap(before, None))
    wait_for(lambda: workers_known(site) - {before}, timeout=PATIENCE, what="a new id")
    site.send("x", {"n": 1})
    site.wait(2)
    assert "new id" in caplog.text


def test_a_layer_that_lost_everything_is_served_on(site):
    site.worker(route("x", site.note), beat=0.05)
    site.numbers("x", 1)
    site.wait(1)
    site.layer.flush()
    wait_for(lambda: workers_known(site), timeout=PATIENCE, what="it is known again")
    site.send("x", {"n": 1})
    site.wait(2)


def test_what_a_dead_one_still_ran_is_dropped(site, caplog):
    def consumer(message):
        Channel("done", channel_layer=site.layer).send({"by": message.attempt})
        site.hold(message)

    site.numbers("x", 1)
    worker = site.worker(route("x", consumer), threads=2, beat=0.05)
    site.wait(1)
    (process,) = workers_known(site)
    beat = site(Beat("watcher")).processes[process][0]
    while not site(Reap(process, beat)):
        beat = site(Beat("watcher")).processes[process][0]
    site.wait(2)  # The other thread, under its new id, runs it again.
    site.gate.set()
    wait_for(lambda: worker.counters["fenced"], timeout=PATIENCE, what="fenced")
    wait_for(lambda: worker.counters["done"] == 2, timeout=PATIENCE, what="both ended")
    wait_for(lambda: site.length("done") == 1, timeout=PATIENCE, what="one commit")
    assert site.layer.receive(["done"])[1] == {"by": 2}
