"""djchan.generic.websockets: consumers of sockets, of JSON, of several streams."""

import datetime
import json
from typing import Any, ClassVar

import pytest
from django.contrib.auth import get_user_model
from django.contrib.sessions.backends.db import SessionStore

from djchan import Channel, route, route_class
from djchan.asgi import ChannelLayerWrapper, channel_layers
from djchan.dispatch import Run, dispatch
from djchan.exceptions import (
    ConsumeLater,
    DenyConnection,
    SendNotAvailableOnDemultiplexer,
    WebsocketCloseException,
)
from djchan.generic.base import BaseConsumer
from djchan.generic.websockets import (
    JsonWebsocketConsumer,
    WebsocketConsumer,
    WebsocketDemultiplexer,
    WebsocketMultiplexer,
)
from djchan.layers import codec
from djchan.layers.effects import Reply
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.operations import GroupAdd, GroupDiscard, GroupSend, Keep
from djchan.message import Message
from djchan.outcomes import Outcome
from djchan.test import work_off

REPLY = "websocket.send.PROCESS!1-abc"
ACCEPTED = ("reply", {"accept": True})


@pytest.fixture
def layer():
    """The default layer, as its wrapper."""
    wrapper = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])
    before = channel_layers.set("default", wrapper)
    yield wrapper
    channel_layers.set("default", before)


@pytest.fixture
def socket(layer):
    """Dispatches one message of a socket to a consumer: socket("receive", consumer, text=…)."""

    def socket(kind: str, consumer: Any, *, route: Any = None, **content: Any) -> Run:
        layer.__dict__.pop("router", None)
        layer.routing = [route or route_class(consumer, path=r"^/(?P<room>\w+)?")]
        content = {"reply_channel": REPLY, "path": "/", **content}
        message = Message(content, f"websocket.{kind}", layer)
        ran = dispatch(message, router=layer.router, sender=object)
        # As the commit of a delivery does: the next message finds its session.
        layer.channel_layer.apply([each for each in ran.words if isinstance(each, Keep)])
        socket.message = message
        return ran

    return socket


def sent(run: Run) -> list[Any]:
    """What a run sent, joined and left, in order."""
    what: list[Any] = []
    for word in run.words:
        if isinstance(word, Reply):
            assert (word.process, word.connection) == ("PROCESS", "1-abc")
            what.append(("reply", codec.decode(word.message)))
        elif isinstance(word, GroupSend):
            (frame,) = codec.decode_envelope(word.payload).frames
            what.append(("group", word.group, codec.decode(frame)))
        elif not isinstance(word, Keep):  # A session that is saved is not sent.
            assert isinstance(word, GroupAdd | GroupDiscard)
            what.append(("add" if isinstance(word, GroupAdd) else "discard", word.group))
    return what


def text(content: Any) -> tuple[str, dict[str, str]]:
    return ("reply", {"text": json.dumps(content)})


def on_stream(stream: str, payload: Any) -> tuple[str, dict[str, str]]:
    return text({"stream": stream, "payload": payload})


class Room(WebsocketConsumer):
    groups = ("lobby",)

    def connect(self, message: Any, **kwargs: Any) -> None:
        super().connect(message, **kwargs)
        self.done = ("connect", kwargs)

    def receive(self, *args: Any, **kwargs: Any) -> None:
        self.done = ("receive", args, kwargs)

    def disconnect(self, message: Any, **kwargs: Any) -> None:
        self.done = ("disconnect", message["code"], kwargs)


