"""``apply_routes``: other routes for the time of a test.

From a project's tests; on to the routers of the layers, which get theirs back at the end::

    with apply_routes([route("x", consumer)]): …
    @apply_routes(route("x", consumer))            a test, or a class of tests
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any

from asgiref.sync import iscoroutinefunction

from djchan import DEFAULT_CHANNEL_LAYER
from djchan.asgi import channel_layers
from djchan.routing import Include, Router


class apply_routes:
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

    def exit(self, exc_type: Any = None, exc_val: Any = None, exc_tb: Any = None) -> None:
        """Let those hold that held before."""
        for wrapper, routing, router in reversed(self._before.pop()):
            wrapper.routing = routing
            if router is None:
                # It had not been asked for, so its consumers need not be imported now.
                del wrapper.router
            else:
                wrapper.router = router

    __enter__ = enter
    __exit__ = exit

    def __call__(self, test: Any) -> Any:
        """Decorate a test, synchronous or not, or a class of tests."""
        if isinstance(test, type):
            return self._class(test)
        if iscoroutinefunction(test):

            @functools.wraps(test)
            async def arouted(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await test(*args, **kwargs)

            return arouted

        @functools.wraps(test)
        def routed(*args: Any, **kwargs: Any) -> Any:
            with self:
                return test(*args, **kwargs)

        return routed

    def _class(self, case: Any) -> Any:
        set_up: Callable[[Any], None] = case.setUp

        @functools.wraps(set_up)
        def routed(this: Any) -> None:
            self.enter()
            # Not in tearDown, which is left out when the rest of setUp fails.
            this.addCleanup(self.exit)
            set_up(this)

        case.setUp = routed
        return case


def _routing(routes: Any) -> Any:
    if isinstance(routes, list | tuple):
        return [Include(each) if isinstance(each, list | tuple) else each for each in routes]
    if callable(getattr(routes, "match", None)):
        return [routes]
    return routes
