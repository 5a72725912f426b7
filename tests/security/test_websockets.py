"""djchan.security.websockets: whose pages may open a socket."""

import asyncio
from types import SimpleNamespace

import pytest
from asgiref.sync import iscoroutinefunction

from djchan.exceptions import DenyConnection
from djchan.security.websockets import (
    AllowedHostsOnlyOriginValidator,
    BaseOriginValidator,
    allowed_hosts_only,
    any_origin,
    foreign_origin,
)


@pytest.fixture(autouse=True)
def hosts(settings):
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["example.com", ".example.org", "[::1]"]


def connecting(origin=None, *, headers=None):
    if headers is None:
        headers = [[b"host", b"example.com"]]
        if origin is not None:
            headers.append([b"origin", origin])
    return SimpleNamespace(content={"path": "/", "headers": headers})


OURS = [
    b"http://example.com",
    b"https://EXAMPLE.com:8443",
    b"https://example.com.",
    b"http://example.org",
    b"http://a.b.example.org:80",
    b"http://[::1]:8000",
]
FOREIGN = [
    b"http://evil.com",
    b"http://example.com.evil.com",
    b"http://notexample.org",
    b"http://sub.example.com",
    b"http://example.com@evil.com",
    b"null",
    b"",
    b"file://",
    b"example.com",
    b"http://[::1",
    b"http://[::2]",
    b"http://example.com, http://evil.com",
    "http://exämple.com".encode(),
    b"http://\xff.com",
]


@pytest.mark.parametrize("origin", OURS, ids=repr)
def test_our_own_pages_pass(origin):
    assert foreign_origin(connecting(origin)) is None
    assert allowed_hosts_only(lambda message: "ran")(connecting(origin)) == "ran"


@pytest.mark.parametrize("origin", FOREIGN, ids=repr)
def test_foreign_pages_do_not(origin):
    assert foreign_origin(connecting(origin))
    with pytest.raises(DenyConnection):
        allowed_hosts_only(lambda message: "ran")(connecting(origin))


def test_no_origin_is_no_browser_and_only_the_strict_form_refuses_it():
    for message in (
        connecting(),
        connecting(headers=[]),
        connecting(headers=[[]]),
        SimpleNamespace(content={}),
    ):
        assert foreign_origin(message) is None
        with pytest.raises(DenyConnection):
            allowed_hosts_only(lambda message: "ran")(message)


def test_a_foreign_origin_is_named_as_it_can_be_logged():
    assert foreign_origin(connecting(b"http://evil.com")) == "http://evil.com"
    assert foreign_origin(connecting(b"http://\xff.com")) == "http://\\xff.com"
    assert foreign_origin(connecting(b"")) == "(empty)"


def test_one_foreign_origin_among_several_is_one_too_many():
    headers = [[b"origin", b"http://example.com"], [b"origin", b"http://evil.com"]]
    assert foreign_origin(connecting(headers=headers)) == "http://evil.com"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": b"http://evil.com"},
        {"Origin": "http://evil.com"},
        [("Origin", "http://evil.com")],
        ((b"origin", b"http://evil.com"),),
    ],
)
def test_headers_may_be_a_dict_or_pairs_of_text(headers):
    assert foreign_origin(connecting(headers=headers)) == "http://evil.com"
    ok = {"origin": b"http://example.com"}
    assert allowed_hosts_only(lambda message: "ran")(connecting(headers=ok)) == "ran"


def test_a_star_admits_every_site_but_no_page_without_one(settings):
    settings.ALLOWED_HOSTS = ["*"]
    assert foreign_origin(connecting(b"http://evil.com")) is None
    assert foreign_origin(connecting(b"null")) == "null"


def test_without_hosts_debug_admits_this_machine_and_production_nobody(settings):
    settings.ALLOWED_HOSTS = []
    local = [
        b"http://localhost:8000",
        b"http://a.localhost",
        b"http://127.0.0.1",
        b"http://[::1]:1",
    ]
    for origin in local:
        assert foreign_origin(connecting(origin)) == origin.decode()
    settings.DEBUG = True
    for origin in local:
        assert foreign_origin(connecting(origin)) is None
    assert foreign_origin(connecting(b"http://example.com"))


def test_the_decorator_takes_arguments_and_keeps_the_name():
    @allowed_hosts_only
    def ws_connect(message, *args, **kwargs):
        """Says hello."""
        return args, kwargs

    assert ws_connect(connecting(OURS[0]), 1, room="x") == ((1,), {"room": "x"})
    assert (ws_connect.__name__, ws_connect.__doc__) == ("ws_connect", "Says hello.")


def test_the_decorator_works_on_methods():
    class Room:
        def __init__(self, name):
            self.name = name

        @allowed_hosts_only
        def connect(self, message, **kwargs):
            return self.name, kwargs

        @classmethod
        @allowed_hosts_only
        def of_class(cls, message):
            return cls

    assert Room("a").connect(connecting(OURS[0]), x="1") == ("a", {"x": "1"})
    assert Room("b").connect(connecting(OURS[0])) == ("b", {})
    assert isinstance(Room.connect, AllowedHostsOnlyOriginValidator)
    with pytest.raises(DenyConnection):
        Room("a").connect(connecting(FOREIGN[0]))


def test_the_decorator_works_on_async_consumers():
    @allowed_hosts_only
    async def ws_connect(message):
        return "ran"

    assert iscoroutinefunction(ws_connect)
    assert asyncio.run(ws_connect(connecting(OURS[0]))) == "ran"
    with pytest.raises(DenyConnection):
        ws_connect(connecting(FOREIGN[0]))
    assert not iscoroutinefunction(allowed_hosts_only(lambda message: None))


def test_validators_of_a_projects_own():
    class OnlySecure(BaseOriginValidator):
        def validate_origin(self, message, origin):
            return origin.startswith("https:")

    secured = OnlySecure(lambda message: "ran")
    assert secured(connecting(b"https://evil.com")) == "ran"
    with pytest.raises(DenyConnection):
        secured(connecting(b"http://example.com"))
    assert secured.get_header(connecting(b"https://x"), b"origin")[0] == b"https://x"
    assert secured.get_header(connecting(b"https://x"), "host") == [b"example.com"]
    with pytest.raises(KeyError):
        secured.get_header(connecting(), b"origin")
    with pytest.raises(NotImplementedError):
        BaseOriginValidator(lambda message: None)(connecting(OURS[0]))


def test_any_origin_marks_consumers():
    @any_origin
    def ws_connect(message):
        pass

    class Room:
        def connect(self, message):
            pass

    assert ws_connect.any_origin is True
    assert any_origin(Room().connect).any_origin is True
    assert any_origin(Room).any_origin is True
    assert allowed_hosts_only(ws_connect).any_origin is True
