"""djchan.layer_sessions: channel sessions without a database (of which no test here has one)."""

import asyncio
import secrets
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.serializers import JSONSerializer

from djchan import route
from djchan.asgi import ChannelLayerWrapper, channel_layers
from djchan.dispatch import dispatch
from djchan.exceptions import (
    BrokerUnavailable,
    ConsumeLater,
    InvalidChannelLayer,
    MessageTooLarge,
    SessionUnavailable,
)
from djchan.layer_sessions import AFTERLIFE, SessionChanged, SessionStore
from djchan.layers.base import BaseChannelLayer
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.memory.links import MemoryEngine, MemoryLink
from djchan.layers.operations import Drop, Keep, Operation, Recall
from djchan.layers.redis.layer import RedisChannelLayer
from djchan.message import Message
from djchan.outbox import Uncommitted
from djchan.outcomes import Outcome
from djchan.sessions import channel_session, enforce_ordering, session_for_reply_channel
from tests.support.servers import Server

DAY = 86_400


class RecordingEngine(MemoryEngine):
    """Notes what is said in each round trip, and loses the answers to what ``lost`` names."""

    def __init__(self) -> None:
        super().__init__()
        self.trips: list[list[Operation]] = []
        self.lost: dict[type, int] = {}

    def link(self, name: str) -> "RecordingLink":
        return RecordingLink(self)

    def said(self) -> list[Operation]:
        """All since the last look."""
        said = [operation for trip in self.trips for operation in trip]
        self.trips.clear()
        return said


class RecordingLink(MemoryLink):
    def perform(self, *operations: Operation) -> list[Any]:
        engine = self._engine
        assert isinstance(engine, RecordingEngine)
        engine.trips.append(list(operations))
        answers = super().perform(*operations)
        if engine.lost.get(type(operations[0]), 0):
            engine.lost[type(operations[0])] -= 1
            raise BrokerUnavailable("lost")
        return answers


@pytest.fixture
def engine() -> RecordingEngine:
    return RecordingEngine()


@pytest.fixture
def layer(engine: RecordingEngine) -> BaseChannelLayer:
    return BaseChannelLayer(engine=engine)


@pytest.fixture
def name() -> str:
    return f"websocket.send.PROCESS!{secrets.token_hex(8)}"


@pytest.fixture
def default() -> Iterator[BaseChannelLayer]:
    """The default layer, for the time of a test."""
    wrapper = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])
    before = channel_layers.set("default", wrapper)
    yield wrapper.channel_layer
    channel_layers.set("default", before)


def say(name: str, layer: Any, channel: str = "websocket.receive", **more: Any) -> Message:
    return Message({"reply_channel": name, "order": 1}, channel, layer, **more)


def session(name: str, layer: Any) -> Any:
    return session_for_reply_channel(name, channel_layer=layer)


def nothing(message: Message) -> None:
    pass


def count(message: Message) -> None:
    message.channel_session["n"] = message.channel_session.get("n", 0) + 1


class TestWhere:
    def test_in_the_layer_of_the_message(self, name, layer, default):
        channel_session(count)(say(name, layer))

        assert session(name, layer)["n"] == 1
        assert "n" not in session(name, default)

    def test_the_wrapper_of_a_layer_is_that_layer(self, name, layer):
        channel_session(count)(say(name, ChannelLayerWrapper(layer, "other", [])))

        assert session(name, layer)["n"] == 1

    @pytest.mark.parametrize("placeholder", [None, "a layer", object()])
    def test_in_the_default_one_for_a_message_without(self, name, default, placeholder):
        channel_session(count)(say(name, placeholder))
        enforce_ordering(count)(say(name, placeholder))

        assert session(name, default)["n"] == 2
        assert session_for_reply_channel(name)["n"] == 2

    def test_without_any_layer_the_error_says_what_to_do(self, settings, name):
        settings.CHANNEL_LAYERS = {}
        with pytest.raises(InvalidChannelLayer, match="CHANNEL_LAYERS has no entry 'default'"):
            channel_session(nothing)(say(name, None))

    def test_layers_of_other_prefixes_share_none(self, name, broker: Server):
        layers = [RedisChannelLayer([broker.url], prefix=f"sessions-{n}") for n in "ab"]
        for _ in range(2):
            channel_session(count)(say(name, layers[0]))

        assert [session(name, each).get("n") for each in layers] == [2, None]
        layers[0].flush()
        assert session(name, layers[0]).get("n") is None
        for each in layers:
            each.close()

    def test_what_is_kept_is_text_that_django_signed(self, name, layer, engine):
        channel_session(count)(say(name, layer))

        *_, last = engine.said()
        assert isinstance(last, Keep)
        expires, _, data = last.value.decode("ascii").partition(" ")
        assert expires == "0"
        assert SessionStore().decode(data) == {"n": 1}


