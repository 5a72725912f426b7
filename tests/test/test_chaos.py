"""Faults on purpose: each kind of them, what they leave alone, and that a seed repeats them."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from djchan import Channel, Group, route
from djchan.asgi import ChannelLayerManager, ChannelLayerWrapper
from djchan.exceptions import ChannelFull, InvalidChannelLayer, OutcomeUnknown
from djchan.layers import codec
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.operations import (
    Address,
    Claim,
    Commit,
    Counters,
    Held,
    Length,
    Outcome,
    Part,
    Push,
    Reap,
    Register,
    Release,
    Send,
    Tell,
    Wait,
)
from djchan.layers.redis import RedisChannelLayer
from djchan.test import ChaosLayer, work_off
from djchan.worker import Worker
from tests.support.servers import Server
from tests.support.waiting import wait_for

MINE = "mine"


def wrapper(layer: ChaosLayer, consumer: Callable[[Any], Any], *more: Any) -> ChannelLayerWrapper:
    return ChannelLayerWrapper(layer, "default", [route(MINE, consumer), *more])


def send(layer: Any, *numbers: int, channel: str = MINE) -> None:
    for n in numbers:
        layer.send(channel, {"n": n})


class Noting:
    """A consumer that notes what it ran: the number and the attempt."""

    def __init__(self) -> None:
        self.ran: list[tuple[int, int]] = []

    def __call__(self, message: Any) -> None:
        self.ran.append((message["n"], message.attempt))

    @property
    def numbers(self) -> list[int]:
        return [n for n, _ in self.ran]


@pytest.fixture
def noting() -> Noting:
    return Noting()


# ------------------------------------------------------------------ what it is


def test_without_rates_it_is_the_layer_that_it_wraps(noting):
    layer = ChaosLayer()
    send(layer, *range(50))

    assert work_off(wrapper(layer, noting)) == {"done": 50}
    assert noting.ran == [(n, 1) for n in range(50)]
    assert layer.faults == []


def test_settings_name_it(settings):
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "djchan.test.ChaosLayer",
            "ROUTING": [],
            "CONFIG": {
                "backend": "djchan.layers.redis.RedisChannelLayer",
                "options": {"hosts": ["redis://127.0.0.1:1/0"], "capacity": 7},
                "seed": 3,
                "repeat": {"thumbnails": 0.5},
            },
        }
    }
    made = ChannelLayerManager()["default"]

    assert isinstance(made.channel_layer, ChaosLayer)
    assert isinstance(made.channel_layer.wrapped, RedisChannelLayer)
    assert not made.local_only()
    assert made.capacity_of("x") == 7


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"repeat": 1.5}, "repeat"),
        ({"drop": {"x": "often"}}, "drop"),
        ({"max_delay": 0}, "max_delay"),
        ({"max_repeats": -1}, "max_repeats"),
        ({"backend": "djchan.layers.nothing.Layer"}, "djchan.layers.nothing.Layer"),
        ({"backend": "djchan.route"}, "djchan.route"),
        ({"backend": InMemoryChannelLayer(), "options": {"capacity": 3}}, "options"),
        ({"options": {"capacity": 0}}, "capacity"),
    ],
)
def test_what_cannot_be_is_refused_by_name(config, named):
    with pytest.raises(InvalidChannelLayer, match=named):
        ChaosLayer(**config)


def test_the_policy_is_that_of_the_wrapped_layer():
    options = {"channel_capacity": {"x.*": 3}, "delivery": {"once": "at-most-once"}}
    for layer in (
        ChaosLayer(options=options),
        ChaosLayer(InMemoryChannelLayer(**options)),
        ChaosLayer(InMemoryChannelLayer, options),
    ):
        assert layer.capacity_of("x.y") == 3
        assert layer.at_most_once("once")
        assert layer.engine.local_only


def test_it_says_so_in_the_log(caplog):
    ChaosLayer(seed=12, repeat=0.5)
    assert "repeat 0.5" in caplog.text and "12" in caplog.text


def test_a_seed_of_its_own_is_told():
    assert ChaosLayer().seed != ChaosLayer().seed


# --------------------------------------------------------------------- seeds


def story(seed: int) -> tuple[list[Any], list[tuple[int, int]]]:
    """What happens with a seed: its faults, and what ran."""
    layer = ChaosLayer(
        options={"delivery": {"once": "at-most-once"}, "capacity": 1000},
        seed=seed,
        drop=0.2,
        repeat=0.2,
        reorder=0.2,
        full=0.2,
        unanswered=0.2,
    )
    noting = Noting()
    for n in range(60):
        try:
            send(layer, n, channel=MINE if n % 2 else "once")
        except (ChannelFull, OutcomeUnknown):
            continue
    work_off(wrapper(layer, noting, route("once", noting)))
    return layer.faults, noting.ran


def test_the_same_seed_makes_the_same_faults():
    faults, ran = story(7)

    assert story(7) == (faults, ran)
    assert {fault.kind for fault in faults} == {"drop", "repeat", "reorder", "full", "unanswered"}
    assert [fault.number for fault in faults] == list(range(1, len(faults) + 1))


def test_another_seed_makes_others():
    assert story(7) != story(8)


def test_what_happens_elsewhere_does_not_change_a_channel():
    def refused(*, elsewhere: int) -> list[int]:
        layer = ChaosLayer(seed=5, full=0.3)
        found = []
        for n in range(40):
            for _ in range(elsewhere):
                layer.engine.link("x").perform(Send("", 0, (Push("other", b"x", 10),)))
            try:
                send(layer, n)
            except ChannelFull:
                found.append(n)
        return found

    assert refused(elsewhere=0) == refused(elsewhere=3) != []


def test_each_channel_has_dice_of_its_own():
    layer = ChaosLayer(options={"capacity": 1000}, seed=5, full=0.5)
    fates: dict[str, list[bool]] = {"one": [], "other": []}
    for channel, fate in fates.items():
        for n in range(30):
            try:
                send(layer, n, channel=channel)
            except ChannelFull:
                fate.append(False)
            else:
                fate.append(True)
    assert fates["one"] != fates["other"]


def test_the_record_is_bounded_and_the_counts_are_not():
    layer = ChaosLayer(full=1.0, keep=5)
    for n in range(20):
        with pytest.raises(ChannelFull):
            send(layer, n)
    assert [fault.number for fault in layer.faults] == [16, 17, 18, 19, 20]
    assert layer.counts == {"full": 20}


# -------------------------------------------------------------------- repeat


def test_a_run_is_repeated_and_its_sends_are_applied_once(noting):
    layer = ChaosLayer(seed=1, repeat={MINE: 0.5})

    def consumer(message: Any) -> None:
        noting(message)
        Channel("after", channel_layer=layer).send({"n": message["n"]})

    after = Noting()
    send(layer, *range(40))
    counters = work_off(wrapper(layer, consumer, route("after", after)))

    runs = Counter(noting.numbers)
    assert set(runs) == set(range(40))
    assert set(runs.values()) == {1, 2, 3}
    assert sorted(after.numbers) == list(range(40))
    for n, times in runs.items():
        assert [attempt for number, attempt in noting.ran if number == n] == [1, 2, 3][:times]
    assert counters["fenced"] == layer.counts["repeat"] == len(noting.ran) - 40


def test_a_certain_repeat_ends_before_the_message_is_poison(noting):
    layer = ChaosLayer(repeat=1.0)
    send(layer, 0)
    work_off(wrapper(layer, noting))
    assert noting.ran == [(0, 1), (0, 2), (0, 3)]


def test_max_repeats(noting):
    layer = ChaosLayer(repeat=1.0, max_repeats=1)
    send(layer, 0)
    work_off(wrapper(layer, noting))
    assert noting.ran == [(0, 1), (0, 2)]


def test_what_is_at_most_once_is_not_run_again(noting):
    layer = ChaosLayer(options={"delivery": "at-most-once"}, repeat=1.0)
    send(layer, *range(3))
    assert work_off(wrapper(layer, noting)) == {"done": 3, "fenced": 3, "lost": 3}
    assert noting.ran == [(0, 1), (1, 1), (2, 1)]


def test_the_runs_count_also_when_another_worker_gets_it():
    layer = ChaosLayer(repeat=1.0)
    send(layer, 0)
    link = layer.engine.link("test")
    first, second = "A" * 22, "B" * 22
    link.perform(Register(first, "worker", b"", (MINE,)), Register(second, "worker", b"", (MINE,)))
    (claimed,) = link.perform(Claim(first, "a", (MINE,), 1))
    (results,) = link.perform(Commit(first, "x", 1, (Outcome(claimed.deliveries[0].token),)))
    assert results == ["fenced"]
    link.perform(Reap(first, None))
    (claimed,) = link.perform(Claim(second, "b", (MINE,), 1))
    assert claimed.deliveries[0].attempt == 2


def test_a_commit_that_is_said_again_comes_to_the_same():
    layer = ChaosLayer(seed=4, repeat=0.5)
    link = layer.engine.link("test")
    worker = "A" * 22
    send(layer, *range(20))
    link.perform(Register(worker, "worker", b"", (MINE,)))
    (claimed,) = link.perform(Claim(worker, "a", (MINE,), 20))
    commit = Commit(worker, "x", 1, tuple(Outcome(each.token) for each in claimed.deliveries))
    (first,) = link.perform(commit)
    (second,) = link.perform(commit)

    assert {"fenced", "done"} == set(first)
    fenced = [n for n, result in enumerate(first) if result == "fenced"]
    assert [n for n, result in enumerate(second) if result == "fenced"] == fenced
    assert layer.counts == {"repeat": len(fenced)}
    (again,) = link.perform(Claim(worker, "a", (MINE,), 20))
    assert len(again.deliveries) == len(fenced)


def test_a_worker_that_sleeps_is_woken_for_what_is_run_again():
    layer = ChaosLayer(repeat=1.0)
    link = layer.engine.link("test")
    worker = "A" * 22
    send(layer, 0)
    link.perform(Register(worker, "worker", b"", (MINE,)))
    (claimed,) = link.perform(Claim(worker, "its-bell", (MINE,), 1))
    # As the async lane does it: its commit comes without a claim.
    link.perform(Commit(worker, "x", 1, (Outcome(claimed.deliveries[0].token),)))
    began = time.monotonic()
    link.perform(Wait("its-bell", 5.0))
    assert time.monotonic() - began < 2.0


def test_what_is_run_again_can_be_given_back_and_is_held():
    layer = ChaosLayer(repeat=1.0)
    link = layer.engine.link("test")
    worker = "A" * 22
    send(layer, 0, 1)
    link.perform(Register(worker, "worker", b"", (MINE,)))
    (claimed,) = link.perform(Claim(worker, "a", (MINE,), 2))
    link.perform(Commit(worker, "x", 1, tuple(Outcome(each.token) for each in claimed.deliveries)))
    assert link.perform(Held(worker, (), ())) == [0]
    (claimed,) = link.perform(Claim(worker, "a", (MINE,), 2))
    assert len(claimed.deliveries) == 2
    one, other = (each.token for each in claimed.deliveries)
    assert link.perform(Held(worker, (one, other), ())) == [0]
    assert link.perform(Release(worker, (one,))) == [1]
    assert link.perform(Held(worker, (), ())) == [1]
    assert layer.wrapped.engine.link("calm").perform(Length(MINE)) == [2]


def test_frames_that_were_committed_are_not_run_again():
    layer = ChaosLayer(repeat=1.0)
    link = layer.engine.link("test")
    worker = "A" * 22
    link.perform(Send("", 0, (Push(MINE, b"three frames", frames=3),)))
    link.perform(Register(worker, "worker", b"", (MINE,)))
    (claimed,) = link.perform(Claim(worker, "a", (MINE,), 1))
    token = claimed.deliveries[0].token
    assert link.perform(Commit(worker, "x", 1, (Outcome(token, progress=2),))) == [["done"]]
    assert link.perform(Commit(worker, "x", 2, (Outcome(token),))) == [["fenced"]]
    (claimed,) = link.perform(Claim(worker, "a", (MINE,), 1))
    assert (claimed.deliveries[0].attempt, claimed.deliveries[0].done) == (2, 2)


def test_a_response_that_had_begun_is_told_so():
    layer = ChaosLayer(repeat=1.0)
    link = layer.engine.link("test")
    worker, home = "A" * 22, "B" * 22
    link.perform(Send("", 0, (Push("http.request", b"a request"),)))
    link.perform(Register(home, "interface", b""))
    link.perform(Register(worker, "worker", b"", ("http.request",)))
    (claimed,) = link.perform(Claim(worker, "a", ("http.request",), 1))
    token = claimed.deliveries[0].token
    assert link.perform(Part(worker, token, home, "c", b"a part")) == ["ok"]
    outcome = Outcome(token, (), Address(home, "c", 1), b"the end")
    assert link.perform(Commit(worker, "x", 1, (outcome,))) == [["fenced"]]
    (claimed,) = link.perform(Claim(worker, "a", ("http.request",), 1))
    assert (claimed.deliveries[0].attempt, claimed.deliveries[0].done) == (2, 999)


# ---------------------------------------------------------- delay and reorder


def test_delayed_messages_are_overtaken_and_all_run(noting):
    layer = ChaosLayer(seed=2, delay=0.3, max_delay=0.05)
    send(layer, *range(40))
    work_off(wrapper(layer, noting))

    assert sorted(noting.numbers) == list(range(40)) != noting.numbers
    assert layer.counts["delay"] == sum(fault.kind == "delay" for fault in layer.faults) > 3


def test_reordered_messages_go_behind_the_next(noting):
    layer = ChaosLayer(seed=2, reorder=0.3, max_delay=0.05)
    send(layer, *range(40))
    work_off(wrapper(layer, noting))

    assert sorted(noting.numbers) == list(range(40)) != noting.numbers


def test_with_nothing_to_overtake_it_a_message_comes_all_the_same(noting):
    layer = ChaosLayer(reorder=1.0, max_delay=0.05)
    send(layer, 1)
    work_off(wrapper(layer, noting))
    assert noting.numbers == [1]


def test_a_pattern_names_what_is_hit(noting):
    layer = ChaosLayer(delay={"slow.*": 1.0}, max_delay=0.05)
    send(layer, 1, channel="slow.one")
    send(layer, 2)
    work_off(wrapper(layer, noting, route("slow.one", noting)))
    assert noting.numbers == [2, 1]
    assert {fault.on for fault in layer.faults} == {"slow.one"}


def test_what_is_withheld_goes_back_when_its_worker_ends():
    layer = ChaosLayer(delay=1.0, max_delay=60)
    link = layer.engine.link("test")
    worker = "A" * 22
    send(layer, 0, 1)
    link.perform(Register(worker, "worker", b"", (MINE,)))
    (claimed,) = link.perform(Claim(worker, "a", (MINE,), 2))
    assert claimed.deliveries == () and claimed.next_due > claimed.now
    assert link.perform(Held(worker, (), ())) == [0]
    link.perform(Reap(worker, None))
    assert link.perform(Length(MINE)) == [2]


# -------------------------------------------------------- full and unanswered


def test_full_refuses_what_is_sent_directly_only(noting):
    layer = ChaosLayer(full=1.0)
    with pytest.raises(ChannelFull):
        layer.send(MINE, {"n": 1})
    with pytest.raises(ChannelFull):
        Channel(MINE, channel_layer=layer).send({"n": 1})

    def consumer(message: Any) -> None:
        Channel("after", channel_layer=layer).send({"n": 2})

    exempt = layer.word(MINE, {"n": 1}, admission=False)
    assert layer.apply([exempt]) == ("ok",)
    work_off(wrapper(layer, consumer, route("after", noting)))
    assert noting.numbers == [2]


def test_an_unanswered_send_was_applied_or_not(noting):
    layer = ChaosLayer(seed=9, unanswered=1.0)
    for n in range(20):
        with pytest.raises(OutcomeUnknown, match="seed 9"):
            layer.send(MINE, {"n": n})
    work_off(wrapper(layer, noting))

    told = [fault.detail for fault in layer.faults]
    assert noting.numbers == [n for n in range(20) if told[n] == "applied"]
    assert 0 < len(noting.numbers) < 20


def test_a_send_from_inside_a_consumer_can_be_unanswered():
    layer = ChaosLayer(unanswered={"group:*": 1.0})
    raised = []

    def consumer(message: Any) -> None:
        try:
            Group("room", channel_layer=layer).send({"text": "hi"}, immediately=True)
        except OutcomeUnknown as error:
            raised.append(error)

    send(layer, 1)
    work_off(wrapper(layer, consumer))
    assert len(raised) == 1


# ---------------------------------------------------------------------- drop


def test_what_is_promised_is_not_dropped(noting):
    layer = ChaosLayer(drop=1.0)
    send(layer, *range(10))
    work_off(wrapper(layer, noting))
    assert noting.numbers == list(range(10))


def test_what_may_be_lost_is_dropped(noting):
    layer = ChaosLayer(options={"delivery": {MINE: "at-most-once"}}, seed=3, drop=0.5)
    send(layer, *range(20))

    def consumer(message: Any) -> None:
        Channel(MINE, channel_layer=layer).send({"n": 20 + message["n"]})

    send(layer, *range(20), channel="start")
    work_off(wrapper(layer, noting, route("start", consumer)))
    assert len(noting.numbers) == 40 - layer.counts["drop"] < 35
    assert {n // 20 for n in noting.numbers} == {0, 1}


def test_lossy_drops_what_is_promised(noting):
    layer = ChaosLayer(drop=1.0, lossy=True)
    send(layer, *range(10))
    assert work_off(wrapper(layer, noting)) == {}
    assert layer.counts == {"drop": 10}


def inbox(layer: Any, process: str, words: Any) -> list[Any]:
    link = layer.engine.link("test")
    link.perform(Register(process, "interface", b""))
    words()

    async def read() -> list[Any]:
        entries = await layer.engine.inbox(process).read("0-0", trim=False)
        return [codec.decode(entry) for _, entry in entries]

    return asyncio.run(read())


def test_sockets_that_miss_a_group_message_are_told():
    layer = ChaosLayer(drop=1.0)
    process = "P" * 22

    def words() -> None:
        layer.group_add("room", f"websocket.send.{process}!c")
        layer.group_add("room", "plain")
        layer.send_group("room", {"text": "hi"})

    kinds = [entry[0] for entry in inbox(layer, process, words)]
    assert kinds == [codec.ADD, codec.GAP]
    assert layer.receive(["plain"]) == ("plain", {"text": "hi"})


@pytest.mark.parametrize(("lossy", "kinds"), [(False, [codec.REPLY]), (True, [])])
def test_replies_are_dropped_with_lossy_only(lossy, kinds):
    layer = ChaosLayer(drop=1.0, lossy=lossy)
    process = "P" * 22

    def words() -> None:
        layer.send(f"websocket.send.{process}!c", {"text": "hi"})
        layer.wrapped.engine.link("x").perform(
            Send("", 0, (Tell(process, codec.encode_entry(codec.ADD, "end", "c")),))
        )

    assert [entry[0] for entry in inbox(layer, process, words)] == [*kinds, codec.ADD]


def test_a_delivery_of_an_interface_is_never_dropped():
    layer = ChaosLayer(drop=1.0, full=1.0, unanswered=1.0, lossy=True)
    link = layer.engine.link("test")
    process = "P" * 22
    link.perform(Register(process, "interface", b""))
    effects = (Push(MINE, b"a delivery", 10), Push(MINE, b"another", 10))
    (sent,) = link.perform(Send(process, 1, effects, link="out"))
    assert sent.results == ("ok", "ok")
    assert link.perform(Length(MINE)) == [2]


# ------------------------------------------------------------- a real worker


@pytest.fixture(params=["memory", "redis"])
def backend(request: pytest.FixtureRequest) -> Iterator[tuple[str, dict[str, Any]]]:
    if request.param == "memory":
        yield "djchan.layers.inmemory.InMemoryChannelLayer", {}
        return
    server: Server = request.getfixturevalue("redis_server")
    server.start()
    options = {"hosts": [server.url], "prefix": "chaos"}
    yield "djchan.layers.redis.RedisChannelLayer", options
    layer = RedisChannelLayer(**options)
    layer.flush()
    layer.close()


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.timeout(60)
def test_a_worker_lives_with_all_of_it(backend, is_async):
    path, options = backend
    layer = ChaosLayer(
        path,
        {**options, "capacity": 1000},
        seed=11,
        repeat={MINE: 0.3},
        delay=0.1,
        reorder=0.2,
        max_delay=0.2,
    )
    ran: list[int] = []
    after: list[int] = []

    def consumer(message: Any) -> None:
        ran.append(message["n"])
        Channel("after", channel_layer=layer).send({"n": message["n"]})

    async def aconsumer(message: Any) -> None:
        consumer(message)

    def note(message: Any) -> None:
        after.append(message["n"])

    worker = Worker(
        wrapper(layer, aconsumer if is_async else consumer, route("after", note)),
        signal_handlers=False,
        threads=2,
    )
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    try:
        send(layer, *range(100))
        wait_for(lambda: len(after) >= 100, timeout=30, what="all of it arrived")
    finally:
        worker.stop()
        thread.join(10)
    assert not thread.is_alive()
    assert sorted(after) == list(range(100))
    assert len(ran) == 100 + layer.counts["repeat"] > 110
    (counters,) = layer.wrapped.engine.link("test").perform(Counters())
    assert not counters.get("reaped")
    layer.close()
