"""Socket views in ``urls.py``: where they stand, what they answer, who gets the other paths."""

import asyncio
import functools
import types
import uuid

import pytest
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter
from django.core.checks import run_checks
from django.core.handlers.wsgi import WSGIRequest
from django.test import AsyncRequestFactory, Client, RequestFactory
from django.urls import clear_url_caches, include, path, resolve, reverse

import djchan.urls
from djchan.asgi import ChannelLayerWrapper
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.security.websockets import any_origin
from djchan.sockets.application import path_info
from djchan.urls import Socket, has_socket_views, re_websocket, websocket, websockets
from tests.sockets.talk import Talk, kinds, no_http, scope_of


async def tell(socket: Socket, **captured: object) -> None:
    """Say what was captured, and the way back."""
    await socket.accept()
    await socket.send_text(repr(captured))
    await socket.send_text(reverse("clock", args=[3]))


@any_origin
async def everybody(socket: Socket) -> None:
    await socket.accept()


def page(request):
    raise AssertionError("not for a WebSocket")


URLS = [
    path("page/", page),
    websocket("ws/clock/<int:seconds>/", tell, {"more": 1}, name="clock"),
    re_websocket(r"^ws/re/(?P<word>[a-z]+)/$", tell, name="re"),
    path("api/", include(([websocket("<uuid:key>/", tell, name="inner")], "api"))),
    websocket("open/", everybody),
]


@pytest.fixture(autouse=True)
def urlconf(settings):
    module = types.ModuleType("urlconf_of_this_test")
    module.urlpatterns = URLS
    settings.ROOT_URLCONF = module
    clear_url_caches()
    yield
    clear_url_caches()


async def answer(application, at, **scope):
    """All that the application says to a WebSocket."""
    async with Talk(application, scope_of(at, **scope)) as talk:
        await talk.end()
        return talk.sent


class TestPatterns:
    def test_can_be_reversed_and_resolved(self):
        assert reverse("clock", args=[3]) == "/ws/clock/3/"
        assert reverse("re", kwargs={"word": "abc"}) == "/ws/re/abc/"
        assert reverse("api:inner", args=[uuid.UUID(int=1)]) == f"/api/{uuid.UUID(int=1)}/"
        match = resolve("/ws/clock/3/")
        assert match.kwargs == {"seconds": 3, "more": 1}
        assert match.view_name == "clock"
        assert repr(match.func) == "<SocketView tests.test_urls.tell>"

    def test_pass_djangos_checks(self):
        assert run_checks(tags=["urls"]) == []

    @pytest.mark.parametrize("view", [page, print, Socket, None, "views.clock"])
    def test_a_view_that_is_no_coroutine_function(self, view):
        with pytest.raises(TypeError, match="async def view"):
            websocket("ws/", view)

    def test_a_partial_or_an_object_may_be_one(self):
        class View:
            async def __call__(self, socket):
                pass

        websocket("ws/", functools.partial(tell, x=1))
        websocket("ws/", View())

    def test_are_found_wherever_they_stand(self):
        assert has_socket_views()
        assert has_socket_views([path("api/", include([websocket("x/", tell)]))])
        assert not has_socket_views([path("page/", page), path("api/", include([]))])

    def test_a_project_without_a_urlconf_has_none(self, settings):
        del settings.ROOT_URLCONF
        assert not has_socket_views()


class TestHttp:
    @pytest.mark.parametrize("method", ["get", "head", "post", "options"])
    def test_a_plain_request_is_told_to_upgrade(self, method, settings):
        settings.MIDDLEWARE = [
            *settings.MIDDLEWARE,
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.LoginRequiredMiddleware",
        ]
        response = getattr(Client(enforce_csrf_checks=True), method)("/ws/clock/3/")
        assert response.status_code == 426
        assert "WebSockets" in response.content.decode() or method == "head"

    def test_over_asgi_it_names_the_protocol(self):
        response = resolve("/ws/clock/3/").func(AsyncRequestFactory().get("/ws/clock/3/"))
        assert (response["Upgrade"], response["Connection"]) == ("websocket", "Upgrade")

    def test_over_wsgi_it_cannot(self):
        request = RequestFactory().get("/ws/clock/3/")
        assert isinstance(request, WSGIRequest)
        assert "Upgrade" not in resolve("/ws/clock/3/").func(request)


