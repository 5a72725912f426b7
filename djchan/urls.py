"""WebSockets in ``urls.py``: views without a consumer, a channel or a queue.

From a project's ``urls.py`` and ``asgi.py``; on to ``djchan.sockets``::

    urlpatterns = [                                        # urls.py
        path("clock/", views.page),
        websocket("ws/clock/<int:seconds>/", views.clock, name="clock"),
    ]
    application = websockets(get_asgi_application())       # asgi.py
    application = websockets(get_channel_layer())          # … workers have the other paths

A project without an ``asgi.py`` serves ``djchan.urls:application``, which is the last line.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.urls import URLPattern, get_resolver, path, re_path

from djchan.asgi import ChannelLayerWrapper, get_channel_layer
from djchan.interface.reactor import when_running
from djchan.sockets.application import Application, SocketView, SocketViews
from djchan.sockets.limits import SocketLimits
from djchan.sockets.socket import Socket
from djchan.utils import name_that_thing

__all__ = ["Socket", "re_websocket", "websocket", "websockets"]

View = Callable[..., Awaitable[object]]


def websocket(
    route: str, view: View, kwargs: Mapping[str, Any] | None = None, name: str | None = None
) -> URLPattern:
    """As Django's ``path()``, for a socket view: ``async def view(socket, **captured)``.

    Raises TypeError for a view that is not a coroutine function.
    """
    return path(route, _socket_view(view), _dict(kwargs), name)


def re_websocket(
    route: str, view: View, kwargs: Mapping[str, Any] | None = None, name: str | None = None
) -> URLPattern:
    """As Django's ``re_path()``, for a socket view. Raises TypeError as ``websocket`` does."""
    return re_path(route, _socket_view(view), _dict(kwargs), name)


def websockets(
    app: Application,
    urlconf: Any = None,
    *,
    fallback: Application | None = None,
    middleware: Callable[[Application], Application] | None = None,
    **limits: float,
) -> SocketViews:
    """An ASGI application: WebSockets to socket views, the rest to ``app``.

    ``urlconf``: a module, its path, or a list of patterns; None: ROOT_URLCONF.
    ``fallback``: the ASGI application for WebSockets to other paths. Without one, they go to
    ``app`` if that is a channel layer's wrapper, and get a logged 404 (403 on servers that
    can refuse with nothing else) if not.
    ``middleware``: ASGI middleware around the views alone (Channels 4's AuthMiddlewareStack).
    ``limits``: see ``djchan.sockets.limits.SocketLimits``; TypeError or ValueError for wrong ones.
    """
    if fallback is None and isinstance(app, ChannelLayerWrapper):
        fallback = app
    views = SocketViews(
        app,
        tuple(urlconf) if isinstance(urlconf, list) else urlconf,
        fallback=fallback,
        middleware=middleware,
        limits=SocketLimits.parse(limits),
    )
    when_running(views.warm_up)
    return views


def has_socket_views(patterns: Iterable[Any] | None = None) -> bool:
    """Whether there is a socket view among URL patterns; None: those of ROOT_URLCONF, if set."""
    return any(True for _ in socket_views(patterns))


def socket_views(patterns: Iterable[Any] | None = None) -> Iterable[SocketView]:
    """The socket views among URL patterns; None: those of ROOT_URLCONF, if set."""
    if patterns is None:
        patterns = get_resolver().url_patterns if hasattr(settings, "ROOT_URLCONF") else ()
    found: Any  # A URLPattern, or a URLResolver, which has patterns of its own.
    for found in patterns:
        if hasattr(found, "url_patterns"):
            yield from socket_views(found.url_patterns)
        elif isinstance(found.callback, SocketView):
            yield found.callback


def _dict(kwargs: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if kwargs is None else dict(kwargs)


def _socket_view(view: Any) -> SocketView:
    if not callable(view) or not (
        iscoroutinefunction(view) or iscoroutinefunction(getattr(view, "__call__", None))  # noqa: B004
    ):
        raise TypeError(
            f"A socket view is a coroutine function, `async def view(socket, …)`; "
            f"{name_that_thing(view)} is not. A WebSocket for plain functions is a routed "
            "consumer: djchan.route."
        )
    return SocketView(cast(View, view))


if TYPE_CHECKING:
    application: SocketViews
else:

    def __getattr__(name: str) -> Any:
        # `daphne djchan.urls:application` with nothing but DJANGO_SETTINGS_MODULE.
        if name == "application":
            return websockets(get_channel_layer())
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