class TestWebsocketConsumer:
    def test_it_takes_connect_receive_and_disconnect(self):
        assert WebsocketConsumer.method_mapping == {
            "websocket.connect": "raw_connect",
            "websocket.receive": "raw_receive",
            "websocket.disconnect": "raw_disconnect",
        }

    def test_without_anything_of_its_own_it_accepts_and_ignores(self, socket):
        assert sent(socket("connect", WebsocketConsumer)) == [ACCEPTED]
        for kind, content in (("receive", {"text": "x"}), ("receive", {"bytes": b"x"})):
            assert sent(socket(kind, WebsocketConsumer, **content)) == []
        assert sent(socket("disconnect", WebsocketConsumer, code=1000)) == []

    def test_the_path_is_there(self, socket):
        assert socket("connect", Room, path="/kitchen").value.path == "/kitchen"

    def test_a_message_without_path_is_a_key_error(self):
        with pytest.raises(KeyError, match="path"):
            WebsocketConsumer(Message({"reply_channel": REPLY}, "websocket.connect", None))

    def test_groups_are_joined_before_connect(self, socket):
        ran = socket("connect", Room, path="/kitchen")
        assert sent(ran) == [("add", "lobby"), ACCEPTED]
        assert ran.value.done == ("connect", {"room": "kitchen"})

    def test_groups_are_left_before_disconnect(self, socket):
        class Parting(Room):
            def disconnect(self, message: Any, **kwargs: Any) -> None:
                super().disconnect(message, **kwargs)
                self.group_send("lobby", text="gone")

        ran = socket("disconnect", Parting, path="/kitchen", code=1001)
        assert sent(ran) == [("discard", "lobby"), ("group", "lobby", {"text": "gone"})]
        assert ran.value.done == ("disconnect", 1001, {"room": "kitchen"})

    def test_connection_groups_gets_the_kwargs_of_the_route(self, socket):
        class Named(WebsocketConsumer):
            def connection_groups(self, room: str) -> list[str]:
                return [f"room-{room}"]

        assert sent(socket("connect", Named, path="/a")) == [("add", "room-a"), ACCEPTED]
        assert sent(socket("disconnect", Named, path="/a")) == [("discard", "room-a")]

    def test_connection_groups_without_kwargs_works_on_a_route_without_named_groups(self, socket):
        class Bare(WebsocketConsumer):
            def connection_groups(self) -> list[str]:  # type: ignore[override]
                return ["bare"]

        ran = socket("connect", Bare, route=Bare.as_route(path="^/"))
        assert sent(ran) == [("add", "bare"), ACCEPTED]

    def test_the_groups_are_those_of_the_messages_layer(self, layer, socket):
        elsewhere = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])
        channel_layers.set("default", elsewhere)
        assert sent(socket("connect", Room)) == [("add", "lobby"), ACCEPTED]

    def test_receive_gets_only_what_the_frame_has(self, socket):
        kwargs = {"room": "a"}
        ran = socket("receive", Room, path="/a", text="hi")
        assert ran.value.done == ("receive", (), {"text": "hi", **kwargs})
        ran = socket("receive", Room, path="/a", bytes=b"\0")
        assert ran.value.done == ("receive", (), {"bytes": b"\0", **kwargs})

    def test_a_text_of_none_is_no_text(self, socket):
        ran = socket("receive", Room, path="/a", bytes=b"\0", text=None)
        assert ran.value.done == ("receive", (), {"bytes": b"\0", "room": "a"})

    def test_a_text_that_is_empty_is_a_text(self, socket):
        assert socket("receive", Room, text="").value.done[2]["text"] == ""

    def test_an_overridden_connect_accepts_by_itself(self, socket):
        class Silent(WebsocketConsumer):
            def connect(self, message: Any, **kwargs: Any) -> None:
                pass

        assert sent(socket("connect", Silent)) == []

    def test_connect_may_deny(self, socket):
        class Closed(WebsocketConsumer):
            def connect(self, message: Any, **kwargs: Any) -> None:
                raise DenyConnection

        ran = socket("connect", Closed)
        assert (ran.outcome, sent(ran)) == (Outcome.DENIED, [("reply", {"close": True})])

    @pytest.mark.parametrize(
        ("arguments", "frame"),
        [
            ({"text": "hi"}, {"text": "hi"}),
            ({"bytes": b"hi"}, {"bytes": b"hi"}),
            ({"text": "hi", "bytes": b"no"}, {"text": "hi"}),
            ({"text": "hi", "close": True}, {"text": "hi", "close": True}),
            ({"bytes": b"hi", "close": 4001}, {"bytes": b"hi", "close": 4001}),
        ],
    )
    def test_send_and_group_send_make_the_same_frames(self, socket, arguments, frame):
        class Sending(WebsocketConsumer):
            def receive(self, text: Any = None, bytes: Any = None, **kwargs: Any) -> None:
                self.send(**arguments)
                self.group_send("g", **arguments)

        ran = socket("receive", Sending, text="x")
        assert sent(ran) == [("reply", frame), ("group", "g", frame)]

    def test_send_without_text_and_bytes_is_a_value_error(self, socket):
        consumer = socket("receive", WebsocketConsumer, text="x").value
        with pytest.raises(ValueError, match="text or bytes"):
            consumer.send(close=True)
        with pytest.raises(ValueError, match="text or bytes"):
            WebsocketConsumer.group_send("g")

    def test_group_send_needs_no_instance_and_goes_to_the_default_layer(self, layer):
        layer.group_add("g", "listener")
        WebsocketConsumer.group_send("g", "hello")
        assert layer.receive(["listener"]) == ("listener", {"text": "hello"})

    @pytest.mark.parametrize("status", [True, 1000, 4003])
    def test_close_sends_its_status(self, socket, status):
        class Closing(WebsocketConsumer):
            def receive(self, text: Any = None, bytes: Any = None, **kwargs: Any) -> None:
                self.close(status)

        assert sent(socket("receive", Closing, text="x")) == [("reply", {"close": status})]

    def test_close_without_a_status_is_true(self, socket):
        class Closing(WebsocketConsumer):
            def receive(self, text: Any = None, bytes: Any = None, **kwargs: Any) -> None:
                self.close()

        assert sent(socket("receive", Closing, text="x")) == [("reply", {"close": True})]

    def test_slight_ordering_is_a_value_error(self, socket, caplog):
        class Slight(WebsocketConsumer):
            slight_ordering = True

        assert socket("connect", Slight).outcome is Outcome.FAILED
        assert "Remove slight_ordering = True from" in caplog.text
        assert "TestWebsocketConsumer" in caplog.text

    @pytest.mark.django_db
    def test_slight_ordering_beside_strict_ordering_says_nothing_more(self, socket):
        class Both(WebsocketConsumer):
            slight_ordering = strict_ordering = True

        assert socket("connect", Both, order=0).outcome is Outcome.DONE

    def test_nothing_is_decorated_by_default(self):
        names = ("channel_session", "channel_session_user", "http_user", "http_user_and_session")
        assert [getattr(WebsocketConsumer, name) for name in names] == [False] * 4
        assert (WebsocketConsumer.strict_ordering, WebsocketConsumer.slight_ordering) == (0, 0)
        assert WebsocketConsumer.groups is None


