"""The ASGI application that runs socket views and hands everything else on.

From an ASGI server, or a router before it; on to ``run`` for a WebSocket whose path is a
socket view's, to ``fallback`` for other WebSockets, and to the wrapped application for
whatever is no WebSocket::

    websocket, a socket view's path ──► middleware ──► run ──► view
    websocket, any other path       ──► fallback, or 404
    http, lifespan, …               ──► the wrapped application, untouched
"""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from django.core.handlers.asgi import get_script_prefix
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, ResolverMatch, get_resolver, set_script_prefix, set_urlconf

from djchan.conf import setting
from djchan.hidden import hidden_keys
from djchan.interface import bounds, daphne, reactor
from djchan.interface.journal import Journal
from djchan.legible import value
from djchan.log import escaping
from djchan.security.admission import report_host, report_origin
from djchan.security.websockets import foreign_host_in, foreign_origin_in
from djchan.sockets.limits import SocketLimits
from djchan.sockets.run import run
from djchan.sockets.server import Receive, Scope, Send, Server
from djchan.sockets.socket import Socket
from djchan.throttling import throttle, throttled
from djchan.utils import name_that_thing

logger = escaping(logging.getLogger(__name__))

Application = Callable[[Any, Any, Any], Awaitable[Any]]

_MATCH, _DAPHNE = "djchan.match", "djchan.daphne"  # In the scope, for the way through middleware.


class SocketView:
    """A socket view among Django's URL patterns; to a plain HTTP request it answers 426."""

    # Of an answer that is the same for everybody nothing is to be protected.
    csrf_exempt = True
    login_required = False

    def __init__(self, view: Callable[..., Awaitable[object]]) -> None:
        functools.update_wrapper(self, view, updated=())
        self.view = view

    @property
    def any_origin(self) -> bool:
        """Whether pages of all sites may connect (``djchan.security.websockets.any_origin``)."""
        return bool(getattr(self.view, "any_origin", False))

    def __call__(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        response = HttpResponse(
            "This address takes WebSockets only (ws:// or wss://).\n",
            status=426,
            content_type="text/plain; charset=utf-8",
        )
        # RFC 9110, section 15.5.22; a WSGI server takes no header of one connection (PEP 3333).
        if "wsgi.version" not in request.META:
            response["Upgrade"] = "websocket"
            response["Connection"] = "Upgrade"
        return response

    def __repr__(self) -> str:
        return f"<SocketView {name_that_thing(self.view)}>"


class SocketViews:
    """See ``djchan.urls.websockets``."""

    def __init__(
        self,
        app: Application,
        urlconf: Any = None,
        *,
        fallback: Application | None,
        middleware: Callable[[Application], Application] | None,
        limits: SocketLimits,
    ) -> None:
        self.app = app
        self.urlconf = urlconf
        self.fallback = fallback
        self.limits = limits
        self.draining = False
        self._inner: Application = self._run if middleware is None else middleware(self._run)
        self._running: set[asyncio.Task[Any]] = set()
        self._drained_server: Any = None
        self._journal = Journal(logger)

    def warm_up(self) -> None:
        """The server is about to run: bound what clients can make Daphne hold."""
        throttle.is_on = True
        for server in bounds.servers():
            self._bound(server)

    def _bound(self, server: Any) -> None:
        bounds.bound_sockets(
            server,
            outgoing=self.limits.outgoing_bytes,
            journal=self._journal,
            hidden=hidden_keys(),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        match = self.find(scope)
        if match is not None:
            await self._serve(scope, receive, send, match)
        elif self.fallback is not None:
            await self.fallback(scope, receive, send)
        else:
            throttled(
                logger,
                logging.INFO,
                "not found",
                "Not Found: no socket view has the path %s",
                value(scope["path"]),
            )
            await self._refuse(scope, receive, send, 404, "Not found.")

    def find(self, scope: Scope) -> ResolverMatch | None:
        """What Django's resolver finds for a scope's path, if that is a socket view."""
        try:
            match = get_resolver(self.urlconf).resolve(path_info(scope))
        except Resolver404:
            return None
        return match if isinstance(match.func, SocketView) else None

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, match: ResolverMatch
    ) -> None:
        found: Any = match.func  # A SocketView.
        protocol = daphne.find_socket(send)
        if protocol is not None and self._drained_server is not protocol.server:
            self._drained_server = protocol.server
            reactor.drain_at_shutdown(self, protocol.server)
            self._bound(protocol.server)
        if self.draining:
            await self._refuse(scope, receive, send, 503, "The server stops.")
            return
        if self._is_refused(scope, found, protocol):
            await self._refuse(scope, receive, send, 403, "Refused.")
            return
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            # As Channels 4's URLRouter has it, for middleware written for that.
            route = {"args": match.args, "kwargs": match.kwargs}
            own = {"url_route": route, _MATCH: match, _DAPHNE: protocol}
            await self._inner({**scope, **own}, receive, send)
        finally:
            self._running.discard(task)

    def _is_refused(self, scope: Scope, found: Any, protocol: Any) -> bool:
        """Whether it is from a page of another site, or for a host that is none of ours."""
        headers, path = scope.get("headers"), scope["path"]
        if not found.any_origin:
            scheme = scope.get("scheme") or daphne.scheme_of(protocol)
            origin = foreign_origin_in(headers, scheme=scheme)
            if origin is not None:
                report_origin(logger, path, origin, "view", found.view)
                return True
        if setting("CHANNEL_WEBSOCKET_HOSTS") and not getattr(found.view, "any_host", False):
            host = foreign_host_in(headers)
            if host is not None:
                report_host(logger, path, host, "view", found.view)
                return True
        return False

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        match = scope[_MATCH]
        view = match.func.view
        set_script_prefix(get_script_prefix(scope) or "/")
        set_urlconf(self.urlconf)
        limits = self.limits
        server = Server(
            scope, send, scope[_DAPHNE], outgoing=limits.outgoing_bytes, stall=limits.stall
        )
        socket = Socket(scope, server, limits)
        await receive()  # websocket.connect
        await run(
            functools.partial(view, socket, *match.args, **match.kwargs),
            socket,
            receive,
            limits,
            name=name_that_thing(view),
        )

    async def _refuse(
        self, scope: Scope, receive: Receive, send: Send, status: int, sentence: str
    ) -> None:
        server = Server(scope, send, None, outgoing=1, stall=self.limits.stall)
        await receive()  # websocket.connect
        await server.refuse(status, sentence)

    async def shutdown(self, grace: float | None = None) -> None:
        """Close the sockets of all views (1012) and cancel the views; wait for their end."""
        self.draining = True
        running = [task for task in self._running if task is not asyncio.current_task()]
        for task in running:
            # Twice would cut off what a view puts in order; the server may have been first.
            if not task.cancelling():
                task.cancel()
        if running:
            await asyncio.wait(running, timeout=grace or 2 * self.limits.leave_grace)


def path_info(scope: Scope) -> str:
    """The path that URL patterns are for: without the script's name."""
    path = str(scope["path"])
    prefix = get_script_prefix(scope).rstrip("/")
    if prefix and (path == prefix or path.startswith(f"{prefix}/")):
        path = path.removeprefix(prefix)
    return path or "/"
