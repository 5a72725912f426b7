"""djchan.sessions: sessions of connections and browsers, and the order of a connection.

The names of the tests are the lines of the contract (§3.9, §5.3 to §5.5).
"""

import hashlib
import json
import uuid
from decimal import Decimal
from importlib import import_module

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction
from django.conf import settings as django_settings
from django.contrib.sessions.backends import cache
from django.contrib.sessions.serializers import JSONSerializer
from django.core.exceptions import ImproperlyConfigured
from django.core.serializers.json import DjangoJSONEncoder
from django.test import override_settings
from django.utils import timezone

from djchan import route
from djchan.asgi import ChannelLayerWrapper
from djchan.conf import setting
from djchan.exceptions import ConsumeLater
from djchan.interface.application import Interface
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.message import Message
from djchan.sessions import (
    channel_and_http_session,
    channel_session,
    enforce_ordering,
    http_session,
    requeue_messages,
    session_for_reply_channel,
    wait_channel_name,
)
from tests.interface.fakes import Server, until, websocket_scope
from tests.lanes.site import running
from tests.support.consumers import connecting, run, say

BACKENDS = "django.contrib.sessions.backends."
CACHE = BACKENDS + "cache"
LAYER = "djchan.layer_sessions"

pytestmark = pytest.mark.django_db


class DjangosTypes(JSONSerializer):
    def dumps(self, obj):
        return json.dumps(obj, cls=DjangoJSONEncoder).encode("latin-1")


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """One for all: the file engine remembers its first."""
    return str(tmp_path_factory.mktemp("sessions"))


@pytest.fixture(params=["layer", "cache", "db", "cached_db", "file"])
def engine(request, settings, folder):
    """The layer for channel sessions, and for all every engine of Django's on the server."""
    settings.SESSION_FILE_PATH = folder
    if request.param != "layer":
        settings.SESSION_ENGINE = BACKENDS + request.param
        settings.CHANNEL_SESSION_ENGINE = BACKENDS + request.param


@pytest.fixture(autouse=True)
def in_cache(settings):
    settings.SESSION_ENGINE = CACHE


@pytest.fixture
def message(name):
    return say(name)


def nothing(message):
    pass


def stored(key, engine=None):
    """What the engine has under a key, read anew; None: nothing."""
    store = import_module(engine or django_settings.SESSION_ENGINE).SessionStore(key)
    return dict(store.items()) if store.exists(key) else None


def channel_stored(name):
    """The same for the session of the connection behind a reply channel."""
    return stored(key_of(name), setting("CHANNEL_SESSION_ENGINE") or LAYER)


def new_session(**data):
    session = import_module(django_settings.SESSION_ENGINE).SessionStore()
    session.update(data)
    session.save()
    return session.session_key


def key_of(name):
    return "chn" + hashlib.sha1(name.encode()).hexdigest()[:29]


