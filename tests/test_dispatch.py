import asyncio
import contextlib
import logging
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import SynchronousOnlyOperation

from djchan import Channel, Group, include, route
from djchan.asgi import ChannelLayerWrapper
from djchan.dispatch import Found, Run, adispatch, arun, dispatch, is_async
from djchan.exceptions import (
    BrokerRefused,
    BrokerUnavailable,
    BrokerUnsupported,
    ChannelSocketException,
    ConsumeLater,
    DenyConnection,
    OutcomeUnknown,
    SessionUnavailable,
    WebsocketCloseException,
)
from djchan.generic.websockets import JsonWebsocketConsumer
from djchan.layers import codec
from djchan.layers.effects import Reply
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.message import Message
from djchan.outbox import current
from djchan.outcomes import CONNECT, Outcome
from djchan.security.websockets import any_origin
from djchan.signals import consumer_finished, consumer_started

REPLY = "websocket.send.PROCESS!1-abc"


class RaisingConnect(JsonWebsocketConsumer):
    def connect(self, message: Message) -> None:
        self.send({"user": Message})


class Sender:
    """The sender of the signals."""


class Bench:
    """Dispatches messages to one consumer, synchronously or on a loop."""

    def __init__(self, on_loop: bool) -> None:
        self.on_loop = on_loop
        self.wrapper = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])

    def __call__(
        self,
        consumer: Any,
        content: dict[str, Any] | None = None,
        *,
        channel: str = "websocket.receive",
        routes: Any = None,
        **options: Any,
    ) -> Run:
        self.wrapper.__dict__.pop("router", None)
        self.wrapper.routing = [route(channel, consumer)] if routes is None else routes
        self.message = Message({"reply_channel": REPLY, **(content or {})}, channel, self.wrapper)
        options = {"router": self.wrapper.router, "sender": Sender, **options}
        if self.on_loop:
            return asyncio.run(adispatch(self.message, **options))
        return dispatch(self.message, **options)


@pytest.fixture(params=[False, True], ids=["thread", "loop"])
def bench(request):
    return Bench(request.param)


def replies(run: Run) -> list[Any]:
    return [codec.decode(word.message) for word in run.words if isinstance(word, Reply)]


def say(message):
    message.reply_channel.send({"text": "said"})


async def asay(message):
    await message.reply_channel.asend({"text": "said"})


@pytest.mark.parametrize("consumer", [say, asay])
def test_what_a_consumer_sends_waits_for_the_commit(bench, consumer):
    run = bench(consumer)
    assert run.outcome is Outcome.DONE
    assert replies(run) == [{"text": "said"}]


def test_the_arguments_of_the_route_and_the_value_come_through(bench):
    routes = [route("websocket.receive", lambda message, room: room, path=r"^/(?P<room>\w+)/")]
    run = bench(None, {"path": "/kitchen/"}, routes=routes)
    assert run.value == "kitchen"


def test_an_unrouted_message_is_logged_and_gives_no_signals(bench, caplog):
    with listening() as heard:
        run = bench(None, {"path": "/nowhere/"}, routes=[])
    assert run == (Outcome.UNROUTED, [], None, None)
    assert "/nowhere/" in caplog.text
    assert heard == []


def test_an_unrouted_message_is_logged_with_what_its_routes_looked_at(bench, caplog):
    routes = [
        route("commands", say, command="^send$"),
        include([route("commands", say, room="^hall$")], path="^/chat"),
        route("others", say, color="^red$"),
    ]
    content = {"path": "/chat", "command": 5, "room": b"\xff", "color": "red", "token": "secret"}
    assert bench(None, content, channel="commands", routes=routes).outcome is Outcome.UNROUTED
    assert r"on commands>: no route matches (path='/chat', command=5, room=b'\xff')." in caplog.text


def test_a_long_value_that_no_route_matches_costs_no_time(bench, caplog):
    # Of seconds for each 100 kB, in the worker's thread, a client could stop all workers.
    routes = [route("commands", say, text="^go")]
    content = {"path": "/?token=s3cret&" + "a" * 16_000, "text": "a" * 1_000_000}
    assert bench(None, content, channel="commands", routes=routes).outcome is Outcome.UNROUTED
    assert "token=(not shown)" in caplog.text and "s3cret" not in caplog.text


def test_a_long_value_is_not_logged_whole(bench, caplog):
    bench(None, {"path": "x" * 1000}, routes=[])
    assert "x" * 70 in caplog.text and "x" * 100 not in caplog.text


