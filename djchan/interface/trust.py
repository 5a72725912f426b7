"""Parts of a request that Daphne trusts unchecked.

``bounds`` calls these functions from its classes of requests and sockets. They do what
Daphne 4.2.3 and autobahn 26.10 leave to a proxy, which may be missing or may not do it:

- Daphne takes the root path from a header ``Daphne-Root-Path``, whoever sent it. It is
  removed here unless ``root_path_header`` is on, because a proxy sets it.
- Behind ``--proxy-headers`` a forwarded value that is not ASCII, or a port of a hundred digits,
  ends in a traceback and a 500, and any text becomes the scheme of the site's links. What is no
  address, port or scheme is removed here.
- autobahn parses the target of a handshake as a URL: ``//x/ws/``, ``/ws/;x`` and a path with
  a tab in it all become ``/ws/``, which is not the path that a proxy has checked. The path
  is what stands before the ``?``, as it is for requests.
- A subprotocol that is not ASCII ends in a traceback and a 500; it gets a 400 here.
- Daphne's access log writes the request line and the client's name as they came, and the tokens
  in a query.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from djchan.interface import targets
from djchan.legible import Hidden, escaped, masked
from djchan.log import DAPHNE, escaping

ROOT_PATH = "daphne-root-path"
_ROOT_PATH = ROOT_PATH.encode()

ActionLogger = Callable[[str, str, Mapping[str, object]], None]
ForwardedHeader = tuple[bytes, Callable[[str], bool]]


def forwarded_headers(server: object) -> list[ForwardedHeader]:
    """The headers that Daphne's ``server`` takes from a proxy, each with which values it may."""
    names = [(getattr(server, option, None), is_good) for option, is_good in _FORWARDED.items()]
    return [(name.encode(), is_good) for name, is_good in names if name]


def clean_headers(headers: Any, forwarded: Iterable[ForwardedHeader], *, root_path: bool) -> None:
    """Remove from Twisted's ``headers`` those that Daphne must not trust.

    ``forwarded``: of ``forwarded_headers``. ``root_path``: whether a proxy in front sets
    Daphne-Root-Path.
    """
    if headers.hasHeader(_ROOT_PATH):
        if not root_path:
            headers.removeHeader(_ROOT_PATH)
        _keep_if(headers, _ROOT_PATH, str.isascii)
    for name, is_good in forwarded:
        _keep_if(headers, name, is_good)


def _is_port(value: str) -> bool:
    return value.isascii() and value.isdecimal() and len(value) <= 5 and int(value) < 65536


# Daphne's attribute for a header that it believes behind --proxy-headers -> which values it may.
_FORWARDED: Mapping[str, Callable[[str], bool]] = {
    "proxy_forwarded_address_header": str.isascii,
    "proxy_forwarded_port_header": _is_port,
    "proxy_forwarded_proto_header": {"http", "https", "ws", "wss"}.__contains__,
}


def _keep_if(headers: Any, name: bytes, is_good: Callable[[str], bool]) -> None:
    """Remove the header ``name`` unless each value of it ``is_good``."""
    values = headers.getRawHeaders(name, ())
    if not all(is_good(value.decode("latin-1")) for value in values):
        headers.removeHeader(name)


def handshake_path(target: str) -> str | None:
    """The path in the target of a handshake, still percent-encoded; None if there is none.

    RFC 9112, section 3.2: a target begins with the path, or with scheme and host.
    """
    if not target.isascii():
        return None
    _, origin = targets.split(target.encode())
    path, _, _ = origin.decode().partition("?")
    return path if path.startswith("/") else None


def handshake_problem(headers: Mapping[str, str]) -> str | None:
    """Why a handshake with these headers gets a 400; None if it need not."""
    if not headers.get("sec-websocket-protocol", "").isascii():
        return "a subprotocol is not ASCII (RFC 6455, section 11.3.4)"
    return None


def escape_logs(server: Any, hidden: Hidden = None) -> None:
    """Keep control characters out of Daphne's logs, and quotes out of its access log.

    ``hidden``: a pattern of the parameters of queries whose values are not in the access log.
    """
    for name in DAPHNE:
        escaping(logging.getLogger(name))
    write: ActionLogger | None = getattr(server, "action_logger", None)
    if write is None or getattr(write, "escapes", False):
        return

    def log_action(protocol: str, action: str, details: Mapping[str, object]) -> None:
        path = details.get("path")
        if isinstance(path, str) and "?" in path:
            details = {**details, "path": masked(path, hidden)}
        write(protocol, action, {name: _escaped(value) for name, value in details.items()})

    log_action.escapes = True  # type: ignore[attr-defined]
    server.action_logger = log_action


def _escaped(value: object) -> object:
    return escaped(value).replace('"', "\\x22") if isinstance(value, str) else value