class TestDeathOfAWorker:
    def run(self, name: str, engine: MemoryEngine, consumer: Any, **more: Any) -> Any:
        """One message, by a worker process of its own that is not heard of again."""
        wrapper = ChannelLayerWrapper(
            BaseChannelLayer(engine=engine), "default", [route("websocket.receive", consumer)]
        )
        message = say(name, wrapper, **more)
        ran = dispatch(message, router=wrapper.router, sender=object)
        wrapper.channel_layer.apply(ran.words)  # As its commit does.
        return ran

    def test_the_next_worker_finds_what_it_had_saved(self, name, engine):
        for attempt in (1, 2, 3):
            ran = self.run(name, engine, channel_session(count), attempt=attempt)
            assert ran.outcome is Outcome.DONE

        assert session(name, BaseChannelLayer(engine=engine))["n"] == 3

    def test_what_it_had_not_saved_is_not_there(self, name, engine):
        class Dies(BaseException):
            pass

        def die(message):
            # Of what a dying process had in its memory nothing is left.
            type(message.channel_session)(message.channel_session.session_key)
            message.channel_session["n"] = 7
            message.channel_session.save = lambda: None
            raise Dies

        self.run(name, engine, channel_session(count))
        with pytest.raises(Dies):
            self.run(name, engine, channel_session(die))
        self.run(name, engine, channel_session(count), attempt=2)

        assert session(name, BaseChannelLayer(engine=engine))["n"] == 2

    def test_also_over_redis(self, name, broker: Server):
        for _ in range(3):
            layer = RedisChannelLayer([broker.url], prefix="worker-sessions")
            channel_session(count)(say(name, layer))
            layer.close()

        assert session(name, layer)["n"] == 3
        layer.flush()
        layer.close()


class TestRoundTrips:
    """What a message costs, after the first of its connection, which makes the session."""

    @pytest.fixture(autouse=True)
    def begun(self, name, layer, engine):
        channel_session(nothing)(say(name, layer))
        assert [type(each) for each in engine.said()] == [Recall, Keep]

    def test_one_when_nothing_changes(self, name, layer, engine):
        channel_session(lambda message: message.channel_session.get("n"))(say(name, layer))
        assert [type(each) for (each,) in engine.trips] == [Recall]

    def test_one_more_when_something_does(self, name, layer, engine):
        channel_session(count)(say(name, layer))
        assert [type(each) for (each,) in engine.trips] == [Recall, Keep]

    def test_the_same_for_nested_and_async_ones(self, name, layer, engine):
        @channel_session
        @enforce_ordering
        async def consumer(message):
            count(message)

        async_to_sync(consumer)(say(name, layer))
        assert [type(each) for (each,) in engine.trips] == [Recall, Keep]

    def test_none_under_enforce_ordering_that_does_not_ask(self, name, layer, engine):
        enforce_ordering(nothing)(say(name, layer))
        assert engine.trips == []

    def test_under_enforce_ordering_when_it_is_asked_for(self, name, layer, engine):
        enforce_ordering(count)(say(name, layer))
        assert [type(each) for (each,) in engine.trips] == [Recall, Keep]

    def test_an_async_consumer_asks_without_blocking_its_loop(self, name, layer, engine):
        @enforce_ordering
        async def consumer(message):
            await message.channel_session.aset("n", await message.channel_session.aget("n", 0) + 1)
            await asyncio.sleep(0)

        for _ in range(2):
            async_to_sync(consumer)(say(name, layer))
        assert session(name, layer)["n"] == 2


