"""``apply_routes``: other routes for the time of a test.

From a project's tests; on to the routers of the layers, which get theirs back at the end::

    with apply_routes([route("x", consumer)]): …
    @apply_routes(route("x", consumer))            a test, or a class of tests
"""

from collections.abc import Iterable
from typing import Any

from djchan import DEFAULT_CHANNEL_LAYER
from djchan.asgi import channel_layers
from djchan.routing import Include, Router
from djchan.test.contexts import TestContext


class apply_routes(TestContext):
    """Give the layers of ``aliases`` (the default one) ``routes``, and nothing else.

    ``routes``: a route, a list of routes, a list of such lists, or what else a ROUTING may
    be. May be entered several times, one inside the other.
    """

    def __init__(self, routes: Any, aliases: str | Iterable[str] | None = None) -> None:
        if isinstance(aliases, str):
            aliases = [aliases]
        self.aliases = list(aliases or [DEFAULT_CHANNEL_LAYER])
        self.routes = routes
        # What each layer had, one entry for each time that this was entered.
        self._before: list[list[tuple[Any, Any, Any]]] = []

    def enter(self) -> None:
        """Let the routes hold."""
        routing = _routing(self.routes)
        # Before any is changed: a route that is none must leave nothing behind.
        changes = [(channel_layers[alias], Router(routing)) for alias in self.aliases]
        before = []
        for wrapper, router in changes:
            before.append((wrapper, wrapper.routing, wrapper.__dict__.get("router")))
            wrapper.routing, wrapper.router = routing, router
        self._before.append(before)

    def exit(self, *exc: object) -> None:
        """Let those hold that held before."""
        for wrapper, routing, router in reversed(self._before.pop()):
            wrapper.routing = routing
            if router is None:
                # It had not been asked for, so its consumers need not be imported now.
                del wrapper.router
            else:
                wrapper.router = router


def _routing(routes: Any) -> Any:
    if isinstance(routes, list | tuple):
        return [Include(each) if isinstance(each, list | tuple) else each for each in routes]
    if callable(getattr(routes, "match", None)):
        return [routes]
    return routes