class TestSessionForReplyChannel:
    def test_the_key_is_made_of_the_name(self, engine, name):
        session = session_for_reply_channel(name)
        assert session.session_key == key_of(name)
        assert len(session.session_key) == 32

    def test_it_is_the_same_session_each_time(self, engine, name):
        session = session_for_reply_channel(name)
        session["n"] = 1
        session.save(must_create=True)
        assert session_for_reply_channel(name)["n"] == 1

    def test_it_is_on_channel_session_engine(self, settings, name, folder):
        settings.SESSION_FILE_PATH = folder
        settings.CHANNEL_SESSION_ENGINE = BACKENDS + "file"
        session = session_for_reply_channel(name)
        session["n"] = 1
        session.save()
        assert stored(key_of(name), BACKENDS + "file") == {"n": 1}
        assert stored(key_of(name), CACHE) is None

    @pytest.mark.parametrize("how", ["left out", None])
    def test_it_is_in_the_layer_otherwise(self, settings, name, how):
        if how is None:
            settings.CHANNEL_SESSION_ENGINE = None
        session = session_for_reply_channel(name)
        session["n"] = 1
        session.save()
        assert stored(key_of(name), LAYER) == {"n": 1}
        assert stored(key_of(name), CACHE) is None

    def test_in_the_layer_it_minds_no_signed_cookies_of_browsers_mended(self, settings, name):
        settings.SESSION_ENGINE = BACKENDS + "signed_cookies"
        session = session_for_reply_channel(name)
        session["n"] = 1
        session.save()
        assert session_for_reply_channel(name)["n"] == 1

    def test_signed_cookie_engine_is_a_value_error(self, settings, name):
        settings.CHANNEL_SESSION_ENGINE = BACKENDS + "signed_cookies"
        with pytest.raises(ValueError, match="CHANNEL_SESSION_ENGINE = "):
            session_for_reply_channel(name)

    @pytest.mark.parametrize("engine", ["no.such.engine", "djchan.message"])
    def test_an_engine_that_is_none_is_named(self, settings, name, engine):
        settings.CHANNEL_SESSION_ENGINE = engine
        with pytest.raises(ImproperlyConfigured, match=f"CHANNEL_SESSION_ENGINE is '{engine}'"):
            session_for_reply_channel(name)

    def test_it_is_read_at_once(self, name):
        assert session_for_reply_channel(name).is_loaded

    def test_django_reads_what_it_writes(self, engine, name):
        session = session_for_reply_channel(name)
        session["n"] = 1
        session.save()
        assert channel_stored(name) == {"n": 1}

    def test_its_async_face_keeps_the_key(self, engine, name):
        async def use():
            # As Django's, it is read without blocking the loop if nobody did before.
            session = type(known)(key_of(name))
            assert await session.aget("n") is None
            await session.aset("n", 1)
            await session.asave()
            await session.acycle_key()
            await session.asave()
            assert session.session_key == key_of(name)
            await session.aflush()
            await session.aset("n", 2)
            await session.acreate()
            assert session.session_key == key_of(name)

        known = session_for_reply_channel(name)
        async_to_sync(use)()
        assert channel_stored(name) == {"n": 2}