class TestTime:
    def times(self, engine: RecordingEngine) -> set[float]:
        return {each.ttl / 1000 for each in engine.said() if isinstance(each, Recall | Keep)}

    @pytest.mark.parametrize("channel", ["websocket.connect", "websocket.receive", "thumbnails"])
    def test_while_the_connection_may_live_and_longer(self, name, layer, engine, channel):
        channel_session(count)(say(name, layer, channel))
        assert self.times(engine) == {DAY + AFTERLIFE}

    def test_as_long_as_the_layer_lets_it_live(self, name, engine):
        layer = BaseChannelLayer(engine=engine, group_expiry=60)
        channel_session(count)(say(name, layer))
        session(name, layer)
        assert self.times(engine) == {60 + AFTERLIFE}

    def test_with_connections_of_any_age_as_long_as_the_browser_s(self, settings, name, engine):
        settings.SESSION_COOKIE_AGE = 7 * DAY
        channel_session(count)(say(name, BaseChannelLayer(engine=engine, group_expiry=0)))
        assert self.times(engine) == {7 * DAY + AFTERLIFE}

    @pytest.mark.parametrize("channel", ["websocket.disconnect", "http.request", "http.disconnect"])
    def test_when_the_connection_ends_not_much_longer(self, name, layer, engine, channel):
        for decorator in (channel_session, enforce_ordering):
            decorator(count)(say(name, layer, channel))
            assert self.times(engine) == {AFTERLIFE}

    @pytest.mark.parametrize("expiry", [-1, timedelta(seconds=-1)])
    def test_set_expiry_ends_it_earlier(self, name, layer, expiry):
        @channel_session
        def write(message):
            message.channel_session["n"] = 1
            message.channel_session.set_expiry(expiry)

        write(say(name, layer))
        assert dict(session(name, layer).items()) == {}
        channel_session(count)(say(name, layer))
        assert dict(session(name, layer).items()) == {"n": 1}

    @pytest.mark.parametrize("expiry", [60, timedelta(seconds=60), 0])
    def test_set_expiry_to_a_time_that_has_not_come(self, name, layer, expiry):
        known = session(name, layer)
        known["n"] = 1
        known.set_expiry(expiry)
        known.save()
        assert session(name, layer)["n"] == 1
        layer.set_clock(layer.now() + 61_000)
        assert session(name, layer).get("n") == (None if expiry else 1)


class TestSize:
    def test_one_that_is_too_large_is_not_saved_and_the_error_says_what_to_do(self, name, engine):
        layer = BaseChannelLayer(engine=engine, max_message_size=1000)
        channel_session(count)(say(name, layer))

        @channel_session
        def write(message):
            message.channel_session["large"] = secrets.token_hex(1000)

        with pytest.raises(MessageTooLarge) as raised:
            write(say(name, layer))
        for words in ("limit is 1000", "max_message_size", "CHANNEL_SESSION_ENGINE"):
            assert words in str(raised.value)
        assert dict(session(name, layer).items()) == {"n": 1}


class Upper(JSONSerializer):
    def dumps(self, obj: Any) -> bytes:
        return super().dumps(obj).upper()


class TestSerializer:
    def test_it_is_session_serializer(self, settings, name, layer):
        settings.SESSION_SERIALIZER = f"{__name__}.Upper"
        channel_session(count)(say(name, layer))
        assert dict(session(name, layer).items()) == {"N": 1}

    def test_what_it_cannot_take_is_an_error(self, name, layer):
        def write(message):
            message.channel_session["o"] = object()

        with pytest.raises(TypeError, match="JSON"):
            channel_session(write)(say(name, layer))

    @pytest.mark.parametrize("value", [b"", b"garbage", b"0 garbage", b"\xff\0", b"x 1", b"0"])
    def test_what_cannot_be_read_is_an_empty_session(self, name, layer, value):
        key = session(name, layer).session_key
        layer.keep(key, value, ttl=60)
        for number in (1, 2):
            channel_session(count)(say(name, layer))
            assert dict(session(name, layer).items()) == {"n": number}

    def test_with_another_secret_key_too(self, settings, name, layer):
        channel_session(count)(say(name, layer))
        settings.SECRET_KEY = "another"
        channel_session(count)(say(name, layer))
        assert session(name, layer)["n"] == 1

    @pytest.mark.parametrize("before", [None, ["gone"]])
    def test_what_no_key_of_the_layer_opens_is_begun_anew(self, name, engine, before):
        old = BaseChannelLayer(engine=engine, symmetric_encryption_keys=before)
        new = BaseChannelLayer(engine=engine, symmetric_encryption_keys=["new"])
        channel_session(count)(say(name, old))
        for number in (1, 2):
            channel_session(count)(say(name, new))
            assert session(name, new)["n"] == number


NEVER_ANSWERED = 1_000_000  # Answers that are lost: more than anybody asks for.


