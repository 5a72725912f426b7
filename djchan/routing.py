"""Which consumer gets this message: Router, Route, RouteClass and Include.

From ``djchan.dispatch``, which has a message; on to the consumer of the first route that
matches, which gets the named groups of its filters as keyword arguments.

::

    Router ── root ──┬── Route     channel is one of its channels, every filter matches
                     ├── Include   every prefix matches: on to its routes, less the prefix
                     │     └── Route, Include …
                     └── anything else that has match() and channel_names()

A routing is read once, into one short list of steps for each channel, so that a message
meets only the routes that could take it. A step is given the message's content; below an
include with a prefix it is given another dict, in which that key is the shorter one: the
message itself, which the consumer gets, is never touched.

A filter or prefix matches text, or ASCII bytes, from its start. Whatever else a client may
have put there (a number, a list, nothing) does not match.
"""

import copy
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from djchan.exceptions import DenyConnection
from djchan.legible import value
from djchan.log import escaping
from djchan.throttling import BURST, throttled
from djchan.utils import name_that_thing

logger = escaping(logging.getLogger(__name__))

Consumer = Callable[..., Any]
Content = Mapping[str, Any]
Match = tuple[Consumer, dict[str, Any]]

# Named, not imported: views are a consumer like others, and djchan.handler lies above.
DEFAULT_HTTP_CONSUMER = "djchan.handler.ViewConsumer"
HTTP_DISCONNECT = "http.disconnect"
CONNECT = "websocket.connect"
RECEIVE = "websocket.receive"


class Routable(Protocol):
    """What may stand in a routing: ``route``, ``include``, or a project's own object."""

    def match(self, message: Any) -> Match | None: ...
    def channel_names(self) -> Iterable[str]: ...


class Router:
    """Finds the consumer of a message.

    ``routing``: a list of routes, a dict of channel to consumer, or the dotted path of
    either. Raises ImproperlyConfigured for what cannot be imported or is no route.
    """

    def __init__(self, routing: Any) -> None:
        self.root = Include(routing)
        self._defaults: tuple[Route, ...] = ()
        self._plan = _Plan(self.root)

    @property
    def channels(self) -> set[str]:
        """The names of all channels that some route takes."""
        return self.root.channel_names()

    def match(self, message: Any) -> Match | None:
        """The consumer and its keyword arguments; None when no route matches."""
        plan = self._plan
        if plan.routing is not self.root.routing:
            plan = self._plan = _Plan(self.root)
        content = message.content
        for step in plan.steps.get(message.channel.name, plan.elsewhere):
            match = step.find(message, content)
            if match is not None:
                return match
        return None

    def filters(self, channel: str) -> list[str]:
        """The keys that the routes of ``channel`` look at."""
        return list(dict.fromkeys(_filters(self.root.routing, channel)))

    def add_route(self, route: Routable) -> None:
        """Put a route last, but before the default ones."""
        self.root.routing = (*self._own(), _routable(route), *self._defaults)
        if self._defaults:
            self.check_default()  # The route may name a channel that none has named before.

    def check_default(
        self, http_consumer: Any = None, *, deny_unrouted: bool | None = None
    ) -> None:
        """Put last what takes the messages that no route of the project names.

        ``http.request`` goes to ``http_consumer`` (Django's views), ``websocket.connect`` is
        accepted, or refused with ``deny_unrouted``, and ``websocket.receive`` and
        ``websocket.disconnect`` are dropped. So is ``http.disconnect``, where the project
        routes some of it: a channel without any route is not served, and nothing is sent to
        it. A socket on a path of no route is logged, at DEBUG; at INFO where settings.DEBUG is on.
        May be called again: the default routes stay one of each, and what is not given stays as
        it was.
        """
        connect: Consumer = deny_consumer if deny_unrouted else connect_consumer
        if self._defaults:
            if http_consumer is None:
                http_consumer = self._defaults[0].consumer
            if deny_unrouted is None:
                connect = self._defaults[1].consumer
        elif http_consumer is None:
            http_consumer = import_string(DEFAULT_HTTP_CONSUMER)()
        own = self._own()
        routed = Include(own).channel_names()
        # Who routes frames alone lets every socket in, as a rule.
        connects = Route if RECEIVE in routed and CONNECT not in routed else _Unrouted
        self._defaults = (
            Route("http.request", http_consumer),
            connects(CONNECT, connect),
            _Unrouted(RECEIVE, null_consumer),
            Route("websocket.disconnect", null_consumer),
        )
        if HTTP_DISCONNECT in routed:
            self._defaults = (*self._defaults, Route(HTTP_DISCONNECT, null_consumer))
        self.root.routing = own + self._defaults

    def _own(self) -> tuple[Routable, ...]:
        return tuple(route for route in self.root.routing if route not in self._defaults)

    @classmethod
    def resolve_routing(cls, routing: Any) -> list[Routable]:
        """The routes that ``routing`` (a list, a dict, or a dotted path) stands for."""
        path = routing
        if isinstance(routing, str):
            try:
                routing = import_string(routing)
            except ImportError as error:
                raise ImproperlyConfigured(
                    f"Cannot import channel routing {path!r}: {error}."
                ) from error
        if isinstance(routing, Mapping):
            return [Route(channel, consumer) for channel, consumer in routing.items()]
        if not isinstance(routing, Iterable) or isinstance(routing, bytes):
            raise ImproperlyConfigured(
                f"The channel routing {path!r} is no list of routes, no dict of channel to "
                "consumer and no dotted path of one."
            )
        return [_routable(route) for route in routing]

    @classmethod
    def normalise_re_arg(cls, value: Any) -> Any:
        """ASCII bytes as text, anything else as it is."""
        return value.decode("ascii") if isinstance(value, bytes) else value