@pytest.mark.parametrize("answer", [5, (say,), ("no consumer", {})])
def test_a_route_that_answers_nonsense_is_logged(bench, caplog, answer):
    class Odd:
        def match(self, message):
            return answer

        def channel_names(self):
            return {"websocket.receive"}

    assert bench(None, routes=[Odd()]).outcome is Outcome.FAILED
    assert "on websocket.receive>" in caplog.text


def test_a_routing_that_exits_is_logged(bench, caplog):
    class Exiting:
        def match(self, message):
            raise SystemExit("out of here")

        def channel_names(self):
            return {"websocket.receive"}

    assert bench(None, routes=[Exiting()]).outcome is Outcome.FAILED
    assert "out of here" in caplog.text


def test_a_routing_that_raises_is_logged(bench, caplog):
    class Broken:
        def match(self, message):
            raise TypeError("what is this")

        def channel_names(self):
            return {"websocket.receive"}

    assert bench(None, routes=[Broken()]).outcome is Outcome.FAILED
    assert "what is this" in caplog.text


@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit(3)])
def test_a_consumer_that_raises_keeps_what_it_had_sent(bench, caplog, error):
    def consumer(message):
        say(message)
        raise error

    run = bench(consumer)
    assert run.outcome is Outcome.FAILED
    assert replies(run) == [{"text": "said"}]
    assert "test_a_consumer_that_raises" in caplog.text
    assert "for <Message - on websocket.receive>" in caplog.text


def test_an_async_consumer_that_exits_is_logged(bench, caplog):
    async def consumer(message):
        raise SystemExit

    assert bench(consumer).outcome is Outcome.FAILED


# Mistakes that a consumer of websocket.connect makes before it has accepted.
MISTAKES = {
    "no decorator for the user": lambda message: message.user.pk,
    "no decorator for the session": lambda message: message.channel_session["room"],
    "a dict as text": lambda message: message.reply_channel.send({"text": {"a": 1}}),
    "a dict as text to a group": lambda message: Group("g").send({"text": {"a": 1}}),
    "a user in a message": lambda message: Channel("a").send({"user": Message}),
    "a delay that is none": lambda message: Channel("a").send({}, delay="soon"),
    "a class-based consumer": RaisingConnect,
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_connect_whose_consumer_raised_is_a_failure_that_sends_nothing(bench, caplog, mistake):
    # Which the interface refuses at once: see tests/interface/test_websocket.py.
    run = bench(any_origin(MISTAKES[mistake]), {"path": "/", "order": 0}, channel=CONNECT)

    assert run.outcome is Outcome.FAILED
    assert run.words == []
    assert "Error in consumer" in caplog.text


def test_denying_a_connect_closes_it(bench):
    def consumer(message):
        raise DenyConnection

    run = bench(consumer, channel="websocket.connect")
    assert run.outcome is Outcome.DENIED
    assert replies(run) == [{"close": True}]


def test_denying_anything_else_is_logged_with_the_remedy(bench, caplog):
    def consumer(message):
        raise DenyConnection

    run = bench(consumer)
    assert run.outcome is Outcome.FAILED
    assert replies(run) == []
    assert "WebsocketCloseException" in caplog.text


def test_a_socket_exception_acts_on_the_socket(bench):
    def consumer(message):
        raise WebsocketCloseException(4001)

    run = bench(consumer)
    assert run.outcome is Outcome.INTERRUPTED
    assert replies(run) == [{"close": 4001}]


def test_a_socket_exception_that_fails_is_logged(bench, caplog):
    class Broken(ChannelSocketException):
        def run(self, message):
            raise KeyError("socket")

    def consumer(message):
        raise Broken

    assert bench(consumer).outcome is Outcome.FAILED
    assert "KeyError" in caplog.text


def later(message):
    say(message)
    raise ConsumeLater


@pytest.mark.parametrize("retries_so_far", [None, 1, 9, "no number"])
def test_consume_later_drops_what_was_sent(bench, retries_so_far):
    content = {} if retries_so_far is None else {"__retries__": retries_so_far}
    run = bench(later, content)
    assert (run.outcome, run.words) == (Outcome.LATER, [])


def test_the_last_run_of_consume_later_is_logged_and_kept(bench, caplog):
    run = bench(later, {"__retries__": 10})
    assert run.outcome is Outcome.EXHAUSTED
    assert replies(run) == [{"text": "said"}]
    assert "message_retries" in caplog.text


@pytest.mark.parametrize("error", [BrokerUnavailable, BrokerRefused, OutcomeUnknown])
@pytest.mark.parametrize(
    ("channel", "content"),
    [("websocket.receive", {}), ("jobs", {}), ("http.request", {"method": "GET"})],
)
def test_a_consumer_that_the_layer_has_ended_runs_again_and_sends_nothing_now(
    bench, caplog, error, channel, content
):
    def consumer(message):
        say(message)
        raise error

    ran = bench(consumer, {**content, "__retries__": 100}, channel=channel)
    assert (ran.outcome, ran.words) == (Outcome.WAITING, [])
    assert "has to wait for the channel layer" in caplog.text


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (BrokerUnavailable("away"), Outcome.FAILED),
        (BrokerRefused("OOM"), Outcome.FAILED),
        (SessionUnavailable("away"), Outcome.WAITING),  # It had not begun.
    ],
)
@pytest.mark.parametrize(
    ("channel", "content"), [("once", {}), ("http.request", {"method": "POST"})]
)
def test_what_may_not_run_twice_runs_again_only_if_it_had_not_begun(
    bench, error, outcome, channel, content
):
    bench.wrapper = ChannelLayerWrapper(
        InMemoryChannelLayer(delivery={"once": "at-most-once"}), "default", []
    )

    def consumer(message):
        raise error

    assert bench(consumer, content, channel=channel).outcome is outcome


