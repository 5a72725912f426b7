"""The entries of ``hosts`` in a layer's CONFIG: where Redis is. Pure: nothing is connected to.

What is refused is not quoted: a mistake in a URL often is a mistake about its password.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from djchan.exceptions import InvalidChannelLayer

SCHEMES = ("redis", "rediss", "unix")
_FORMS = "redis://host:port/db, rediss://…, unix:///… or (host, port)"
_QUOTE = "In a password, write / ? # [ ] @ and % percent-encoded (urllib.parse.quote(it, safe=''))."


class Endpoint(NamedTuple):
    """``url`` or else ``host`` and ``port``; ``public``: the same for people, without secrets.
    ``options``: for redis-py's connections, of an entry that is a dict."""

    public: str
    url: str = ""
    host: str = ""
    port: int = 0
    options: Mapping[str, Any] = {}


def parse(hosts: object, *, sentinel: bool) -> list[Endpoint]:
    """Where to connect to. Raises InvalidChannelLayer."""
    if hosts is None:
        return [_pair("localhost", 26379 if sentinel else 6379, sentinel=sentinel)]
    if isinstance(hosts, str | bytes) or not isinstance(hosts, Sequence) or not hosts:
        raise InvalidChannelLayer(
            "hosts in the layer's CONFIG is a list of URLs or (host, port) pairs, not "
            f"{_shape(hosts)}."
        )
    found = [_entry(entry, sentinel=sentinel) for entry in hosts]
    if len(found) > 1 and not sentinel:
        raise InvalidChannelLayer(
            f"hosts names {len(found)} servers, but a layer lives on one: it commits a consumer's "
            "work as a whole. Configure one layer for each server, or name one Sentinel service."
        )
    return found


def _entry(entry: object, *, sentinel: bool) -> Endpoint:
    if isinstance(entry, Mapping):
        return _mapping(entry, sentinel=sentinel)
    if isinstance(entry, str) and not sentinel:
        return _url(entry.strip())
    if isinstance(entry, Sequence) and not isinstance(entry, str | bytes) and len(entry) == 2:
        return _pair(*entry, sentinel=sentinel)
    raise _refused(entry, sentinel=sentinel)


def _mapping(entry: Mapping[str, object], *, sentinel: bool) -> Endpoint:
    """An entry as channels_redis takes it: an address, and options for its connection."""
    options = dict(entry)
    if "address" in options:
        address = _entry(options.pop("address"), sentinel=sentinel)
    elif isinstance(options.get("host"), str):
        port = options.pop("port", 26379 if sentinel else 6379)
        address = _pair(options.pop("host"), port, sentinel=sentinel)
    else:
        raise _refused(entry, sentinel=sentinel)
    if options and sentinel:
        raise InvalidChannelLayer(
            "A sentinel in hosts has options of its own: give them once for all sentinels, in "
            "sentinel_kwargs of the layer's CONFIG."
        )
    return address._replace(options={**address.options, **options})


def _pair(host: Any, port: Any, *, sentinel: bool) -> Endpoint:
    # A port from the environment is text.
    number = int(port) if str(port).isdecimal() and len(str(port)) < 6 else 0
    if not isinstance(host, str) or not 0 < number < 65536 or re.search(r"[\s/@?#]", host):
        raise _refused((host, port), sentinel=sentinel)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]  # IPv6, as in a URL.
    where = f"[{host}]" if ":" in host else host
    return Endpoint(f"{where}:{number}", host=host, port=number)


def _url(text: str) -> Endpoint:
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in SCHEMES:
        raise _refused(text, sentinel=False)
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "#" in rest or "@" in rest[len(authority) :]:
        raise _malformed(scheme, "# anywhere, or @ behind its path")
    url = f"{scheme}://{rest}"
    parts = None
    try:
        parts = urlsplit(url)
        problem = _problem(parts)
    except ValueError:
        # Its message quotes the URL, so it is neither shown nor kept as the cause.
        problem = "a host or port that cannot be read"
    if parts is None or problem:
        raise _malformed(scheme, problem)
    where = authority.rpartition("@")[2]
    return Endpoint(f"{scheme}://{where}{parts.path}", url=url)


def _problem(parts: SplitResult) -> str:
    if parts.port == 0:  # Raises ValueError for what is no number, or too large.
        return "port 0"
    if parts.scheme == "unix":
        return "" if parts.path else "no path of a socket"
    if parts.netloc and not parts.hostname:
        return "no host"
    database = unquote(parts.path).strip("/")
    return "" if not database or database.isdecimal() else "a database that is no number"


def _malformed(scheme: str, problem: str) -> InvalidChannelLayer:
    return InvalidChannelLayer(
        f"The {scheme}:// URL in hosts of the layer's CONFIG has {problem}; it is {scheme}://"
        + ("/path/of/socket?db=0" if scheme == "unix" else "user:password@host:port/db")
        + f". {_QUOTE}"
    )


def _refused(entry: object, *, sentinel: bool) -> InvalidChannelLayer:
    if sentinel:
        return InvalidChannelLayer(
            f"{_shape(entry)} in hosts is not a sentinel: give (host, port)."
        )
    return InvalidChannelLayer(f"{_shape(entry)} in hosts is not a server: give {_FORMS}.")


def _shape(value: object) -> str:
    """The kind of ``value``, without its content, which may be secret."""
    if isinstance(value, str):
        scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://", value)
        return f"a text that begins with {scheme[0]!r}" if scheme else "a text without a scheme"
    if isinstance(value, Mapping):
        keys = [str(key) if re.fullmatch(r"\w{1,30}", str(key)) else "…" for key in value]
        return f"a dict with the keys {', '.join(sorted(keys)) or '(none)'}"
    if isinstance(value, list | tuple):
        kinds = ", ".join(type(each).__name__ for each in value)
        return f"a {type(value).__name__} ({kinds})"
    return f"a value of type {type(value).__name__}"