class Route:
    """Takes the messages of some channels, if all filters match; ``route`` is its short name.

    ``channels``: a name or several. ``consumer``: a callable or its dotted path. ``filters``:
    a key of the message to a regular expression, of which only named groups are allowed:
    they become the consumer's keyword arguments, always text (None for one not taken).
    """

    def __init__(
        self, channels: str | bytes | Iterable[str | bytes], consumer: Any, **filters: Any
    ) -> None:
        names = [channels] if isinstance(channels, str | bytes) else channels
        self.channels: set[str] = {Router.normalise_re_arg(name) for name in names}
        self.consumer = _consumer(consumer)
        self.filters = {name: _pattern(name, value) for name, value in filters.items()}
        for name, pattern in self.filters.items():
            if pattern.groups != len(pattern.groupindex):
                raise ValueError(
                    f"The filter {name}={pattern.pattern!r} has a positional group, and the "
                    "consumer could not tell what it is: name it, (?P<name>…), or write (?:…)."
                )

    def match(self, message: Any) -> Match | None:
        """The consumer and its keyword arguments; None for a message of others."""
        if message.channel.name not in self.channels:
            return None
        return self.find(message, message.content)

    def channel_names(self) -> set[str]:
        return self.channels

    def find(self, message: Any, content: Content) -> Match | None:
        """As match, for a message known to be of its channels, with the content as given."""
        found: dict[str, Any] = {}
        for name, pattern in self.filters.items():
            taken = _match(pattern, content.get(name))
            if taken is None:
                return None
            if pattern.groupindex:
                found.update(taken.groupdict())
        return self.consumer, found

    def __str__(self) -> str:
        filters = ", ".join(f"{name}={item.pattern}" for name, item in self.filters.items())
        parts = ["/".join(sorted(self.channels)), f"({filters})" if filters else "", "->"]
        return " ".join([*filter(None, parts), name_that_thing(self.consumer)])


class _Unrouted(Route):
    """A default route, which is asked when no other takes the message; it logs that."""

    def find(self, message: Any, content: Content) -> Match | None:
        level = logging.INFO if settings.DEBUG else logging.DEBUG
        if logger.isEnabledFor(level):
            throttled(
                logger,
                level,
                f"unrouted {message.channel.name}",
                "No route takes %s (path %s): it is %s.",
                message,
                value(content.get("path")),
                _BY_DEFAULT[self.consumer],
                burst=BURST,
            )
        return super().find(message, content)


class RouteClass(Route):
    """A route to a class-based consumer, which says itself which channels it takes."""

    def __init__(self, consumer: Any, **filters: Any) -> None:
        consumer = _consumer(consumer)
        if not callable(getattr(consumer, "channel_names", None)):
            raise ValueError(
                f"The consumer {name_that_thing(consumer)} has no channel_names method: "
                "route_class is for class-based consumers, route for functions."
            )
        super().__init__(consumer.channel_names(), consumer, **filters)
        _check_methods(consumer)


def _check_methods(consumer: Any) -> None:
    """What ``method_mapping`` names is there: now, and not with the first message."""
    mapping = getattr(consumer, "method_mapping", None)
    if not isinstance(mapping, Mapping):
        return  # A class of the project's own, with channel_names() of its own.
    for channel, name in mapping.items():
        if not (isinstance(name, str) and callable(getattr(consumer, name, None))):
            raise ImproperlyConfigured(
                f"The consumer {name_that_thing(consumer)} has no method {name!r}, which its "
                f"method_mapping names for the channel {channel!r}."
            )


class Include:
    """Other routes, tried when all prefixes match; each sees the message less the prefixes.

    ``routing``: as for Router. ``prefixes``: a key of the message to a regular expression;
    its named groups join the keyword arguments, where an inner route's value goes first.
    """

    def __init__(self, routing: Any, **prefixes: Any) -> None:
        # A tuple of our own: routes added to a router are not added to the project's list.
        self.routing: tuple[Routable, ...] = tuple(Router.resolve_routing(routing))
        self.prefixes = {name: _pattern(name, value) for name, value in prefixes.items()}

    def match(self, message: Any) -> Match | None:
        """The first match among the routes; None when there is none, or a prefix is missing."""
        return _Branch(self, _steps(self.routing, message.channel.name)).find(
            message, message.content
        )

    def channel_names(self) -> set[str]:
        return {name for route in self.routing for name in route.channel_names()}

    def strip(self, content: Content) -> tuple[Content, dict[str, Any]] | None:
        """A content without the prefixes, and their named groups; None if one is missing."""
        shorter = dict(content)
        found: dict[str, Any] = {}
        for name, pattern in self.prefixes.items():
            taken = _match(pattern, content.get(name))
            if taken is None:
                return None
            shorter[name] = taken.string[taken.end() :]
            found.update(taken.groupdict())
        return shorter, found