class TestChannelSession:
    def test_the_session_lives_from_message_to_message(self, engine, kind, name):
        def write(message):
            message.channel_session["n"] = 1

        def read(message):
            return message.channel_session["n"]

        run(channel_session(kind(write)), say(name))
        assert run(channel_session(kind(read)), say(name)) == 1

    def test_on_a_method(self, kind, message):
        class Consumer:
            connect = channel_session(kind(lambda self, message: message.channel_session))

        assert run(Consumer().connect, message) is message.channel_session

    def test_kwargs_of_the_route_are_handed_on(self, kind, message):
        consumer = channel_session(kind(lambda message, room: room))
        assert run(consumer, message, room="r") == "r"

    def test_without_a_message_is_a_value_error(self):
        with pytest.raises(ValueError, match="channel_session called without Message instance"):
            channel_session(nothing)("no message")

    def test_message_as_the_third_argument_is_a_value_error(self, message):
        with pytest.raises(ValueError, match="without Message instance"):
            channel_session(lambda a, b, c: None)("a", "b", message)

    def test_no_reply_channel_is_a_value_error(self, kind):
        with pytest.raises(ValueError, match="reply_channel"):
            run(channel_session(kind(nothing)), say(None))

    def test_the_row_is_created_eagerly(self, engine, name):
        assert channel_session(lambda message: channel_stored(name))(say(name)) == {}

    def test_the_row_of_an_async_consumer_is_created(self, engine, kind, name):
        run(channel_session(kind(nothing)), say(name))
        assert channel_stored(name) == {}

    def test_a_lost_race_is_consume_later(self, settings, monkeypatch, message, name):
        settings.CHANNEL_SESSION_ENGINE = CACHE
        session = session_for_reply_channel(name)
        session.save(must_create=True)
        # As if it had been made between the look and the save.
        monkeypatch.setattr(type(session), "exists", lambda self, key: False)
        ran = []
        with pytest.raises(ConsumeLater):
            channel_session(ran.append)(message)
        assert ran == []

    def test_it_is_saved_also_after_an_exception(self, engine, kind, message, name):
        def write(message):
            message.channel_session["n"] = 1
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            run(channel_session(kind(write)), message)
        assert channel_stored(name) == {"n": 1}

    def test_it_is_saved_only_when_it_was_modified(self, kind, name, monkeypatch):
        run(channel_session(kind(nothing)), say(name))
        saves = []
        kept = session_for_reply_channel(name)
        monkeypatch.setattr(type(kept), "save", lambda self, *a: saves.append(a))
        run(channel_session(kind(lambda message: message.channel_session.get("n"))), say(name))
        assert saves == []

    def test_an_expired_row_is_used_again(self, settings, name):
        # In Django's table it still stands, and a new one of its key cannot be made.
        settings.CHANNEL_SESSION_ENGINE = BACKENDS + "db"
        session = session_for_reply_channel(name)
        session["n"] = 1
        session.set_expiry(-1)
        session.save()

        def write(message):
            assert "n" not in message.channel_session
            message.channel_session["m"] = 2

        channel_session(write)(say(name))
        assert channel_stored(name) == {"m": 2}

    def test_nested_use_is_safe(self, engine, kind, name, monkeypatch):
        def write(message):
            message.channel_session["n"] = message.channel_session.get("n", 0) + 1

        consumer = channel_session(channel_session(kind(write)))
        run(consumer, say(name))
        run(consumer, say(name))
        assert channel_stored(name) == {"n": 2}

    def test_nested_use_saves_once_mended(self, name, monkeypatch):
        def write(message):
            message.channel_session["n"] = 1

        channel_session(nothing)(say(name))
        store = type(session_for_reply_channel(name))
        saves, save = [], store.save
        monkeypatch.setattr(store, "save", lambda self, *a: (saves.append(1), save(self, *a)))
        channel_session(channel_session(write))(say(name))
        assert saves == [1]

    def test_a_session_given_by_a_test_is_taken(self, message):
        mine = import_module(CACHE).SessionStore()
        message.channel_session = mine

        def write(message):
            message.channel_session["n"] = 1

        channel_session(write)(message)
        assert message.channel_session is mine
        assert stored(mine.session_key) == {"n": 1}

    @pytest.mark.parametrize(
        "value", [uuid.uuid4(), Decimal("1.5"), timezone.now(), {"a", "b"}, {"deep": [b"bytes"]}]
    )
    @pytest.mark.parametrize("how", ["set", "setdefault", "update", "aset", "asetdefault"])
    def test_what_cannot_be_saved_is_refused_where_it_is_set(self, name, how, value):
        session = session_for_reply_channel(name)
        ways = {
            "set": lambda: session.__setitem__("cart", value),
            "setdefault": lambda: session.setdefault("cart", value),
            "update": lambda: session.update({"room": "7", "cart": value}),
            "aset": lambda: async_to_sync(session.aset)("cart", value),
            "asetdefault": lambda: async_to_sync(session.asetdefault)("cart", value),
        }
        with pytest.raises(TypeError, match=r"channel_session\['cart'\].*SESSION_SERIALIZER .*str"):
            ways[how]()
        assert list(session.keys()) == []

    def test_what_is_changed_inside_a_value_is_named_when_it_is_saved(self, engine, name):
        session = session_for_reply_channel(name)
        session["cart"] = {}
        session["cart"]["id"] = uuid.uuid4()
        if isinstance(session, cache.SessionStore):  # Whose backend takes more.
            session.save()
            return
        with pytest.raises(TypeError, match=r"channel_session\['cart'\] cannot be saved: .*UUID"):
            session.save()

    def test_what_another_serializer_takes_is_kept(self, settings, name):
        settings.SESSION_SERIALIZER = f"{__name__}.DjangosTypes"
        session = session_for_reply_channel(name)
        session["cart"] = {"id": uuid.UUID(int=7)}
        session.save()
        assert session_for_reply_channel(name)["cart"] == {"id": str(uuid.UUID(int=7))}

    def test_a_flushed_session_is_not_saved(self, engine, name):
        @channel_session
        def consumer(message):
            message.channel_session["n"] = 1
            message.channel_session.flush()

        consumer(say(name))
        assert channel_stored(name) is None

    def test_an_async_consumer_flushes_with_aflush(self, engine, name):
        @channel_session
        async def consumer(message):
            message.channel_session["n"] = 1
            await message.channel_session.aflush()

        run(consumer, say(name))
        assert channel_stored(name) is None

    def test_after_a_flush_the_next_message_has_a_new_session(self, engine, kind, name):
        channel_session(lambda message: message.channel_session.flush())(say(name))
        read = channel_session(kind(lambda message: dict(message.channel_session.items())))
        assert run(read, say(name)) == {}
        assert channel_stored(name) == {}

    def test_what_is_put_into_a_flushed_session_is_kept_under_its_key(self, engine, name):
        @channel_session
        def consumer(message):
            message.channel_session["n"] = 1
            message.channel_session.flush()
            message.channel_session["m"] = 2

        consumer(say(name))
        assert channel_stored(name) == {"m": 2}

    def test_a_deleted_session_is_not_brought_back(self, engine, name, caplog):
        @channel_session
        def consumer(message):
            message.channel_session["n"] = 1
            # By a logout elsewhere, say.
            type(message.channel_session)(key_of(name)).delete()

        consumer(say(name))
        assert channel_stored(name) is None
        assert "deleted while a consumer ran" in caplog.text

    def test_a_deleted_session_hides_no_exception(self, name):
        @channel_session
        def consumer(message):
            message.channel_session["n"] = 1
            type(message.channel_session)(key_of(name)).delete()
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            consumer(say(name))

    def test_cycle_key_keeps_the_key(self, engine, name):
        @channel_session
        def consumer(message):
            message.channel_session["n"] = 1
            message.channel_session.cycle_key()

        consumer(say(name))
        assert channel_stored(name) == {"n": 1}

    def test_decorators_of_the_project_need_not_take_args(self, kind, message):
        def own(func):
            return lambda message: func(message)

        for consumer in (channel_session(own(kind(nothing))), own(channel_session(kind(nothing)))):
            run(consumer, message)
            assert message.channel_session is not None

    def test_it_looks_like_its_consumer(self, kind):
        consumer = kind(nothing)
        consumer.any_origin = True
        made = channel_session(consumer)
        assert made.__name__ == consumer.__name__
        assert made.any_origin is True
        assert iscoroutinefunction(made) == iscoroutinefunction(consumer)