@pytest.mark.django_db
class TestDecorators:
    def test_strict_ordering_wants_an_order_and_brings_the_channel_session(self, socket, caplog):
        class Strict(WebsocketConsumer):
            strict_ordering = True

        assert socket("connect", Strict).outcome is Outcome.FAILED
        assert "has no order" in caplog.text
        ran = socket("connect", Strict, order=0)
        assert (ran.outcome, sent(ran)) == (Outcome.DONE, [ACCEPTED])
        assert hasattr(socket.message, "channel_session")

    def test_channel_session_lasts_from_message_to_message(self, socket):
        class Remembering(WebsocketConsumer):
            channel_session = True

            def connect(self, message: Any, **kwargs: Any) -> None:
                message.channel_session["room"] = kwargs["room"]

            def receive(self, text: Any = None, bytes: Any = None, **kwargs: Any) -> None:
                self.send(text=self.message.channel_session["room"])

        socket("connect", Remembering, path="/kitchen")
        assert sent(socket("receive", Remembering, text="?")) == [("reply", {"text": "kitchen"})]

    @pytest.mark.parametrize("attribute", ["http_user", "http_user_and_session"])
    def test_http_users_are_those_of_the_cookie_on_all_messages(self, socket, attribute):
        class Who(WebsocketConsumer):
            def receive(self, text: Any = None, bytes: Any = None, **kwargs: Any) -> None:
                self.session = self.message.http_session
                self.send(text=self.message.user.username)

            def connect(self, message: Any, **kwargs: Any) -> None:
                self.send(text=message.user.username)

        user = get_user_model().objects.create_user("ada")
        session = SessionStore()
        session["_auth_user_id"] = str(user.pk)
        session["_auth_user_backend"] = "django.contrib.auth.backends.ModelBackend"
        session["_auth_user_hash"] = user.get_session_auth_hash()
        session.save()
        cookie = [[b"cookie", f"sessionid={session.session_key}".encode()]]
        made = Who.as_route({attribute: True}, path="^/")
        ada = [("reply", {"text": "ada"})]
        assert sent(socket("connect", None, route=made, headers=cookie)) == ada
        ran = socket("receive", None, route=made, text="?")
        assert sent(ran) == ada
        assert ran.value.channel_session_user is True
        # Only the longer name brings the browser's session to all messages.
        assert (ran.value.session is not None) == (attribute == "http_user_and_session")
        if ran.value.session is not None:
            assert ran.value.session.session_key == session.session_key
        assert Who.channel_session_user is False

    def test_a_multiplexed_consumer_has_its_own_decorators(self, socket):
        class Remembering(JsonWebsocketConsumer):
            http_user = True
            strict_ordering = True

            def connect(self, message: Any, multiplexer: Any, **kwargs: Any) -> None:
                message.channel_session["greeted"] = str(message.user)

            def receive(self, content: Any, multiplexer: Any, **kwargs: Any) -> None:
                multiplexer.send(self.message.channel_session["greeted"])

        class Streams(WebsocketDemultiplexer):
            consumers: ClassVar = {"a": Remembering}

        assert socket("connect", Streams, order=0).outcome is Outcome.DONE
        ran = socket("receive", Streams, order=1, text='{"stream": "a", "payload": {}}')
        assert sent(ran) == [on_stream("a", "AnonymousUser")]