def null_consumer(*args: Any, **kwargs: Any) -> None:
    """Takes a message and does nothing."""


def connect_consumer(message: Any, *args: Any, **kwargs: Any) -> None:
    """Accepts a WebSocket."""
    message.reply_channel.send({"accept": True})


def deny_consumer(message: Any, *args: Any, **kwargs: Any) -> None:
    """Refuses a WebSocket."""
    raise DenyConnection


_BY_DEFAULT = {
    null_consumer: "dropped",
    connect_consumer: "accepted, as by default",
    deny_consumer: "refused (deny_unrouted)",
}


# ------------------------------------------------------------ the tree, channel by channel


class _Step(Protocol):
    def find(self, message: Any, content: Content) -> Match | None: ...


class _Plan:
    """What a router has read of its routing."""

    def __init__(self, root: Include) -> None:
        self.routing = root.routing
        self.steps = {name: _steps((root,), name) for name in root.channel_names()}
        # Objects of a project's own may take channels that they do not name.
        self.elsewhere = _steps((root,), None)


class _Branch:
    """The part of an include that one channel can reach."""

    def __init__(self, include: Include, steps: tuple[_Step, ...]) -> None:
        self.include = include
        self.steps = steps

    def find(self, message: Any, content: Content) -> Match | None:
        stripped = self.include.strip(content)
        if stripped is None:
            return None
        shorter, found = stripped
        for step in self.steps:
            match = step.find(message, shorter)
            if match is not None:
                consumer, inner = match
                return consumer, {**found, **inner}
        return None


class _Other:
    """A routable object of a project's own, which is asked with a message like any other."""

    def __init__(self, route: Routable) -> None:
        self.route = route

    def find(self, message: Any, content: Content) -> Match | None:
        view = copy.copy(message)
        view.content = dict(content)
        return self.route.match(view)


def _steps(routing: Iterable[Routable], channel: str | None) -> tuple[_Step, ...]:
    """Those of the routes that a message of this channel can take, in their order."""
    steps: list[_Step] = []
    for route in routing:
        # A subclass with a match() of its own wants to be asked.
        own_words = getattr(type(route), "match", None)
        if isinstance(route, Route) and own_words is Route.match:
            if channel in route.channels:
                steps.append(route)
        elif isinstance(route, Include) and own_words is Include.match:
            inner = _steps(route.routing, channel)
            if not route.prefixes:
                steps.extend(inner)
            elif inner:
                steps.append(_Branch(route, inner))
        else:
            steps.append(_Other(route))
    return tuple(steps)


def _filters(routing: Iterable[Routable], channel: str) -> Iterable[str]:
    for route in routing:
        if channel in route.channel_names():
            if isinstance(route, Include):
                yield from (*route.prefixes, *_filters(route.routing, channel))
            elif isinstance(route, Route):
                yield from route.filters


def _routable(route: Any) -> Routable:
    if callable(getattr(route, "match", None)) and callable(getattr(route, "channel_names", None)):
        checked: Routable = route
        return checked
    raise ImproperlyConfigured(
        f"{route!r} is no route: a channel routing holds route(), route_class() and include(), "
        "or objects with the methods match and channel_names."
    )


def _consumer(consumer: Any) -> Consumer:
    path = consumer
    if isinstance(consumer, str):
        try:
            consumer = import_string(consumer)
        except ImportError as error:
            raise ImproperlyConfigured(f"Cannot import consumer {path!r}: {error}.") from error
    if not callable(consumer):
        raise ImproperlyConfigured(f"The consumer {path!r} cannot be called.")
    checked: Consumer = consumer
    return checked


def _pattern(name: str, value: Any) -> re.Pattern[str]:
    flags = 0
    if isinstance(value, re.Pattern):
        # Compiled anew, since it may be one of bytes.
        flags = value.flags & ~re.UNICODE
        value = value.pattern
    value = Router.normalise_re_arg(value)
    if not isinstance(value, str):
        raise ImproperlyConfigured(
            f"The filter {name}={value!r} is no regular expression (text or bytes)."
        )
    try:
        return re.compile(value, flags)
    except (re.error, ValueError) as error:
        raise ImproperlyConfigured(
            f"The filter {name}={value!r} is no valid regular expression: {error}."
        ) from error


def _match(pattern: re.Pattern[str], value: Any) -> re.Match[str] | None:
    if type(value) is str:
        return pattern.match(value)
    if isinstance(value, bytes):
        return pattern.match(value.decode("ascii")) if value.isascii() else None
    return pattern.match(value) if isinstance(value, str) else None


# The names that projects write.
route = Route
route_class = RouteClass
include = Include
