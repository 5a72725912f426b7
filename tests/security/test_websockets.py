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
    foreign_host_in,
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


# ------------------------------------------------------------------- strict origins


def shaken(origin, *, host=b"example.com", scheme="ws", **more):
    headers = [[b"host", host], [b"origin", origin]]
    headers += [[name.encode(), value] for name, value in more.items()]
    return SimpleNamespace(content={"path": "/", "headers": headers, "scheme": scheme})


@pytest.fixture
def strict(settings):
    settings.CHANNEL_STRICT_ORIGIN = True
    settings.CSRF_TRUSTED_ORIGINS = ["https://app.example.net", "https://*.example.org"]


SAME = [
    (b"http://example.com", b"example.com", "ws"),
    (b"https://example.com", b"example.com", "wss"),
    (b"https://EXAMPLE.com", b"example.com:443", "wss"),
    (b"http://example.com:8000", b"example.com:8000", "ws"),
    (b"https://app.example.net", b"example.com", "ws"),
    (b"https://a.example.org", b"example.com", "wss"),
]
DIFFERENT = [
    (b"http://example.com", b"example.com", "wss"),
    (b"https://example.com", b"example.com", "ws"),
    (b"http://example.com:8000", b"example.com", "ws"),
    (b"http://example.com", b"example.com:8000", "ws"),
    (b"http://example.org", b"example.com", "ws"),
    (b"http://evil.com", b"evil.com", "ws"),
    (b"http://app.example.net", b"example.com", "ws"),
    (b"https://app.example.net:8443", b"example.com", "ws"),
    (b"http://a.example.org", b"example.com", "ws"),
    (b"https://a.example.org:8443", b"example.com", "ws"),
    (b"https://a.example.org.evil.com", b"example.com", "ws"),
    (b"http://user@example.com", b"example.com", "ws"),
    (b"http://example.com:x", b"example.com", "ws"),
    (b"null", b"example.com", "ws"),
]


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize(("origin", "host", "scheme"), SAME, ids=repr)
def test_strictly_the_handshakes_own_origin_and_trusted_ones_pass(origin, host, scheme):
    assert foreign_origin(shaken(origin, host=host, scheme=scheme)) is None


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize(("origin", "host", "scheme"), DIFFERENT, ids=repr)
def test_strictly_another_scheme_or_port_does_not(origin, host, scheme):
    assert foreign_origin(shaken(origin, host=host, scheme=scheme)) is not None


@pytest.mark.usefixtures("strict")
def test_strictly_a_proxy_says_whether_it_is_secure_where_django_believes_it(settings):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    secure = {"x-forwarded-proto": b"https"}
    assert foreign_origin(shaken(b"https://example.com", **secure)) is None
    assert foreign_origin(shaken(b"http://example.com", **secure)) is not None
    assert foreign_origin(shaken(b"https://example.com", **{"x-forwarded-proto": b"http"}))


def test_without_the_setting_scheme_and_port_do_not_matter():
    assert foreign_origin(shaken(b"http://example.com:8000", scheme="wss")) is None


# ------------------------------------------------------------------------- hosts


@pytest.mark.parametrize(
    "host", [b"example.com", b"example.com:80", b"[::1]:8000", b"a.example.org"]
)
def test_our_own_hosts_pass(host):
    assert foreign_host_in([[b"host", host]]) is None


@pytest.mark.parametrize(
    "host",
    [b"evil.com", b"example.com.evil.com", b"", b"example.com@evil.com", b"a b", b"\xff"],
)
def test_other_hosts_do_not(host):
    assert foreign_host_in([[b"host", host]]) is not None
    assert foreign_host_in([[b"host", b"example.com"], [b"host", host]]) is not None


def test_a_missing_host_passes():
    assert foreign_host_in([]) is None and foreign_host_in(None) is None


def test_the_host_that_a_proxy_forwards_counts_where_django_believes_it(settings):
    headers = [[b"host", b"inner"], [b"x-forwarded-host", b"example.com"]]
    assert foreign_host_in(headers) == "inner"
    settings.USE_X_FORWARDED_HOST = True
    assert foreign_host_in(headers) is None
    assert foreign_host_in([[b"x-forwarded-host", b"evil.com"], [b"host", b"example.com"]])