class Echo(JsonWebsocketConsumer):
    def receive(self, content: Any, **kwargs: Any) -> None:
        self.done = (content, kwargs)
        self.send({"echo": content})


class TestJsonWebsocketConsumer:
    def test_content_is_decoded_and_encoded(self, socket):
        ran = socket("receive", Echo, path="/a", text='{"n": [1]}')
        assert ran.value.done == ({"n": [1]}, {"room": "a"})
        assert sent(ran) == [text({"echo": {"n": [1]}})]

    def test_send_and_group_send_may_close(self, socket):
        class Last(JsonWebsocketConsumer):
            def receive(self, content: Any, **kwargs: Any) -> None:
                self.send(content, close=True)
                self.group_send("g", content, close=4001)

        assert sent(socket("receive", Last, text="1")) == [
            ("reply", {"text": "1", "close": True}),
            ("group", "g", {"text": "1", "close": 4001}),
        ]

    def test_group_send_needs_no_instance(self, layer):
        layer.group_add("g", "listener")
        JsonWebsocketConsumer.group_send("g", {"n": 1})
        assert layer.receive(["listener"]) == ("listener", {"text": '{"n": 1}'})

    def test_decode_json_and_encode_json_may_be_a_projects_own(self, layer, socket):
        class Loud(Echo):
            @classmethod
            def decode_json(cls, text: str) -> Any:
                return {key.upper(): value for key, value in json.loads(text).items()}

            @classmethod
            def encode_json(cls, content: Any) -> str:
                return f"loud {json.dumps(content)}"

        ran = socket("receive", Loud, text='{"n": 1}')
        assert ran.value.done[0] == {"N": 1}
        assert sent(ran) == [("reply", {"text": 'loud {"echo": {"N": 1}}'})]
        layer.group_add("g", "listener")
        Loud.group_send("g", 1)
        assert layer.receive(["listener"])[1] == {"text": "loud 1"}

    @pytest.mark.parametrize("content", [{"bytes": b"{}"}, {"bytes": b"{}", "text": None}, {}])
    def test_a_binary_frame_is_a_clients_fault(self, socket, content, caplog):
        caplog.set_level("INFO", "djchan")
        assert socket("receive", Echo, **content).outcome is Outcome.FAILED
        (record,) = caplog.records
        assert record.levelname == "INFO" and record.exc_info is None
        assert "has no text" in record.getMessage()

    @pytest.mark.parametrize("frame", ["", "{", "no", "[" * 200_000, '"\ud800'])
    def test_a_frame_that_is_no_json_is_logged_and_ends_nothing(self, socket, frame, caplog):
        caplog.set_level("INFO", "djchan")
        ran = socket("receive", Echo, text=frame)
        assert (ran.outcome, sent(ran)) == (Outcome.FAILED, [])
        (record,) = caplog.records
        assert record.levelname == "INFO" and record.exc_info is None
        assert "Echo" in record.getMessage() and record.getMessage().isprintable()
        assert sent(socket("receive", Echo, text="1")) == [text({"echo": 1})]