class TestHttpSession:
    def test_by_the_session_cookie(self, engine, kind, name):
        key = new_session(n=1)
        consumer = http_session(kind(lambda message: message.http_session["n"]))
        assert run(consumer, connecting(name, key)) == 1

    def test_none_without_a_cookie(self, kind, name):
        message = connecting(name)
        run(http_session(kind(nothing)), message)
        assert message.http_session is None

    def test_none_on_receive_which_has_no_headers(self, kind, message):
        run(http_session(kind(nothing)), message)
        assert message.http_session is None

    def test_with_headers_of_the_test_client(self, name):
        key = new_session(n=1)
        message = say(name, "websocket.connect", headers={"cookie": f"sessionid={key}".encode()})
        message.content["query_string"] = ""
        assert http_session(lambda m: m.http_session["n"])(message) == 1

    def test_it_adds_a_method(self, message):
        http_session(nothing)(message)
        assert message.content["method"] == "FAKE"

    def test_it_keeps_the_method_of_a_request(self, name):
        message = say(name, "http.request", method="POST", body=b"")
        http_session(nothing)(message)
        assert message.content["method"] == "POST"

    def test_it_leaves_the_body_to_the_view_mended(self, name):
        layer = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])
        layer.send("http.request.body?x", {"content": b"all", "more_content": False})
        content = {"path": "/", "method": "POST", "body_channel": "http.request.body?x"}
        message = Message({**content, "reply_channel": name}, "http.request", layer)
        http_session(nothing)(message)
        assert layer.receive(["http.request.body?x"])[1]["content"] == b"all"
        assert message.content["body_channel"] == "http.request.body?x"

    def test_what_is_no_request_is_a_value_error(self, name):
        message = Message({"reply_channel": name}, "thumbnails", None)
        with pytest.raises(ValueError, match="Cannot parse HTTP message"):
            http_session(nothing)(message)

    def test_on_a_method_mended(self, kind, name):
        class Consumer:
            connect = http_session(kind(lambda self, message: message.http_session["n"]))

        assert run(Consumer().connect, connecting(name, new_session(n=1))) == 1

    def test_it_is_on_session_engine_whatever_channel_sessions_are_on(self, settings, name):
        key = new_session(n=1)
        settings.CHANNEL_SESSION_ENGINE = BACKENDS + "db"
        assert http_session(lambda m: m.http_session["n"])(connecting(name, key)) == 1

    def test_it_is_saved_when_modified(self, engine, kind, name):
        def write(message):
            message.http_session["n"] = 2

        key = new_session(n=1)
        run(http_session(kind(write)), connecting(name, key))
        assert stored(key) == {"n": 2}

    def test_it_is_not_saved_after_an_exception(self, kind, name):
        def write(message):
            message.http_session["n"] = 2
            raise KeyError("mine")

        key = new_session(n=1)
        with pytest.raises(KeyError, match="mine"):
            run(http_session(kind(write)), connecting(name, key))
        assert stored(key) == {"n": 1}

    def test_it_is_saved_after_an_exception_in_the_nested_case(self, kind, name):
        def write(message):
            message.http_session["n"] = 2
            raise KeyError("mine")

        key = new_session(n=1)
        with pytest.raises(KeyError, match="mine"):
            run(http_session(http_session(kind(write))), connecting(name, key))
        assert stored(key) == {"n": 2}

    def test_it_is_not_saved_when_it_was_not_modified(self, name, monkeypatch):
        key = new_session(n=1)
        store = import_module(CACHE).SessionStore
        monkeypatch.setattr(store, "save", lambda self: pytest.fail("saved"))
        http_session(lambda m: m.http_session["n"])(connecting(name, key))

    def test_a_flushed_session_leaves_no_row_behind_mended(self, settings, name):
        settings.SESSION_ENGINE = BACKENDS + "db"
        key = new_session(n=1)
        http_session(lambda m: m.http_session.flush())(connecting(name, key))
        assert stored(key) is None
        model = import_module(settings.SESSION_ENGINE).SessionStore.get_model_class()
        assert model.objects.count() == 0

    def test_session_key_in_the_query_string_is_off(self, name):
        message = connecting(name, query=f"session_key={new_session(n=1)}".encode())
        http_session(nothing)(message)
        assert message.http_session is None

    def test_session_key_in_the_query_string_when_it_is_on(self, settings, name):
        settings.CHANNEL_SESSION_KEY_IN_QUERY = True
        message = connecting(name, query=f"session_key={new_session(n=1)}".encode())
        assert http_session(lambda m: m.http_session["n"])(message) == 1

    def test_the_cookie_wins_over_the_query_string(self, settings, name):
        settings.CHANNEL_SESSION_KEY_IN_QUERY = True
        query = f"session_key={new_session(n='query')}".encode()
        message = connecting(name, new_session(n="cookie"), query)
        assert http_session(lambda m: m.http_session["n"])(message) == "cookie"


