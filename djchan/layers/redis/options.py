"""Options for redis-py's connections: refused when settings are read, not at the first use.

``hosts`` asks about ``connection_kwargs``, the query of a URL and ``sentinel_kwargs``. An option
either works or is refused. Pure but for the files of TLS, which are read once.
"""

import difflib
import inspect
import math
import ssl
from collections.abc import Iterable, Mapping
from typing import Any

from djchan.exceptions import InvalidChannelLayer

# Longer than any blocking command (5 s), so that only a dead connection times out.
SHORTEST_TIMEOUT = 5.0

_REPEATS = "djchan itself repeats what can be repeated (send_retry, stream_retry in CONFIG)"
# Options of redis-py that djchan does not use, and why.
_NOT_OURS = {
    "max_connections": "djchan makes a connection for each thread and event loop that needs one",
    "connection_class": "the URL in hosts says what kind of connection it is",
    "connection_pool": "djchan keeps connections itself",
    "single_connection_client": "djchan keeps connections itself",
    "auto_close_connection_pool": "djchan keeps connections itself",
    "retry": _REPEATS,
    "retry_on_timeout": _REPEATS,
    "retry_on_error": _REPEATS,
    "protocol": "djchan speaks RESP 2",
    "decode_responses": "djchan reads bytes",
    "parser_class": "djchan reads replies with hiredis",
    "encoder_class": "djchan writes commands with hiredis",
    "command_packer": "djchan writes commands with hiredis",
    "cache": "nothing that djchan reads may be old",
    "cache_config": "nothing that djchan reads may be old",
}
# Values of them that ask for what djchan does anyway.
_HARMLESS: dict[str, tuple[object, ...]] = {
    "retry": (None,),
    "retry_on_timeout": (False,),
    "retry_on_error": (None, []),
    "protocol": (None, 2, "2"),
    "decode_responses": (False,),
}
_SECONDS = ("socket_timeout", "socket_connect_timeout")
_BOOLEANS = ("socket_keepalive", "ssl_check_hostname", "ssl")
_TEXTS = ("username", "client_name", "ssl_keyfile", "ssl_certfile", "ssl_ca_certs", "ssl_ca_path")
_CERT_REQS = ("none", "optional", "required")


def names_of(*kinds: type) -> set[str]:
    """The options that the constructors of all these classes take."""
    return set.intersection(*(_parameters(kind) for kind in kinds))


def check(given: object, *, where: str, allowed: Iterable[str]) -> None:
    """Refuse options that redis-py or djchan cannot use. ``where``: for the message."""
    if not isinstance(given, Mapping):
        raise InvalidChannelLayer(
            f"{where} is a dict of options for redis-py, not a {type(given).__name__}."
        )
    known = set(allowed)
    for name, value in given.items():
        if name == "ssl" and "ssl" not in known and value:
            raise InvalidChannelLayer(
                f"ssl in {where} has no effect on a connection: write rediss:// in hosts for TLS."
            )
        if name in _NOT_OURS and value not in _HARMLESS.get(name, ()):
            raise InvalidChannelLayer(
                f"{name} in {where} has no effect: {_NOT_OURS[name]}. Take it out."
            )
        if name not in known and not (name == "ssl" and not value):
            close = difflib.get_close_matches(str(name), known, 1)
            raise InvalidChannelLayer(
                f"{str(name)!r:.60} in {where} is no option of redis-py's connections"
                + (f"; is {close[0]} meant?" if close else " here.")
            )
        wanted = _wanted(name, value)
        if wanted:
            raise InvalidChannelLayer(f"{name} in {where} is {wanted}, not {_shown(name, value)}.")


def check_timeout(timeout: float | None, where: str, default: float) -> None:
    """Refuse a timeout that a waiting read would reach."""
    if timeout is not None and timeout <= SHORTEST_TIMEOUT:
        raise InvalidChannelLayer(
            f"socket_timeout in {where} is {timeout:g}; reading waits for up to "
            f"{SHORTEST_TIMEOUT:g} seconds, so it must be longer than that (the default is "
            f"{default:g})."
        )


def _wanted(name: str, value: Any) -> str:
    """The kind of value that is wanted; "" when ``value`` is fine."""
    if name in _SECONDS:
        return "" if value is None or _is_number(value, above=0) else "a number of seconds, or None"
    if name == "health_check_interval":
        fine = _is_number(value, above=-1) and value >= 0
        return "" if fine else "a number of seconds; 0 switches it off"
    if name == "db":
        fine = (type(value) is int and value >= 0) or (isinstance(value, str) and value.isdecimal())
        return "" if fine else "the number of a database"
    if name in _BOOLEANS:
        return "" if isinstance(value, bool) else "True or False"
    if name in _TEXTS:
        return "" if value is None or isinstance(value, str) else "a text, or None"
    if name == "password":
        return "" if value is None or isinstance(value, str | bytes) else "a text, or None"
    if name == "socket_keepalive_options":
        return "" if value is None or isinstance(value, Mapping) else "a dict, or None"
    if name == "ssl_cert_reqs":
        fine = value is None or isinstance(value, ssl.VerifyMode) or value in _CERT_REQS
        return "" if fine else f"one of {', '.join(map(repr, _CERT_REQS))}"
    return ""


def _is_number(value: object, *, above: float) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return math.isfinite(value) and value > above


def _shown(name: str, value: object) -> str:
    """``value`` for an error message, without secrets."""
    if "password" in name or name == "username":
        return f"a {type(value).__name__}"
    return f"{value!r:.60}"


def _parameters(kind: type) -> set[str]:
    found: set[str] = set()
    for each in kind.__mro__:
        if "__init__" not in vars(each) or each is object:
            continue
        parameters = inspect.signature(each.__init__).parameters.values()  # type: ignore[misc]
        found.update(each.name for each in parameters if each.kind is not each.VAR_KEYWORD)
    return found - {"self", "args"}