class TestWebsocketMultiplexer:
    def test_send_puts_the_payload_into_an_envelope(self, layer):
        multiplexer = WebsocketMultiplexer("news", Channel("listener"))
        assert (multiplexer.stream, multiplexer.reply_channel.name) == ("news", "listener")
        multiplexer.send({"n": 1})
        expected = {"text": '{"stream": "news", "payload": {"n": 1}}'}
        assert layer.receive(["listener"]) == ("listener", expected)

    def test_encode_makes_the_message(self):
        assert WebsocketMultiplexer.encode("news", [1]) == {
            "text": '{"stream": "news", "payload": [1]}'
        }

    def test_it_encodes_what_djangos_encoder_does(self):
        day = datetime.date(2026, 1, 2)
        assert "2026-01-02" in WebsocketMultiplexer.encode("news", day)["text"]

    @pytest.mark.parametrize(("close", "more"), [(False, {}), (True, {"close": True})])
    def test_group_send_goes_to_the_group_on_the_stream(self, layer, close, more):
        layer.group_add("g", "listener")
        WebsocketMultiplexer.group_send("g", "news", 1, close=close)
        expected = {"text": '{"stream": "news", "payload": 1}', **more}
        assert layer.receive(["listener"]) == ("listener", expected)

    def test_encode_json_may_be_a_projects_own(self, layer):
        class Loud(WebsocketMultiplexer):
            @classmethod
            def encode_json(cls, content: Any) -> str:
                return f"loud {content['payload']}"

        Loud("news", Channel("listener")).send(1)
        assert layer.receive(["listener"])[1] == {"text": "loud 1"}
        layer.group_add("g", "listener")
        Loud.group_send("g", "news", 2)
        assert layer.receive(["listener"])[1] == {"text": "loud 2"}


class Stream(JsonWebsocketConsumer):
    """Answers on its stream with what it was called with."""

    def connect(self, message: Any, multiplexer: Any, **kwargs: Any) -> None:
        multiplexer.send(["connect", kwargs])

    def receive(self, content: Any, multiplexer: Any, **kwargs: Any) -> None:
        multiplexer.send(["receive", content, kwargs])

    def disconnect(self, message: Any, multiplexer: Any, **kwargs: Any) -> None:
        multiplexer.group_send("leavers", multiplexer.stream, kwargs)


class Other(Stream):
    groups = ("others",)


class Streams(WebsocketDemultiplexer):
    consumers: ClassVar = {"a": Stream, "b": Other}
    groups = ("all",)


def frame(stream: Any, payload: Any) -> str:
    return json.dumps({"stream": stream, "payload": payload})