class TestOthers:
    def test_a_lost_race_is_consume_later(self, name, layer, engine, monkeypatch):
        key = session(name, layer).session_key
        recall, recalled = type(layer).recall_version, []

        def late(self, *args, **kwargs):
            value = recall(self, *args, **kwargs)
            if not recalled:
                recalled.append(key)
                layer.keep(key, b"somebody else's", ttl=60)
            return value

        monkeypatch.setattr(type(layer), "recall_version", late)
        ran: list[Message] = []
        with pytest.raises(ConsumeLater):
            channel_session(ran.append)(say(name, layer))
        channel_session(ran.append)(say(name, layer))
        assert len(ran) == 1

    def test_a_deleted_one_is_not_brought_back(self, name, layer, caplog):
        @channel_session
        def consumer(message):
            session(name, layer).delete()
            count(message)

        consumer(say(name, layer))
        assert session(name, layer).get("n") is None
        assert "deleted while a consumer ran" in caplog.text
        assert layer.recall(session(name, layer).session_key) is None

    @pytest.mark.parametrize("lost", [Recall, Keep])
    def test_one_lost_answer_is_nobody_s_business(self, name, layer, engine, lost):
        channel_session(nothing)(say(name, layer))
        engine.lost = {lost: 1}
        channel_session(count)(say(name, layer))
        assert engine.lost == {lost: 0}
        assert session(name, layer)["n"] == 1

    def test_without_an_answer_its_message_waits_and_no_consumer_runs(self, name, layer, engine):
        engine.lost, layer.send_retry = {Recall: NEVER_ANSWERED}, 0.05
        ran: list[Message] = []
        with pytest.raises(SessionUnavailable, match=r"cannot be read\."):
            channel_session(ran.append)(say(name, layer))
        assert ran == []
        engine.lost = {}
        channel_session(ran.append)(say(name, layer))
        assert len(ran) == 1

    def test_one_that_cannot_be_saved_is_an_error(self, name, layer, engine):
        channel_session(nothing)(say(name, layer))
        engine.lost, layer.send_retry = {Keep: NEVER_ANSWERED}, 0.05
        with pytest.raises(BrokerUnavailable):
            channel_session(count)(say(name, layer))


class TestOutsideADelivery:
    """In a view, a shell or a thread: nothing fences a save there, so it compares versions."""

    @pytest.fixture
    def ours(self, name, layer):
        channel_session(count)(say(name, layer))
        return session(name, layer)

    def test_a_save_after_somebody_else_s_is_refused_and_changes_nothing(self, name, layer, ours):
        channel_session(count)(say(name, layer))
        ours["mine"] = True
        with pytest.raises(SessionChanged, match="Load it again"):
            ours.save()
        assert dict(session(name, layer).items()) == {"n": 2}

    def test_it_may_be_saved_several_times(self, name, layer, ours):
        for number in range(3):
            ours["mine"] = number
            ours.save()
        assert dict(session(name, layer).items()) == {"n": 1, "mine": 2}

    def test_one_whose_answer_got_lost_is_no_change_by_somebody_else(
        self, name, layer, engine, ours
    ):
        engine.lost = {Keep: 1}
        ours["mine"] = 1
        ours.save()
        ours["mine"] = 2
        ours.save()
        assert session(name, layer)["mine"] == 2

    def test_one_that_was_deleted_and_made_anew_is_another(self, name, layer, ours):
        session(name, layer).delete()
        channel_session(count)(say(name, layer))
        ours["mine"] = True
        with pytest.raises(SessionChanged):
            ours.save()
        assert dict(session(name, layer).items()) == {"n": 1}

    def test_a_decorator_there_drops_its_changes_and_says_so(self, name, layer, ours, caplog):
        @channel_session
        def consumer(message):
            other = session(name, layer)
            other["other"] = True
            other.save()
            count(message)

        consumer(say(name, layer))
        assert dict(session(name, layer).items()) == {"n": 1, "other": True}
        assert "saved by somebody else" in caplog.text


