"""Request targets in absolute form: ``GET http://host/path HTTP/1.1``.

RFC 9112, section 3.2.2: every server takes them, and the host in the target counts, not the Host
header. Daphne and uvicorn leave both to the application, which would look for a page of that
name. A proxy in front changes the target itself, so these come from clients without one.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

_ABSOLUTE = re.compile(rb"(?:https?|wss?)://([^/?#]*)", re.IGNORECASE)


def split(target: bytes) -> tuple[bytes | None, bytes]:
    """The host in ``target`` and the target without it; None and ``target`` if it has no host."""
    absolute = _ABSOLUTE.match(target)
    if absolute is None:
        return None, target
    rest = target[absolute.end() :]
    return absolute[1], rest if rest.startswith(b"/") else b"/" + rest


def origin_form(scope: Mapping[str, Any]) -> Mapping[str, Any]:
    """``scope``, of type http or websocket, as it would be for a target without a host."""
    root: str = scope.get("root_path") or ""
    if scope["path"].startswith("/") and not root:
        return scope
    # uvicorn puts its root path in front of whatever the target is. The host is looked for in
    # the path before it is decoded, where an encoded slash is none.
    raw = scope.get("raw_path") or scope["path"].encode()
    target = raw.removeprefix(root.encode())
    host, path = split(target)
    if host is None:
        return scope
    raw_path = raw[: len(raw) - len(target)] + path
    others = [header for header in scope["headers"] if header[0] != b"host"]
    return {
        **scope,
        "path": unquote(raw_path.decode("latin-1")),
        "raw_path": raw_path,
        "headers": [(b"host", host), *others],
    }
