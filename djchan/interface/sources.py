"""The source of each connection, and the limits of each source.

``application`` asks for the source of a connection, by the options ``fair`` and ``source_…`` of
INTERFACE. Deliveries carry it to the layer, where sources take turns, so that one client cannot
starve the others. The limits per source are kept here, in this process::

    connect, request ── source_connections, source_rate ──► admitted, or refused (429)
    frame ───────────── source_rate ──────────────────────► taken, or its socket closes (4008)
"""

import hashlib
import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from djchan.exceptions import InvalidChannelLayer
from djchan.interface.journal import Journal

KEPT = 10_000  # Sources whose rate is remembered; the one that was silent for longest is forgotten.

Scope = Mapping[str, Any]
Function = Callable[[Scope], Any]


def client(scope: Scope) -> str | None:
    """The address that the server knows: IPv4 whole, IPv6 by its first 64 bits, which are one
    customer's. None where there is none (a UNIX socket without proxy headers)."""
    known = scope.get("client")
    if not known or not known[0]:
        return None
    try:
        address = ipaddress.ip_address(known[0].partition("%")[0])
    except ValueError:
        return str(known[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def user(scope: Scope) -> str | None:
    """The user that a middleware around the interface has put into the scope; else the client."""
    known = scope.get("user")
    if known is not None and getattr(known, "is_authenticated", False):
        return f"user {known.pk}"
    return client(scope)


def function(fair: Any) -> Function:
    """What ``fair`` names: "client", "user", a function of the scope, or a dotted path to one."""
    named = {"client": client, "user": user}.get(fair) if isinstance(fair, str) else fair
    if named is None:
        module, _, name = fair.rpartition(".")
        try:
            named = getattr(import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            raise InvalidChannelLayer(
                f"'fair' under INTERFACE in CHANNEL_LAYERS is {fair!r}, which cannot be imported "
                f"({error}): it is 'client', 'user', or the dotted path of a function of the scope."
            ) from error
    if not callable(named):
        raise InvalidChannelLayer(
            "'fair' under INTERFACE in CHANNEL_LAYERS must be 'client', 'user', or the dotted path "
            f"of a function of the scope, not {fair!r}."
        )
    return named


def digest(key: object) -> str:
    """The name of a source in the layer: short, and of the same length for every ``key``."""
    return hashlib.blake2b(repr(key).encode("utf-8", "replace"), digest_size=6).hexdigest()


class Sources:
    """``connections``: how many one source may have open at a time. ``rate``: how many messages it
    may send per second after a burst of ``burst``. None: no limit."""

    def __init__(
        self,
        fair: object,
        *,
        connections: int | None,
        rate: float | None,
        burst: int | None,
        log: Journal,
    ) -> None:
        self._is_fair = fair is not None
        self._is_limited = connections is not None or rate is not None
        self._function = function(fair if self._is_fair else "client")
        self._connections = connections
        self._rate = rate
        self._burst = burst or max(1.0, 2 * (rate or 0.0))
        self._log = log
        self._open: dict[str, str] = {}  # Connection -> its source.
        self._counts: Counter[str] = Counter()  # Source -> its connections.
        # Source -> messages it may still send, and when that was computed; the most recent last.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def of(self, scope: Scope) -> str:
        """The source of a connection with this scope; "" when it has none, or no option needs
        it."""
        if not (self._is_fair or self._is_limited):
            return ""
        try:
            key = self._function(scope)
        except Exception as error:
            self._log.say(
                "source.error",
                "The function that fair under INTERFACE in CHANNEL_LAYERS names has failed; the "
                "client's address is the source instead: %r",
                error,
            )
            key = client(scope)
        return "" if key is None else digest(key)

    def tag(self, source: str) -> str:
        """The source that deliveries of ``source`` carry: "" unless fairness is on."""
        return source if self._is_fair else ""

    def enter(self, connection: str, source: str, now: float) -> str:
        """A connection begins. "" when it is admitted, else the option that refuses it."""
        if not (self._is_limited and source):
            return ""
        if self._connections is not None and self._counts[source] >= self._connections:
            return "source_connections"
        if not self.spend(source, now):
            return "source_rate"
        self._open[connection] = source
        self._counts[source] += 1
        return ""

    def leave(self, connection: str) -> None:
        """A connection has ended; for one that was not admitted nothing changes."""
        source = self._open.pop(connection, None)
        if source is not None:
            self._counts[source] -= 1
            if not self._counts[source]:
                del self._counts[source]

    def spend(self, source: str, now: float) -> bool:
        """Whether ``source`` may send one more message at ``now`` (monotonic seconds)."""
        if self._rate is None or not source:
            return True
        left, since = self._buckets.pop(source, (float(self._burst), now))
        left = min(float(self._burst), left + (now - since) * self._rate)
        allowed = left >= 1
        self._buckets[source] = (left - 1 if allowed else left, now)
        if len(self._buckets) > KEPT:
            self._buckets.popitem(last=False)
        return allowed

    def limit(self, option: str) -> float | None:
        """The value of an option that ``enter`` has named."""
        return self._connections if option == "source_connections" else self._rate