class TestInADelivery:
    """What a consumer saves is part of its commit (that of a test's dispatch: its words)."""

    def dispatch(self, name: str, layer: BaseChannelLayer, consumer: Any, **more: Any) -> Any:
        wrapper = ChannelLayerWrapper(layer, "default", [route("websocket.receive", consumer)])
        return dispatch(say(name, wrapper), router=wrapper.router, sender=object, **more)

    def test_it_is_a_word_of_the_run_and_costs_no_round_trip(self, name, layer, engine):
        ran = self.dispatch(name, layer, channel_session(count))
        assert [type(each) for each in engine.said()] == [Recall]
        assert [type(word) for word in ran.words] == [Keep, Keep]
        assert session(name, layer).get("n") is None
        layer.apply(ran.words)
        assert session(name, layer)["n"] == 1

    def test_the_next_frame_of_the_delivery_finds_it_without_asking(self, name, layer, engine):
        uncommitted = Uncommitted()
        words = [
            word
            for _ in range(3)
            for word in self.dispatch(
                name, layer, channel_session(count), uncommitted=uncommitted
            ).words
        ]
        assert [type(each) for each in engine.said()] == [Recall]
        layer.apply(words)
        assert session(name, layer)["n"] == 3

    def test_a_flush_is_one_too_and_what_is_saved_after_it(self, name, layer):
        channel_session(count)(say(name, layer))

        @channel_session
        def consumer(message):
            message.channel_session.flush()
            message.channel_session["m"] = 1

        ran = self.dispatch(name, layer, consumer)
        assert dict(session(name, layer).items()) == {"n": 1}
        layer.apply(ran.words)
        assert dict(session(name, layer).items()) == {"m": 1}

    def test_a_later_frame_does_not_see_what_an_earlier_one_flushed(self, name, layer):
        channel_session(count)(say(name, layer))
        uncommitted = Uncommitted()
        seen = []
        for consumer in (
            lambda message: message.channel_session.flush(),
            lambda message: seen.append(dict(message.channel_session.items())),
        ):
            self.dispatch(name, layer, channel_session(consumer), uncommitted=uncommitted)
        assert seen == [{}]

    @pytest.mark.parametrize(
        ("raised", "saved"), [(ConsumeLater, 1), (KeyError, 1), (BrokerUnavailable, None)]
    )
    def test_what_is_saved_with_an_exception(self, name, layer, raised, saved):
        """As in Channels 1.x it is; not when the layer ended the run, which comes again."""

        @channel_session
        def consumer(message):
            count(message)
            raise raised

        layer.apply(self.dispatch(name, layer, consumer).words)
        assert session(name, layer).get("n") == saved

    def test_on_another_layer_than_its_message_it_is_saved_at_once(self, name, layer):
        other = InMemoryChannelLayer()

        def consumer(message):
            known = session(name, other)
            known["n"] = 1
            known.save()

        self.dispatch(name, layer, consumer)
        assert session(name, other)["n"] == 1


class TestEngine:
    """By itself, as Django's are."""

    @pytest.fixture
    def store(self, default) -> SessionStore:
        return SessionStore()

    def test_a_new_one_gets_a_key(self, store):
        store["n"] = 1
        store.save()
        assert len(store.session_key) == 32
        assert SessionStore(store.session_key)["n"] == 1

    def test_exists_and_delete(self, store):
        store.create()
        key = store.session_key
        assert store.exists(key) and not store.exists("another-key")
        store.delete("another-key")
        assert store.exists(key)
        store.delete()
        assert not store.exists(key)
        SessionStore().delete()

    def test_of_what_is_not_there_the_key_is_given_up(self, store):
        unknown = SessionStore("not-there-yet")
        assert unknown.get("n") is None
        assert unknown.session_key is None

    def test_a_save_of_what_is_gone_is_an_update_error(self, store):
        store.create()
        SessionStore(store.session_key).delete()
        with pytest.raises(UpdateError):
            store.save()

    def test_another_key_keeps_the_data(self, store, engine):
        store["n"] = 1
        store.save()
        before = store.session_key
        store.cycle_key()
        store.save()
        assert store.session_key != before
        assert SessionStore(store.session_key)["n"] == 1
        assert not store.exists(before)

    def test_a_flush_drops_it(self, store, default):
        store["n"] = 1
        store.save()
        key = store.session_key
        store.flush()
        assert store.session_key is None
        assert default.recall(key) is None

    def test_its_async_face(self, store):
        async def use() -> str:
            await store.aset("n", 1)
            await store.asave()
            assert await SessionStore(store.session_key).aget("n") == 1
            assert await store.aexists(store.session_key)
            return store.session_key

        key = async_to_sync(use)()
        async_to_sync(SessionStore(key).adelete)()
        assert not store.exists(key)

    def test_nothing_is_to_be_cleaned_up(self, store):
        SessionStore.clear_expired()


def test_dropping_is_one_round_trip(name, layer, engine):
    known = session(name, layer)
    engine.trips.clear()
    known.delete()
    assert engine.trips == [[Drop(known.session_key)]]