class TestChannelAndHttpSession:
    def test_the_http_session_is_there_on_later_messages(self, engine, kind, name):
        key = new_session(n=1)
        consumer = channel_and_http_session(kind(lambda message: message.http_session["n"]))
        assert run(consumer, connecting(name, key)) == 1
        assert run(consumer, say(name)) == 1

    def test_its_key_is_kept_under_the_cookie_s_name(self, name):
        key = new_session(n=1)
        with override_settings(SESSION_COOKIE_NAME="mine"):
            headers = [[b"cookie", f"mine={key}".encode()]]
            message = say(name, "websocket.connect", headers=headers)
            channel_and_http_session(nothing)(message)
            assert channel_stored(name) == {"mine": key}

    def test_without_a_cookie_there_is_a_channel_session_alone(self, kind, message):
        run(channel_and_http_session(kind(nothing)), message)
        assert message.http_session is None
        assert dict(message.channel_session.items()) == {}

    def test_changes_on_later_messages_are_saved_mended(self, engine, kind, name):
        def write(message):
            message.http_session["n"] = 2

        key = new_session(n=1)
        run(channel_and_http_session(kind(nothing)), connecting(name, key))
        run(channel_and_http_session(kind(write)), say(name))
        assert stored(key) == {"n": 2}

    def test_a_later_key_takes_the_place_of_the_earlier(self, name):
        consumer = channel_and_http_session(lambda message: message.http_session["n"])
        consumer(connecting(name, new_session(n=1)))
        consumer(connecting(name, new_session(n=2)))
        assert consumer(say(name)) == 2