@pytest.mark.asyncio
class TestPaths:
    @pytest.mark.parametrize(
        ("at", "captured"),
        [
            ("/ws/clock/3/", {"seconds": 3, "more": 1}),
            ("/ws/re/abc/", {"word": "abc"}),
            (f"/api/{uuid.UUID(int=1)}/", {"key": uuid.UUID(int=1)}),
        ],
    )
    async def test_converters_and_kwargs(self, at, captured):
        sent = await answer(websockets(no_http), at)
        assert kinds(sent) == ["accept", "send", "send", "close"]
        assert sent[1]["text"] == repr(captured)
        assert sent[2]["text"] == "/ws/clock/3/"

    @pytest.mark.parametrize("at", ["/ws/clock/x/", "/ws/clock/3", "/page/", "/", "", "/nö/"])
    async def test_another_path_is_a_logged_404(self, at, caplog):
        assert await answer(websockets(no_http), at) == [{"type": "websocket.close"}]
        assert f"Not Found: no socket view has the path {at!r}" in caplog.text

    async def test_with_its_status_where_the_server_can(self):
        extensions = {"websocket.http.response": {}}
        start, body = await answer(websockets(no_http), "/x/", extensions=extensions)
        assert start["status"] == 404
        assert (b"content-type", b"text/plain; charset=utf-8") in start["headers"]
        assert body == {"type": "websocket.http.response.body", "body": b"Not found.\n"}

    async def test_below_a_root_path(self):
        sent = await answer(websockets(no_http), "/app/ws/clock/3/", root_path="/app")
        assert [event.get("text") for event in sent[1:3]] == [
            repr({"seconds": 3, "more": 1}),
            "/app/ws/clock/3/",
        ]

    async def test_below_a_script_name(self, settings):
        settings.FORCE_SCRIPT_NAME = "/app"
        sent = await answer(websockets(no_http), "/app/ws/clock/3/")
        assert sent[2]["text"] == "/app/ws/clock/3/"

    async def test_another_urlconf(self):
        application = websockets(no_http, [websocket("only/<int:seconds>/", tell, name="clock")])
        sent = await answer(application, "/only/5/")
        assert [event.get("text") for event in sent[1:3]] == ["{'seconds': 5}", "/only/3/"]
        assert kinds(await answer(application, "/ws/clock/3/")) == ["close"]

    async def test_a_view_that_cannot_take_what_was_captured(self, caplog):
        async def view(socket):
            pass

        application = websockets(no_http, [websocket("<int:number>/", view)])
        assert kinds(await answer(application, "/5/")) == ["close"]
        assert "unexpected keyword argument 'number'" in caplog.text


@pytest.mark.parametrize(
    ("at", "root", "expected"),
    [
        ("/a/", "", "/a/"),
        ("/app/a/", "/app", "/a/"),
        ("/app/a/", "/app/", "/a/"),
        ("/app", "/app", "/"),
        ("/apple/", "/app", "/apple/"),
        ("/a/", "/app", "/a/"),
    ],
)
def test_path_info(at, root, expected):
    assert path_info(scope_of(at, root_path=root)) == expected


