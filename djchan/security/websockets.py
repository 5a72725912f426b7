"""Refuse WebSockets that another site's page opened.

From ``djchan.dispatch``, before a ``websocket.connect`` consumer runs, from
``djchan.sockets``, before a socket view does, and from the project's decorators; on to that
consumer or view, or to DenyConnection.

A browser sends a site's cookies along whoever's page opens the socket, and names that page's
site in the Origin header. Only the host is compared, with ALLOWED_HOSTS as Django does it for
Host; port and scheme are not, unless CHANNEL_STRICT_ORIGIN is on: then Origin is that of the
handshake itself, with scheme and port, or one of CSRF_TRUSTED_ORIGINS, as for Django's forms.

==================  ====================  ==========================
the Origin header   the default check     ``@allowed_hosts_only``
==================  ====================  ==========================
a host of ours      passes                passes
is missing          passes (no browser)   is refused
a foreign host      is refused            is refused
``null``, no host   is refused            is refused, as is non-ASCII
==================  ====================  ==========================

A consumer for every site opts out of the default check: ``any_origin(consumer)``.
"""

import copy
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http.request import split_domain_port, validate_host
from django.utils.http import is_same_domain

from djchan.conf import setting
from djchan.exceptions import DenyConnection

Headers = Any  # Pairs of bytes, or a dict, or None: tests of Channels 1.x projects write all.

C = TypeVar("C", bound=Callable[..., Any])


def any_origin(consumer: C) -> C:
    """Let pages of all sites connect to this consumer; returns it.

    For a class-based consumer, ``any_origin = True`` in its body is the same.
    """
    marked: Any = getattr(consumer, "__func__", consumer)
    marked.any_origin = True
    return consumer


def any_host(consumer: C) -> C:
    """Let this consumer answer on every host, not only those of ALLOWED_HOSTS; returns it.

    For a class-based consumer, ``any_host = True`` in its body is the same.
    """
    marked: Any = getattr(consumer, "__func__", consumer)
    marked.any_host = True
    return consumer


def foreign_origin(message: Any) -> str | None:
    """The Origin of a connect message if it is not one of ours, to be named in a log; else None."""
    content = message.content
    return foreign_origin_in(content.get("headers"), scheme=content.get("scheme"))


def foreign_origin_in(headers: Headers, *, scheme: object = None) -> str | None:
    """The same for headers themselves: pairs of bytes, or a dict.

    ``scheme``: of the handshake, ws or wss.
    """
    for value in _values(headers, "origin"):
        origin = value.decode("ascii", "backslashreplace")
        if setting("CHANNEL_STRICT_ORIGIN"):
            allowed = _is_trusted(origin) or (
                _allowed(origin) and _is_of_handshake(origin, headers, scheme)
            )
        else:
            allowed = _allowed(origin)
        if not allowed:
            return origin or "(empty)"
    return None


def foreign_host_in(headers: Headers) -> str | None:
    """The host that was asked for, if it is not in ALLOWED_HOSTS, to be named in a log.

    None: it is, or there is no Host header.
    """
    for host in _hosts(headers):
        domain, _ = split_domain_port(host)
        if not domain or not validate_host(domain, _allowed_hosts()):
            return host or "(empty)"
    return None


class BaseOriginValidator:
    """Decorator for ``websocket.connect`` consumers, functions and methods.

    Subclasses say in ``validate_origin(message, origin)`` whether an origin may connect.
    One that is missing, empty or not ASCII may not.
    """

    def __init__(self, func: Callable[..., object]) -> None:
        functools.update_wrapper(self, func)
        self.func = func
        if iscoroutinefunction(func):
            markcoroutinefunction(self)

    def __get__(self, instance: object, owner: type | None = None) -> "BaseOriginValidator":
        if instance is None:
            return self
        bound = copy.copy(self)
        bound.func = self.func.__get__(instance, owner)
        return bound

    def __call__(self, message: object, *args: object, **kwargs: object) -> object:
        if not self.validate_origin(message, self.get_origin(message)):
            raise DenyConnection
        return self.func(message, *args, **kwargs)

    def get_header(self, message: Any, name: str | bytes) -> list[bytes]:
        """All values of a header, which is named in lower case; KeyError if there is none."""
        name = name.decode("latin-1") if isinstance(name, bytes) else name
        values = list(_values(message.content.get("headers"), name))
        if not values:
            raise KeyError(f"No header named {name!r}")
        return values

    def get_origin(self, message: Any) -> str:
        """The value of the Origin header; raises DenyConnection for one that cannot be ours."""
        try:
            origin = self.get_header(message, b"origin")[0].decode("ascii")
        except (KeyError, UnicodeDecodeError) as error:
            raise DenyConnection from error
        if not origin:
            raise DenyConnection
        return origin

    def validate_origin(self, message: Any, origin: str) -> bool:
        raise NotImplementedError("A subclass of BaseOriginValidator needs validate_origin().")