def test_a_redis_that_cannot_be_used_is_a_failure(bench):
    def consumer(message):
        raise BrokerUnsupported

    assert bench(consumer).outcome is Outcome.FAILED


def test_signals_frame_the_consumer_whatever_it_does(bench):
    def consumer(message):
        raise ValueError

    with listening() as heard:
        bench(consumer)
    assert heard == [("started", Sender, {}), ("finished", Sender, None)]


def test_a_receiver_that_fails_does_not_stop_the_consumer_s_words(bench, caplog):
    def broken(**kwargs):
        raise RuntimeError("receiver")

    consumer_finished.connect(broken)
    try:
        assert replies(bench(say)) == [{"text": "said"}]
    finally:
        consumer_finished.disconnect(broken)
    assert "receiver" in caplog.text


def test_no_outbox_is_open_afterwards(bench):
    bench(later)
    assert current() is None


def test_words_to_another_layer_go_out_before_the_commit(bench):
    other = InMemoryChannelLayer()

    def consumer(message):
        Channel("elsewhere", channel_layer=other).send({"n": 1})

    run = bench(consumer)
    assert run.words == []
    assert other.receive(["elsewhere"]) == ("elsewhere", {"n": 1})


def test_words_to_another_layer_are_not_sent_for_later(bench):
    other = InMemoryChannelLayer()

    def consumer(message):
        Channel("elsewhere", channel_layer=other).send({"n": 1})
        raise ConsumeLater

    bench(consumer)
    assert other.receive(["elsewhere"]) == (None, None)


def test_groups_wait_too(bench):
    def consumer(message):
        Group("g", channel_layer=bench.wrapper).add(message.reply_channel)
        Group("g", channel_layer=bench.wrapper).send({"text": "hello"})

    assert len(bench(consumer).words) == 2


FOREIGN = {"path": "/chat/", "headers": [[b"origin", b"https://evil.example"]]}
OWN = {"path": "/chat/", "headers": [[b"origin", b"https://testserver:8000"]]}


def test_a_foreign_origin_is_refused_before_the_consumer(bench, caplog):
    def consumer(message):
        raise AssertionError("it ran")

    run = bench(consumer, FOREIGN, channel="websocket.connect")
    assert run.outcome is Outcome.DENIED
    assert replies(run) == [{"close": True}]
    assert "evil.example" in caplog.text
    assert "ALLOWED_HOSTS" in caplog.text


@pytest.mark.parametrize("content", [OWN, {"path": "/chat/"}])
def test_our_own_origin_and_none_pass(bench, content):
    assert bench(say, content, channel="websocket.connect").outcome is Outcome.DONE


def test_a_consumer_can_take_every_origin(bench):
    def consumer(message):
        say(message)

    run = bench(any_origin(consumer), FOREIGN, channel="websocket.connect")
    assert run.outcome is Outcome.DONE