class TestWebsocketDemultiplexer:
    def test_connect_accepts_and_then_calls_every_consumer(self, socket):
        ran = socket("connect", Streams, path="/x")
        assert sent(ran) == [
            ("add", "all"),
            ACCEPTED,
            on_stream("a", ["connect", {"room": "x"}]),
            ("add", "others"),
            on_stream("b", ["connect", {"room": "x"}]),
        ]

    def test_disconnect_calls_every_consumer(self, socket):
        ran = socket("disconnect", Streams, path="/x")
        bodies = {name: {"stream": name, "payload": {"room": "x"}} for name in "ab"}
        assert sent(ran) == [
            ("discard", "all"),
            ("group", "leavers", {"text": json.dumps(bodies["a"])}),
            ("discard", "others"),
            ("group", "leavers", {"text": json.dumps(bodies["b"])}),
        ]

    def test_a_frame_goes_to_the_consumer_of_its_stream_alone(self, socket):
        ran = socket("receive", Streams, path="/x", text=frame("b", {"n": 1}))
        assert sent(ran) == [on_stream("b", ["receive", {"n": 1}, {"room": "x"}])]

    def test_the_payload_is_in_the_content_of_the_message(self, socket):
        socket("receive", Streams, text=frame("a", {"n": 1}))
        assert socket.message.content["text"] == '{"n": 1}'

    def test_no_consumer_gets_what_another_was_given(self, socket):
        given = []

        def function(message: Any, **kwargs: Any) -> None:
            given.append((kwargs["multiplexer"].stream, sorted(kwargs)))
            kwargs["multiplexer"].stream = "changed"
            kwargs["more"] = 1

        class Functions(WebsocketDemultiplexer):
            consumers: ClassVar = {"a": function, "b": function}

        assert socket("connect", Functions).outcome is Outcome.DONE
        assert given == [("a", ["multiplexer", "room"]), ("b", ["multiplexer", "room"])]

    def test_a_function_may_be_the_consumer_of_a_stream(self, socket):
        def function(message: Any, multiplexer: Any, room: str) -> None:
            multiplexer.send([message["text"], room])

        class Functions(WebsocketDemultiplexer):
            consumers: ClassVar = {"f": function}

        ran = socket("receive", Functions, path="/x", text=frame("f", {}))
        assert sent(ran) == [on_stream("f", ["{}", "x"])]

    def test_a_consumer_class_without_send_may_be_that_of_a_stream(self, socket):
        class Bare(BaseConsumer):
            method_mapping: ClassVar = {"websocket.receive": "take"}

            def take(self, message: Any, multiplexer: Any, **kwargs: Any) -> None:
                multiplexer.send("taken")

        class Bares(WebsocketDemultiplexer):
            consumers: ClassVar = {"b": Bare}

        assert sent(socket("receive", Bares, text=frame("b", {}))) == [on_stream("b", "taken")]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (frame("c", {}), "has no stream 'c'; in its consumers are: 'a', 'b'"),
            (frame(5, {}), "has no stream 5"),
            (frame(["a"], {}), "has no stream"),
            (frame(None, {}), "has no stream None"),
            (frame("a", 1), "is a JSON object, not 1"),
            (frame("a", [1]), "is a JSON object, not [1]"),
            ('{"stream": "a"}', "keys stream and payload"),
            ('{"payload": {}}', "keys stream and payload"),
            ('["stream", "payload"]', "keys stream and payload"),
            ('"stream payload"', "keys stream and payload"),
            ("null", "keys stream and payload"),
            ("{", "is no JSON"),
        ],
    )
    def test_a_frame_of_a_bad_shape_is_logged_and_the_socket_stays_open(
        self, socket, text, words, caplog
    ):
        caplog.set_level("INFO", "djchan")
        ran = socket("receive", Streams, text=text)
        assert (ran.outcome, sent(ran)) == (Outcome.FAILED, [])
        (record,) = caplog.records
        assert record.levelname == "INFO" and record.exc_info is None
        assert words in record.getMessage()
        assert len(sent(socket("receive", Streams, text=frame("a", {})))) == 1

    def test_send_and_group_send_of_the_demultiplexer_are_refused(self, socket):
        demultiplexer = socket("connect", Streams).value
        with pytest.raises(SendNotAvailableOnDemultiplexer, match=r"multiplexer\.send\(payload\)"):
            demultiplexer.send({"n": 1})
        with pytest.raises(SendNotAvailableOnDemultiplexer, match="WebsocketMultiplexer"):
            Streams.group_send("g", "a", {"n": 1})

    @pytest.mark.parametrize("kind", ["connect", "receive", "disconnect"])
    def test_send_of_a_multiplexed_consumer_is_refused(self, socket, kind, caplog):
        class Sending(JsonWebsocketConsumer):
            def connect(self, message: Any, **kwargs: Any) -> None:
                self.send({"n": 1})

            disconnect = connect

            def receive(self, content: Any, **kwargs: Any) -> None:
                self.send(content)

        class Sendings(WebsocketDemultiplexer):
            consumers: ClassVar = {"s": Sending}

        ran = socket(kind, Sendings, text=frame("s", {}))
        assert ran.outcome is Outcome.FAILED
        assert [what for what in sent(ran) if what != ACCEPTED] == []
        assert "SendNotAvailableOnDemultiplexer" in caplog.text

    def test_the_class_of_a_multiplexed_consumer_is_never_touched(self, socket):
        class Both(Echo):
            def receive(self, content: Any, multiplexer: Any = None, **kwargs: Any) -> None:
                if multiplexer is None:
                    super().receive(content, **kwargs)
                else:
                    multiplexer.send("multiplexed")

        class Boths(WebsocketDemultiplexer):
            consumers: ClassVar = {"a": Both, "b": Both}

        before = [dict(vars(each)) for each in (Both, Echo, Boths, WebsocketConsumer)]
        for name in "ab":
            ran = socket("receive", Boths, text=frame(name, {}))
            assert sent(ran) == [on_stream(name, "multiplexed")]
        assert [dict(vars(each)) for each in (Both, Echo, Boths, WebsocketConsumer)] == before
        # On a route of its own it sends as ever.
        assert sent(socket("receive", Both, text="1")) == [text({"echo": 1})]

    def test_the_multiplexer_class_may_be_a_projects_own(self, socket):
        class Loud(WebsocketMultiplexer):
            @classmethod
            def encode(cls, stream: str, payload: Any) -> dict[str, Any]:
                return {"text": f"{stream}!"}

        class Louds(Streams):
            multiplexer_class = Loud

        ran = socket("receive", Louds, text=frame("a", {}))
        assert sent(ran) == [("reply", {"text": "a!"})]

    def test_connection_groups_without_kwargs_works_on_a_route_without_named_groups(self, socket):
        class Bare(WebsocketDemultiplexer):
            consumers: ClassVar = {"a": Stream}

            def connection_groups(self) -> list[str]:  # type: ignore[override]
                return ["bare"]

        ran = socket("connect", Bare, route=Bare.as_route(path="^/"))
        assert sent(ran) == [("add", "bare"), ACCEPTED, on_stream("a", ["connect", {}])]