class AllowedHostsOnlyOriginValidator(BaseOriginValidator):
    """Lets in pages of the hosts in ALLOWED_HOSTS, and nobody without an Origin."""

    def validate_origin(self, message: Any, origin: str) -> bool:
        return _allowed(origin)


allowed_hosts_only = AllowedHostsOnlyOriginValidator


def _values(headers: Headers, name: str) -> Iterable[bytes]:
    """The values of a header among headers that are pairs of bytes, or a dict."""
    for pair in headers.items() if isinstance(headers, Mapping) else headers or ():
        # Tests of Channels 1.x projects write [] for no header.
        if len(pair) != 2:
            continue
        key, value = pair
        key = key.decode("latin-1") if isinstance(key, bytes) else key
        if key.lower() == name:
            yield value.encode("latin-1") if isinstance(value, str) else value


def _allowed(origin: str) -> bool:
    """Whether ALLOWED_HOSTS lets the host of an origin in; one without a host it never does."""
    try:
        host = urlsplit(origin).hostname
    except ValueError:
        return False
    if not host:
        return False
    # As in a Host header: brackets around an IPv6 address, no final period.
    host = f"[{host}]" if ":" in host else host.removesuffix(".")
    return validate_host(host, _allowed_hosts())


def _allowed_hosts() -> list[str]:
    allowed: list[str] = settings.ALLOWED_HOSTS
    if settings.DEBUG and not allowed:
        return [".localhost", "127.0.0.1", "[::1]"]
    return allowed


def _hosts(headers: Headers) -> list[str]:
    """The host that the client asked for: X-Forwarded-Host where Django trusts it, else Host."""
    names = ("x-forwarded-host", "host") if settings.USE_X_FORWARDED_HOST else ("host",)
    for name in names:
        found = [value.decode("latin-1") for value in _values(headers, name)]
        if found:
            return found
    return []


def _is_of_handshake(origin: str, headers: Headers, scheme: object) -> bool:
    """Whether ``origin`` is that of the handshake itself."""
    hosts = _hosts(headers)
    if len(hosts) != 1:
        return False
    kind = "https" if _is_secure(headers, scheme) else "http"
    return _parts(origin) is not None and _parts(origin) == _parts(f"{kind}://{hosts[0]}")


def _is_secure(headers: Headers, scheme: object) -> bool:
    proxied = settings.SECURE_PROXY_SSL_HEADER
    if proxied is not None:
        name, secure = proxied
        name = name.removeprefix("HTTP_").replace("_", "-").lower()
        for value in _values(headers, name):
            return bool(value.decode("latin-1").split(",", 1)[0].strip() == secure)
    return scheme in ("wss", "https")


def _is_trusted(origin: str) -> bool:
    """Whether CSRF_TRUSTED_ORIGINS has it, as Django's check of forms compares them."""
    parts = _parts(origin)
    if parts is None:
        return False
    for trusted in settings.CSRF_TRUSTED_ORIGINS:
        scheme, _, host = trusted.partition("://")
        if host.startswith("*"):
            # As Django has it, a port belongs to the name.
            given = urlsplit(origin)
            if given.scheme == scheme and is_same_domain(given.netloc, host.removeprefix("*")):
                return True
        elif parts == _parts(trusted):
            return True
    return False


def _parts(origin: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port of an origin; None for what is none."""
    try:
        url = urlsplit(origin)
        port = url.port
    except ValueError:
        return None
    if not url.scheme or not url.hostname or url.username is not None:
        return None
    return url.scheme, url.hostname, port or {"http": 80, "https": 443}.get(url.scheme)