@pytest.mark.parametrize("headers", [5, [5], {5: "x"}])
def test_headers_that_are_none_are_refused_and_logged(bench, caplog, headers):
    run = bench(say, {"headers": headers}, channel="websocket.connect")
    assert (run.outcome, replies(run)) == (Outcome.DENIED, [{"close": True}])
    assert "The Origin of <Message" in caplog.text


def test_who_cannot_be_told_of_a_refusal_is_logged(bench, caplog):
    def consumer(message):
        raise DenyConnection

    run = bench(consumer, {"reply_channel": "a b"}, channel="websocket.connect")
    assert (run.outcome, run.words) == (Outcome.FAILED, [])
    assert "'a b' is not a valid channel name" in caplog.text


def test_only_connect_is_checked(bench):
    assert bench(say, FOREIGN).outcome is Outcome.DONE


def test_an_async_consumer_behind_a_plain_decorator_is_awaited(bench):
    def decorated(message):
        return asay(message)

    assert not is_async(decorated)
    assert replies(bench(decorated)) == [{"text": "said"}]


def test_a_synchronous_consumer_of_an_async_one_shares_its_outbox(bench):
    async def consumer(message):
        await sync_to_async(say)(message)

    assert replies(bench(consumer)) == [{"text": "said"}]


def test_what_is_async():
    class Instance:
        async def __call__(self, message):
            pass

    class Consumer:
        def __init__(self, message):
            pass

    assert is_async(asay)
    assert is_async(Instance())
    assert not is_async(say)
    assert not is_async(Consumer)


@pytest.mark.asyncio
async def test_cancellation_is_not_the_consumer_s_failure():
    bench = Bench(on_loop=True)
    started = asyncio.Event()

    async def consumer(message):
        await asay(message)
        started.set()
        await asyncio.Event().wait()

    bench.wrapper.routing = [route("x", consumer)]
    message = Message({"reply_channel": REPLY}, "x", bench.wrapper)
    task = asyncio.create_task(adispatch(message, router=bench.wrapper.router, sender=Sender))
    await started.wait()
    task.cancel()
    with listening() as heard, pytest.raises(asyncio.CancelledError):
        await task
    assert [name for name, *_ in heard] == ["finished"], "its connections are looked after"


async def raise_cancelled():
    raise asyncio.CancelledError


async def cancel_itself():
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


@pytest.mark.asyncio
@pytest.mark.parametrize("end", [raise_cancelled, cancel_itself])
async def test_a_cancellation_that_is_not_the_worker_s_is_a_failure_like_any_other(end):
    async def consumer(message):
        await asay(message)
        await end()

    message = Message({"reply_channel": REPLY}, "x", Bench(on_loop=True).wrapper)
    found = Found(consumer, {}, is_async=True)
    ran = await arun(message, found, sender=Sender, ends=lambda: False)
    assert (ran.outcome, len(ran.words)) == (Outcome.FAILED, 1)
    await asyncio.sleep(0)  # The task goes on.


def test_nothing_is_logged_for_a_consumer_that_returns(bench, caplog):
    with caplog.at_level(logging.INFO, logger="djchan"):
        bench(say)
    assert caplog.records == []


@contextlib.contextmanager
def listening():
    heard: list[Any] = []

    def started(sender, environ, **kwargs):
        heard.append(("started", sender, environ))

    def finished(sender, **kwargs):
        heard.append(("finished", sender, kwargs.get("environ")))

    consumer_started.connect(started)
    consumer_finished.connect(finished)
    try:
        yield heard
    finally:
        consumer_started.disconnect(started)
        consumer_finished.disconnect(finished)


class TestOrmInAsyncCode:
    """Django refuses it in a loop; the line says what to do instead."""

    def test_the_line_has_the_remedy(self, bench, caplog):
        async def consumer(message):
            list(ContentType.objects.all())

        assert bench(consumer).outcome is Outcome.FAILED
        (record,) = caplog.records
        text = record.getMessage()
        assert "it is async, and has called what is synchronous, such as the ORM" in text
        for remedy in ("plain `def`", "--threads", "aget", "sync_to_async"):
            assert remedy in text
        assert isinstance(record.exc_info[1], SynchronousOnlyOperation)

    def test_other_errors_have_none(self, bench, caplog):
        async def consumer(message):
            raise ValueError("of its own")

        bench(consumer)
        assert "sync_to_async" not in caplog.records[0].getMessage()