def streams(*consumers: Any) -> type[WebsocketDemultiplexer]:
    class Some(WebsocketDemultiplexer):
        consumers: ClassVar = {}

    Some.consumers = dict(zip("abc", consumers, strict=False))
    return Some


def raising(error: BaseException) -> Any:
    def consumer(message: Any, **kwargs: Any) -> None:
        raise error

    return consumer


class TestStreamsThatRaise:
    def test_a_stream_that_denies_refuses_the_socket_before_it_was_open(self, socket):
        ran = socket("connect", streams(Stream, raising(DenyConnection()), Other))
        assert (ran.outcome, sent(ran)) == (Outcome.DENIED, [("reply", {"close": True})])

    def test_a_denial_takes_back_nothing_but_what_this_socket_would_have_got(self, socket):
        def tells(message: Any, **kwargs: Any) -> None:
            JsonWebsocketConsumer.group_send("watchers", "refused")
            raise DenyConnection

        ran = socket("connect", streams(Other, tells))
        assert sent(ran) == [
            ("add", "others"),
            ("group", "watchers", {"text": '"refused"'}),
            ("reply", {"close": True}),
        ]

    def test_a_denial_without_an_open_outbox_only_goes_on(self, layer):
        message = Message({"reply_channel": "x", "path": "/"}, "websocket.connect", layer)
        with pytest.raises(DenyConnection):
            streams(raising(DenyConnection()))(message)
        assert layer.receive(["x"]) == ("x", {"accept": True})

    @pytest.mark.parametrize("kind", ["connect", "receive"])
    def test_a_stream_may_close_the_socket_with_a_code(self, socket, kind):
        consumer = streams(raising(WebsocketCloseException(4003)))
        ran = socket(kind, consumer, text=frame("a", {}))
        assert ran.outcome is Outcome.INTERRUPTED
        assert sent(ran)[-1] == ("reply", {"close": 4003})

    def test_close_of_a_multiplexed_consumer_closes_the_socket(self, socket):
        class Closing(JsonWebsocketConsumer):
            def receive(self, content: Any, **kwargs: Any) -> None:
                self.close(4004)

        ran = socket("receive", streams(Closing), text=frame("a", {}))
        assert sent(ran) == [("reply", {"close": 4004})]

    def test_a_denial_that_is_no_refusal_is_logged_and_the_socket_stays_open(self, socket, caplog):
        ran = socket("receive", streams(raising(DenyConnection())), text=frame("a", {}))
        assert (ran.outcome, sent(ran)) == (Outcome.FAILED, [])
        assert "only a consumer of websocket.connect" in caplog.text

    def test_a_stream_that_raises_keeps_no_other_from_its_disconnect(self, socket, caplog):
        broken = [raising(RuntimeError(f"broken {n}")) for n in (1, 2)]
        ran = socket("disconnect", streams(*broken, Other))
        assert ran.outcome is Outcome.FAILED
        assert [what[0] for what in sent(ran)] == ["discard", "group"]
        assert "broken 1" in caplog.text
        assert "broken 2" in caplog.text

    @pytest.mark.parametrize("kind", ["connect", "receive", "disconnect"])
    def test_consume_later_runs_the_whole_message_again(self, layer, kind):
        runs = []

        def later(message: Any, **kwargs: Any) -> None:
            runs.append(message.get("text"))
            if len(runs) < 3:
                raise ConsumeLater

        layer.routing = [route(f"websocket.{kind}", streams(later))]
        layer.worker_options = {"retry_delay": 0.001}
        content = {"reply_channel": REPLY, "path": "/"}
        if kind == "receive":
            content["text"] = frame("a", {"n": 1})
        layer.send(f"websocket.{kind}", content)
        assert work_off(layer) == {"later": 2, "done": 1}
        assert runs == ['{"n": 1}' if kind == "receive" else None] * 3
