"""djchan.routing: which consumer gets a message, with which keyword arguments."""

import logging
import re
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

from djchan import routing as routing_module
from djchan.exceptions import DenyConnection
from djchan.generic.base import BaseConsumer
from djchan.message import Message
from djchan.routing import (
    Include,
    Route,
    RouteClass,
    Router,
    connect_consumer,
    deny_consumer,
    include,
    null_consumer,
    route,
    route_class,
)


def consumer_1(message, **kwargs):
    pass


def consumer_2(message, **kwargs):
    pass


def consumer_3(message, **kwargs):
    pass


class ClassConsumer:
    @classmethod
    def channel_names(cls):
        return {"test.channel", "test.channel_2"}


class Duck:
    """A route of a project's own."""

    def __init__(self, names, answer):
        self.names = names
        self.answer = answer
        self.seen = []

    def channel_names(self):
        return set(self.names)

    def match(self, message):
        self.seen.append(message)
        return self.answer(message) if callable(self.answer) else self.answer


sub_routing = [route("websocket.connect", consumer_2, path=r"^/room/(?P<room>[a-z]+)/$")]
dict_routing = {"http.request": consumer_1, "thumbnails": "routing_of_the_tests.consumer_2"}
no_routing = 7


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Dotted paths to this module, whatever name pytest has imported it by."""
    monkeypatch.setitem(sys.modules, "routing_of_the_tests", sys.modules[__name__])


def message(channel="websocket.connect", **content):
    return Message(content, channel, channel_layer="fake channel layer")


def matched(router, channel="websocket.connect", **content):
    return router.match(message(channel, **content))


# ------------------------------------------------------------------ one route


def test_a_route_takes_its_channels_and_no_others():
    router = Router([route(["a", b"b"], consumer_1)])
    assert matched(router, "a") == (consumer_1, {})
    assert matched(router, "b") == (consumer_1, {})
    assert matched(router, "c") is None
    assert matched(router, "a.b") is None
    assert router.channels == {"a", "b"}
    assert route(b"a", consumer_1).channels == {"a"}


def test_the_first_match_wins():
    router = Router(
        [
            route("a", consumer_1, text="^1"),
            route("a", consumer_2),
            route("a", consumer_3),
        ]
    )
    assert matched(router, "a", text="1") == (consumer_1, {})
    assert matched(router, "a", text="2") == (consumer_2, {})


def test_filters_match_from_the_start_and_all_of_them():
    router = Router([route("a", consumer_1, path=r"/chat/", method="P")])
    assert matched(router, "a", path="/chat/x", method="POST") == (consumer_1, {})
    assert matched(router, "a", path="/chat/", method="GET") is None
    assert matched(router, "a", path="x/chat/", method="POST") is None
    assert matched(router, "a", path="/chat/") is None


def test_named_groups_become_text_and_missing_ones_none():
    router = Router(
        [route("a", consumer_1, path=r"^/(?P<year>\d+)/(?P<month>\d+/)?$", q="(?P<q>.)")]
    )
    assert matched(router, "a", path="/2017/", q="z") == (
        consumer_1,
        {"year": "2017", "month": None, "q": "z"},
    )


def test_positional_groups_are_refused():
    with pytest.raises(ValueError, match="positional group"):
        route("a", consumer_1, path=r"^/(\d+)/(?P<x>.)")
    assert Include([route("a", consumer_1)], path="^/(x|y)")


@pytest.mark.parametrize(
    "pattern", ["^/é?foo", b"^/foo", re.compile("^/foo"), re.compile(b"^/foo")], ids=repr
)
@pytest.mark.parametrize("value", ["/foo/", b"/foo/"], ids=repr)
def test_patterns_and_values_may_be_text_or_bytes(pattern, value):
    assert matched(Router([route("a", consumer_1, path=pattern)]), "a", path=value)
    inner = [route("a", consumer_1, path="^/$")]
    assert matched(Router([include(inner, path=pattern)]), "a", path=value)


def test_a_compiled_pattern_keeps_its_flags():
    router = Router([route("a", consumer_1, path=re.compile(b"^/foo", re.IGNORECASE))])
    assert matched(router, "a", path="/FOO")


@pytest.mark.parametrize("value", [5, 5.0, None, True, ["x"], {"x": 1}, b"\xff", ("x",)])
def test_what_is_no_text_does_not_match_and_hurts_nobody(value):
    router = Router(
        [
            route("a", consumer_1, command=".*"),
            include([route("a", consumer_2)], command=".*"),
            route("a", consumer_3),
        ]
    )
    assert matched(router, "a", command=value) == (consumer_3, {})


def test_dotted_paths_are_imported_at_once():
    assert route("a", "routing_of_the_tests.consumer_1").consumer is consumer_1
    for wrong in ("routing_of_the_tests.missing", "no_such_module.consumer", "nodots", ""):
        with pytest.raises(ImproperlyConfigured, match="Cannot import consumer"):
            route("a", wrong)


@pytest.mark.parametrize("filter_", [5, True, None, ["x"], "(", "(?P<x>"])
def test_a_filter_that_is_no_regular_expression_is_named(filter_):
    with pytest.raises(ImproperlyConfigured, match="path="):
        route("a", consumer_1, path=filter_)


def test_a_consumer_must_be_callable():
    with pytest.raises(ImproperlyConfigured, match="cannot be called"):
        route("a", 7)
    with pytest.raises(ImproperlyConfigured, match="cannot be called"):
        route("a", "routing_of_the_tests.no_routing")


def test_str():
    name = f"{__name__}.consumer_1"
    assert str(route("a", consumer_1)) == f"a -> {name}"
    assert (
        str(route(["b", "a"], consumer_1, path="^/x", q=b"y")) == f"a/b (path=^/x, q=y) -> {name}"
    )


# ---------------------------------------------------------------- route_class


def test_a_class_says_its_channels():
    router = Router([route_class(ClassConsumer, path="^/x/(?P<n>.)")])
    assert router.channels == {"test.channel", "test.channel_2"}
    assert matched(router, "test.channel_2", path="/x/1") == (ClassConsumer, {"n": "1"})
    assert matched(router, "test.channel_2", path="/y/1") is None
    assert RouteClass("routing_of_the_tests.ClassConsumer").consumer is ClassConsumer


def test_a_class_without_channel_names_is_refused():
    with pytest.raises(ValueError, match="channel_names"):
        route_class(consumer_1)


# -------------------------------------------------------------------- include


def test_an_include_takes_its_prefix_off_for_its_routes_only():
    router = Router(
        [
            include("routing_of_the_tests.sub_routing", path=r"^/chat(?P<version>\d)?"),
            route("websocket.connect", consumer_3, path="^/chat/room/UP/$"),
        ]
    )
    whole = message(path="/chat2/room/abc/", headers=[[b"a", b"b"]])
    content = whole.content
    assert router.match(whole) == (consumer_2, {"version": "2", "room": "abc"})
    assert whole.content is content
    assert whole["path"] == "/chat2/room/abc/"
    assert matched(router, path="/chat/room/UP/") == (consumer_3, {})
    assert matched(router, path="/other/room/abc/") is None
    assert router.channels == {"websocket.connect"}


def test_includes_nest_and_the_inner_value_wins():
    router = Router(
        [
            include(
                [
                    include(
                        [route("a", consumer_1, path="^/(?P<n>3)")], path="^/(?P<n>2)(?P<two>.)"
                    ),
                    route("a", consumer_2, path="^/(?P<rest>.*)"),
                ],
                path="^/(?P<n>1)",
                method="^(?P<verb>GET|P)",
            ),
        ]
    )
    assert matched(router, "a", path="/1/2x/3", method="GET") == (
        consumer_1,
        {"n": "3", "two": "x", "verb": "GET"},
    )
    # What the inner include has taken off is there again for its neighbors.
    assert matched(router, "a", path="/1/2x/4", method="GET") == (
        consumer_2,
        {"n": "1", "verb": "GET", "rest": "2x/4"},
    )
    assert matched(router, "a", path="/1/2x/3") is None


def test_an_include_without_prefix_keeps_the_order():
    router = Router(
        [
            route("a", consumer_1, path="^/1"),
            include([route("b", consumer_1), route("a", consumer_2)]),
            route("a", consumer_3),
        ]
    )
    assert matched(router, "a", path="/1") == (consumer_1, {})
    assert matched(router, "a", path="/2") == (consumer_2, {})
    assert matched(router, "b") == (consumer_1, {})


def test_an_include_and_a_route_can_be_asked_directly():
    inner = Include(sub_routing, path="^/chat")
    assert inner.match(message(path="/chat/room/abc/")) == (consumer_2, {"room": "abc"})
    assert inner.match(message("websocket.receive", path="/chat/room/abc/")) is None
    assert inner.match(message(path="/x")) is None
    assert Route("a", consumer_1).match(message("a")) == (consumer_1, {})
    assert Route("a", consumer_1).match(message("b")) is None


def test_routing_that_cannot_be_read_is_named():
    for wrong in ("routing_of_the_tests.missing", "no_such.routing", "nodots"):
        with pytest.raises(ImproperlyConfigured, match="Cannot import channel routing"):
            include(wrong)
    with pytest.raises(ImproperlyConfigured, match="no_routing"):
        Router("routing_of_the_tests.no_routing")
    with pytest.raises(ImproperlyConfigured, match="is no route"):
        Router([consumer_1])
    with pytest.raises(ImproperlyConfigured, match="is no route"):
        Router([route("a", consumer_1)]).add_route("b")


# --------------------------------------------------------------------- Router


@pytest.mark.parametrize("kind", [list, tuple, lambda routes: (item for item in routes)])
def test_any_sequence_is_a_routing(kind):
    router = Router(kind([route("a", consumer_1), include(kind([route("b", consumer_2)]))]))
    assert matched(router, "b") == (consumer_2, {})
    assert matched(router, "a") == (consumer_1, {})


@pytest.mark.parametrize(
    "routing", [dict_routing, "routing_of_the_tests.dict_routing"], ids=["itself", "path"]
)
def test_a_dict_is_a_routing(routing):
    router = Router(routing)
    assert router.channels == {"http.request", "thumbnails"}
    assert matched(router, "thumbnails") == (consumer_2, {})
    assert matched(router, "http.request", path="/") == (consumer_1, {})


def test_added_routes_come_last_and_not_into_the_projects_list():
    mine = [route("a", consumer_1, path="^/1")]
    router = Router(mine)
    assert matched(router, "a", path="/2") is None
    router.add_route(route("a", consumer_2))
    router.add_route(route("b", consumer_3))
    assert matched(router, "a", path="/1") == (consumer_1, {})
    assert matched(router, "a", path="/2") == (consumer_2, {})
    assert matched(router, "b") == (consumer_3, {})
    assert router.channels == {"a", "b"}
    assert len(mine) == 1
    assert Router((mine[0],)).add_route(route("b", consumer_3)) is None


def test_a_root_that_was_replaced_counts():
    router = Router([route("a", consumer_1)])
    assert matched(router, "a") == (consumer_1, {})
    router.root = Include([route("a", consumer_2)])
    assert matched(router, "a") == (consumer_2, {})


def test_the_default_routes():
    mine = [route("websocket.connect", consumer_1, path="^/chat")]
    router = Router(mine)
    assert matched(router, path="/x") is None
    router.check_default(http_consumer=consumer_3)
    assert matched(router, path="/chat") == (consumer_1, {})
    assert matched(router, path="/x") == (connect_consumer, {})
    assert matched(router, "websocket.receive", path="/x") == (null_consumer, {})
    assert matched(router, "websocket.disconnect", path="/x") == (null_consumer, {})
    assert matched(router, "http.request", path="/x") == (consumer_3, {})
    assert len(mine) == 1


def test_the_default_routes_stay_one_of_each_and_last():
    router = Router([])
    router.check_default(http_consumer=consumer_1)
    router.check_default()
    router.add_route(route("websocket.receive", consumer_2))
    router.check_default()
    assert len(router.root.routing) == 5
    assert matched(router, "http.request") == (consumer_1, {})
    assert matched(router, "websocket.receive") == (consumer_2, {})
    router.check_default(http_consumer=consumer_3)
    assert matched(router, "http.request") == (consumer_3, {})
    assert len(router.root.routing) == 5


def test_the_end_of_a_request_is_taken_where_some_route_names_it():
    some = route("http.disconnect", consumer_1, path="^/held/")
    for router in (Router([include([some], path="^/in")]), Router([])):
        router.check_default(http_consumer=consumer_3)
        if "http.disconnect" in router.channels:
            assert matched(router, "http.disconnect", path="/page/") == (null_consumer, {})
        router.add_route(some)
        assert matched(router, "http.disconnect", path="/held/") == (consumer_1, {})
        assert matched(router, "http.disconnect", path="/page/") == (null_consumer, {})


def test_nothing_is_sent_to_a_channel_that_no_route_names():
    router = Router([])
    router.check_default(http_consumer=consumer_3)
    assert "http.disconnect" not in router.channels, "workers do not serve it"


def test_views_are_the_default_for_http():
    router = Router([])
    router.check_default()
    views, _ = matched(router, "http.request", path="/")
    assert type(views).__name__ == "ViewConsumer"
    assert "djchan.handler" not in vars(routing_module)


def test_unrouted_sockets_can_be_denied():
    router = Router([route("websocket.connect", consumer_1, path="^/chat")])
    router.check_default(consumer_3, deny_unrouted=True)
    router.check_default()
    assert matched(router, path="/chat") == (consumer_1, {})
    assert matched(router, path="/x") == (deny_consumer, {})
    with pytest.raises(DenyConnection):
        deny_consumer(message(path="/x"))
    router.check_default(deny_unrouted=False)
    assert matched(router, path="/x") == (connect_consumer, {})


RECEIVES = route("websocket.receive", consumer_1, path="^/chat")
CONNECTS = route("websocket.connect", consumer_1, path="^/chat")


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize(
    ("routes", "deny", "channel", "path", "what"),
    [
        ([CONNECTS], False, "websocket.connect", "/x", "accepted, as by default"),
        ([], False, "websocket.connect", "/x", "accepted, as by default"),
        ([RECEIVES, CONNECTS], True, "websocket.connect", "/x", "refused (deny_unrouted)"),
        ([RECEIVES], False, "websocket.receive", "/x", "dropped"),
        ([CONNECTS], False, "websocket.connect", "/chat/", None),
        ([RECEIVES], False, "websocket.receive", "/chat/", None),
        # A project that lets everybody in has no route to tell it from.
        ([RECEIVES], False, "websocket.connect", "/chat/", None),
        ([RECEIVES], False, "websocket.disconnect", "/x", None),
    ],
)
def test_a_socket_on_an_unrouted_path_is_logged(
    caplog, settings, debug, routes, deny, channel, path, what
):
    settings.DEBUG = debug
    router = Router(routes)
    router.check_default(consumer_3, deny_unrouted=deny)
    with caplog.at_level(logging.DEBUG, logger="djchan.routing"):
        matched(router, channel, path=path)
    lines = [each.getMessage() for each in caplog.records]
    asked = message(channel, path=path)
    assert lines == ([f"No route takes {asked} (path '{path}'): it is {what}."] if what else [])
    assert {each.levelname for each in caplog.records} <= {"INFO" if debug else "DEBUG"}


def test_the_default_consumers():
    sent = []
    asked = message(path="/x")
    asked.reply_channel = type("Reply", (), {"send": lambda self, content: sent.append(content)})()
    connect_consumer(asked, some="kwarg")
    assert sent == [{"accept": True}]
    assert null_consumer(asked, 1, some="kwarg") is None


# ----------------------------------------------------- routes of a project's own


def test_a_duck_is_a_route_anywhere():
    duck = Duck(
        {"a"}, lambda message: (consumer_1, {"p": message["path"]}) if message["ok"] else None
    )
    router = Router(
        [
            route("a", consumer_3, path="^/first"),
            include([duck, route("a", consumer_2)], path="^/(?P<n>x)"),
        ]
    )
    assert router.channels == {"a"}
    assert matched(router, "a", path="/first", ok=True) == (consumer_3, {})
    assert matched(router, "a", path="/x/1", ok=True) == (consumer_1, {"n": "x", "p": "/1"})
    assert matched(router, "a", path="/x/1", ok=False) == (consumer_2, {"n": "x"})
    assert matched(router, "a", path="/y/1", ok=True) is None


def test_a_duck_is_asked_for_channels_it_did_not_name():
    duck = Duck(set(), lambda message: (consumer_1, {}) if message.channel.name == "z" else None)
    router = Router([route("a", consumer_2), duck])
    assert matched(router, "z") == (consumer_1, {})
    assert matched(router, "a") == (consumer_2, {})
    assert matched(router, "b") is None


def test_what_a_duck_does_to_the_message_stays_with_it():
    def spoil(message):
        message["path"] = "/spoiled"
        message.content["more"] = 1

    duck = Duck({"a"}, spoil)
    router = Router([duck, route("a", consumer_1, path="^/x")])
    whole = message("a", path="/x")
    assert router.match(whole) == (consumer_1, {})
    assert whole.content == {"path": "/x"}
    assert duck.seen[0] is not whole
    assert duck.seen[0].channel.name == "a"


def test_a_subclass_with_a_match_of_its_own_is_asked():
    class Never(Route):
        def match(self, message):
            super().match(message)
            return None

    class Shouting(Include):
        def match(self, message):
            found = super().match(message)
            return found and (found[0], {**found[1], "loud": "!"})

    router = Router(
        [
            Never("a", consumer_1),
            Shouting([route("a", consumer_2)], path="^/(?P<n>.)"),
        ]
    )
    assert matched(router, "a", path="/1") == (consumer_2, {"n": "1", "loud": "!"})
    assert matched(router, "a", path="x") is None


def test_a_prefix_does_not_copy_what_the_message_holds():
    class Untouchable(bytes):
        def __deepcopy__(self, memo):
            raise AssertionError("copied")

        __copy__ = __deepcopy__

    router = Router([include([route("a", consumer_1, path="^/x")], path="^/p")])
    assert matched(router, "a", path="/p/x", body=Untouchable(b"big")) == (consumer_1, {})


def test_normalise_re_arg():
    assert Router.normalise_re_arg(b"abc") == "abc"
    assert Router.normalise_re_arg("abc") == "abc"
    assert Router.resolve_routing([]) == []


class TestMethodNames:
    """A name in method_mapping that is no method is found when the routing is read."""

    @pytest.mark.parametrize("mapping", [{"jobs": "wrok"}, {"jobs": None}, {"jobs": "number"}])
    def test_one_that_is_not_there(self, mapping):
        class Jobs(BaseConsumer):
            method_mapping = mapping
            number = 7

            def work(self, message):
                pass

        for make in (route_class, lambda consumer: consumer.as_route()):
            with pytest.raises(ImproperlyConfigured) as raised:
                make(Jobs)
            text = str(raised.value)
            assert "TestMethodNames" in text and "Jobs has no method" in text
            assert repr(mapping["jobs"]) in text and "'jobs'" in text

    def test_one_that_is(self):
        class Jobs(BaseConsumer):
            method_mapping = {"jobs": "work"}  # noqa: RUF012

            def work(self, message):
                pass

        assert route_class(Jobs).channels == {"jobs"}

    def test_a_class_that_says_itself_what_it_takes(self):
        class Own:
            @staticmethod
            def channel_names():
                return {"jobs"}

        assert route_class(Own).channels == {"jobs"}