class TestEnforceOrdering:
    def test_with_and_without_parentheses(self, kind, message):
        def count(message):
            ran.append(1)

        ran = []
        for consumer in (
            enforce_ordering(kind(count)),
            enforce_ordering()(kind(count)),
            enforce_ordering(slight=False)(kind(count)),
        ):
            run(consumer, message)
        assert ran == [1, 1, 1]

    def test_slight_is_a_value_error(self):
        with pytest.raises(ValueError, match="Remove slight=True from enforce_ordering"):
            enforce_ordering(slight=True)
        with pytest.raises(ValueError, match="Remove slight=True from enforce_ordering"):
            enforce_ordering(nothing, slight=True)

    def test_what_the_consumer_returns_is_returned_mended(self, kind, message):
        assert run(enforce_ordering(kind(lambda message: 7)), message) == 7

    def test_without_order_is_a_value_error(self, kind, name):
        message = Message({"reply_channel": name, "path": "/"}, "websocket.receive", None)
        with pytest.raises(ValueError, match="no order"):
            run(enforce_ordering(kind(nothing)), message)

    def test_without_a_reply_channel_is_a_value_error(self):
        with pytest.raises(ValueError, match=r"enforce_ordering needs .* reply_channel"):
            enforce_ordering(nothing)(say(None))

    def test_without_a_message_is_a_value_error(self):
        with pytest.raises(ValueError, match="enforce_ordering called without Message"):
            enforce_ordering(nothing)("no message")

    def test_it_costs_nothing(self, settings, message, kind, django_assert_num_queries):
        settings.CHANNEL_SESSION_ENGINE = BACKENDS + "db"
        with django_assert_num_queries(0):
            run(enforce_ordering(kind(nothing)), message)

    def test_it_costs_nothing_for_the_session_is_not_even_found(self, settings, kind, message):
        settings.CHANNEL_SESSION_ENGINE = "no.such.engine"
        run(enforce_ordering(kind(nothing)), message)

    def test_it_implies_channel_session(self, engine, name):
        def write(message):
            message.channel_session["n"] = message.channel_session.get("n", 0) + 1

        enforce_ordering(write)(say(name))
        enforce_ordering(write)(say(name))
        assert channel_stored(name) == {"n": 2}

    def test_a_session_that_was_only_cleared_is_kept(self, name):
        @enforce_ordering
        def consumer(message):
            message.channel_session.clear()
            message.channel_session["n"] = 1

        consumer(say(name))
        assert channel_stored(name) == {"n": 1}

    @pytest.mark.parametrize("kept", ["db", None])
    def test_an_async_consumer_awaits_its_session(self, settings, name, kept):
        settings.CHANNEL_SESSION_ENGINE = kept and BACKENDS + kept

        @enforce_ordering
        async def consumer(message):
            before = await message.channel_session.aget("n", 0)
            await message.channel_session.aset("n", before + 1)

        run(consumer, say(name))
        run(consumer, say(name))
        assert channel_stored(name) == {"n": 2}

    @pytest.mark.parametrize("outer", [channel_session, enforce_ordering])
    def test_with_channel_session_in_either_order(self, engine, kind, name, outer):
        def write(message):
            message.channel_session["n"] = message.channel_session.get("n", 0) + 1

        inner = enforce_ordering if outer is channel_session else channel_session
        consumer = outer(inner(kind(write)))
        run(consumer, say(name))
        run(consumer, say(name))
        assert channel_stored(name) == {"n": 2}

    def test_a_consumer_that_raises_stops_nobody_mended(self, name):
        @enforce_ordering
        def consumer(message):
            if message["order"] == 1:
                raise KeyError("mine")
            ran.append(message["order"])

        ran = []
        consumer(say(name, order=0))
        with pytest.raises(KeyError):
            consumer(say(name, order=1))
        consumer(say(name, order=2))
        assert ran == [0, 2]

    def test_an_undecorated_connect_stops_nobody_mended(self, name):
        ran = []
        enforce_ordering(lambda message: ran.append(message["order"]))(say(name, order=5))
        assert ran == [5]

    def test_on_a_method(self, kind, message):
        class Consumer:
            receive = enforce_ordering(kind(lambda self, message: message.channel_session))

        run(Consumer().receive, message)
        assert message.channel_session is not None