@pytest.mark.asyncio
class TestOthers:
    async def test_what_is_no_websocket_goes_to_the_application_untouched(self):
        seen = []

        async def app(scope, receive, send):
            seen.append((scope, receive, send))

        application = websockets(app)
        for kind in ("http", "lifespan", "else"):
            call = ({"type": kind}, object(), object())
            await application(*call)
            assert all(a is b for a, b in zip(seen.pop(), call, strict=True))

    async def test_other_websockets_go_to_a_fallback(self):
        seen = []

        async def fallback(scope, receive, send):
            seen.append(scope["path"])

        application = websockets(no_http, fallback=fallback)
        await answer(application, "/other/")
        await answer(application, "/ws/clock/3/")
        assert seen == ["/other/"]

    async def test_or_to_the_workers_if_the_application_is_a_layer(self):
        wrapper = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])
        assert websockets(wrapper).fallback is wrapper
        assert websockets(wrapper, fallback=no_http).fallback is no_http
        assert websockets(ProtocolTypeRouter({})).fallback is None

    async def test_the_application_without_an_asgi_file(self):
        application = djchan.urls.application
        assert isinstance(application.app, ChannelLayerWrapper)
        assert application.fallback is application.app
        with pytest.raises(AttributeError, match="aplication"):
            djchan.urls.aplication  # noqa: B018

    async def test_middleware_is_for_the_views_alone(self):
        seen = []

        def middleware(inner):
            async def outer(scope, receive, send):
                seen.append((scope["path"], scope["url_route"]["kwargs"]))
                await inner({**scope, "user": "ada"}, receive, send)

            return outer

        async def view(socket, number):
            await socket.accept()
            await socket.send_text(socket.scope["user"])

        application = websockets(no_http, [websocket("<int:number>/", view)], middleware=middleware)
        assert (await answer(application, "/7/"))[1]["text"] == "ada"
        await answer(application, "/x/")
        assert seen == [("/7/", {"number": 7})]

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("around", [False, True])
    async def test_users_of_channels_4(self, around):
        async def view(socket):
            await socket.accept()
            await socket.send_text(str(socket.scope["user"]))

        urls = [websocket("who/", view)]
        application = (
            ProtocolTypeRouter({"websocket": AuthMiddlewareStack(websockets(no_http, urls))})
            if around
            else websockets(no_http, urls, middleware=AuthMiddlewareStack)
        )
        assert (await answer(application, "/who/"))[1]["text"] == "AnonymousUser"

    async def test_a_limit_that_does_not_exist(self):
        with pytest.raises(TypeError, match="no 'fallbak'"):
            websockets(no_http, fallbak=no_http)


@pytest.mark.asyncio
class TestOrigin:
    @pytest.fixture(autouse=True)
    def hosts(self, settings):
        settings.ALLOWED_HOSTS = ["example.com"]

    @pytest.mark.parametrize("origin", [b"https://example.com", None])
    async def test_our_own_pages_and_no_browser_pass(self, origin):
        headers = [(b"origin", origin)] if origin else []
        assert "accept" in kinds(await answer(websockets(no_http), "/ws/re/a/", headers=headers))

    @pytest.mark.parametrize("origin", [b"https://evil.com", b"null", b""])
    async def test_foreign_ones_do_not(self, origin, caplog):
        scope = {"headers": [(b"origin", origin)], "extensions": {"websocket.http.response": {}}}
        sent = await answer(websockets(no_http), "/ws/re/a/", **scope)
        assert sent[0]["status"] == 403
        assert "tests.test_urls.tell" in caplog.text and "any_origin" in caplog.text

    async def test_unless_the_view_is_for_everybody(self):
        headers = [(b"origin", b"https://evil.com")]
        assert kinds(await answer(websockets(no_http), "/open/", headers=headers)) == [
            "accept",
            "close",
        ]


@pytest.mark.asyncio
async def test_at_shutdown_sockets_are_closed_and_new_ones_refused():
    async def view(socket):
        await socket.accept()
        await asyncio.Event().wait()

    application = websockets(no_http, [websocket("ws/", view)])
    async with Talk(application) as talk:
        await talk.next()
        await application.shutdown()
        assert talk.task.cancelled()
        assert talk.sent[-1] == {"type": "websocket.close", "code": 1012}
    extensions = {"websocket.http.response": {}}
    assert (await answer(application, "/ws/", extensions=extensions))[0]["status"] == 503