@pytest.fixture
def site():
    yield from running()


@pytest.mark.asyncio
async def test_enforce_ordering_with_4_workers_and_1000_frames_and_an_exception_in_the_middle(
    site, caplog
):
    frames = 1000
    ran = []

    @enforce_ordering
    def connect(message):
        message.reply_channel.send({"accept": True})

    @enforce_ordering
    def receive(message):
        ran.append(message["order"])
        if message["order"] == frames // 2:
            raise KeyError("mine")
        message.reply_channel.send({"text": str(message["order"])})

    routes = [route("websocket.connect", connect), route("websocket.receive", receive)]
    for _ in range(4):
        site.worker(*routes)
    interface = Interface(site.layer, mailbox_frames=frames)
    server = Server(interface, websocket_scope())
    server.event("websocket.connect")
    await server.wait("websocket.accept")
    for number in range(frames):
        server.event("websocket.receive", text=str(number))
    await until(lambda: server.types().count("websocket.send") == frames - 1, 10)
    assert ran == list(range(1, frames + 1))
    replies = [int(event["text"]) for event in server.sent if event["type"] == "websocket.send"]
    assert replies == [n for n in ran if n != frames // 2]
    assert "KeyError: 'mine'" in caplog.text
    await server.end()
    await interface.shutdown(0.1)
    await site.layer.aclose()


class TestWaitChannels:
    def test_wait_channel_name(self):
        assert wait_channel_name("daphne.response.a!b") == "__wait__.daphne.response.a?b"

    def test_requeue_messages_drains_to_the_original_channel(self, name):
        layer = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])
        for n in (1, 2):
            layer.send(wait_channel_name(name), {"original_channel": "mine", "n": n})
        requeue_messages(Message({"reply_channel": name}, "websocket.receive", layer))
        assert [layer.receive(["mine"])[1] for _ in range(3)] == [{"n": 1}, {"n": 2}, None]
