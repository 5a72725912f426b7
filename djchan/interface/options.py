"""Every limit of the interface: one table with defaults and units, refused early in words.

From CHANNEL_LAYERS[alias]["INTERFACE"] by way of ``djchan.asgi``; on to every module of
``djchan.interface``, which reads its limits here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from djchan.exceptions import InvalidChannelLayer

KIB = 1024
MIB = 1024 * KIB

_MAY_BE_NONE = (
    "http_timeout",
    "http_idle_timeout",
    "http_send_timeout",
    "http_header_timeout",
    "http_body_timeout",
)


@dataclass(frozen=True, kw_only=True)
class InterfaceOptions:
    """Limits of one interface. Times are seconds, sizes bytes; see each line."""

    # All together: more get a 503 or close 1013, with Retry-After.
    connections: int = 20_000  # On Daphne those of TCP, elsewhere requests and WebSockets.
    handshakes: int = 2_000  # WebSockets that no consumer has accepted yet.
    mailboxes_bytes: int = 64 * MIB  # Frames of all sockets that are not answered.
    outgoing_total: int = 256 * MIB  # Frames to all sockets: beyond, the fullest are closed.
    incoming_total: int = 64 * MIB  # Messages whose ends have not arrived: the same, on Daphne.

    # HTTP.
    http_timeout: float | None = 120.0  # Until a response begins, and between two parts of it.
    # When its consumer has returned with more_content it is held, and may be silent for so long.
    http_idle_timeout: float | None = 300.0
    http_send_timeout: float | None = 300.0  # A client takes nothing of what waits for it: cut.
    http_header_timeout: float | None = 60.0  # The headers of a request, on Daphne; then 408.
    # Between two reads of a request body; as a whole it may take so long, and a second more for
    # each http_body_rate bytes: then 408.
    http_body_timeout: float | None = 30.0
    http_body_rate: int = 500
    http_max_body: int = 100 * MIB  # A larger request body gets a 413.
    http_inline_body: int = 512 * KIB  # A larger one follows its message in chunks.
    # Bodies of all requests, until they are answered: the short ones are in memory, the others,
    # and what is over, on disk; beyond that a request gets a 503.
    http_body_memory: int = 64 * MIB
    http_body_disk: int = 4096 * MIB
    http_body_window: int = 16 * MIB  # Of all bodies, on their way through the layer.
    http_window: int = 4 * MIB  # Of a response in parts, between its view and its client.
    http_outgoing_bytes: int = 64 * MIB  # Of a response that others add to, waiting for its client.
    http_outgoing_total: int = 512 * MIB  # Of all responses: beyond, the slowest client is cut.
    http_disconnect: bool = True  # http.disconnect after a finished response too, as in 1.x.

    # Whether a proxy in front sets or clears Daphne-Root-Path; otherwise the header is dropped.
    root_path_header: bool = False

    # WebSockets. Daphne resets a handshake that waited 4.7 s; a denial before it is a 403.
    connect_timeout: float = 4.0
    mailbox_frames: int = 256  # Frames of one socket that wait for its worker …
    mailbox_bytes: int = MIB  # … and their size; beyond either, the socket is closed (1013).
    delivery_frames: int = 64  # Frames that go to a worker together.
    outgoing_bytes: int = 4 * MIB  # To one client; beyond, it does not read: closed (1013).
    websocket_protocols: tuple[str, ...] = ()  # Subprotocols; the client's first is taken.
    close_on_gap: bool = True  # 1013 when group messages of a member were dropped.
    close_wait: float = 10.0  # For a server to say that a socket we closed is gone.

    # The source of messages: "client", "user", or the dotted path of a function of the scope.
    fair: Any = None  # Claims take turns over these, and none fills a channel for the others.
    source_connections: int | None = None  # Of one at a time, here; beyond it 429 or close 4008.
    source_rate: float | None = None  # Messages of one in a second, here; beyond it the same …
    source_burst: int | None = None  # … once it has sent so many; None: as many as in 2 s.

    # When others are slow or away.
    full_wait: float = 5.0  # A frame waits for room on its channel; then 1013.
    unserved_wait: float = 60.0  # A frame waits for any worker to serve its channel; then dropped.
    disconnect_wait: float = 60.0  # The same for websocket.disconnect while workers restart.
    disconnects: int = 50  # Of websocket.disconnect under way at a time; more wait here …
    disconnects_waiting: int = 10_000  # … and while so many do, no socket gets in (1013).
    collect_growth: int = 64 * MIB  # A process that has grown so much runs a garbage collection.
    broker_grace: float = 15.0  # Sockets stay open without Redis; then 1013, one by one.
    drain: float = 5.0  # After SIGTERM sockets are closed (1012) over this time …
    shutdown_grace: float = 10.0  # … and in this one, with the answers they wait for.

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "websocket_protocols":
                object.__setattr__(self, field.name, _protocols(value))
            elif field.name == "fair" or (value is None and field.name.startswith("source_")):
                pass  # See sources.Sources.
            elif field.name in ("source_connections", "source_burst"):
                if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                    raise _wrong(field.name, "a whole number above 0, or None", value)
            elif field.name == "source_rate":
                if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                    raise _wrong(field.name, "a number of messages above 0, or None", value)
            elif isinstance(field.default, bool):
                if not isinstance(value, bool):
                    raise _wrong(field.name, "True or False", value)
            elif isinstance(field.default, int):
                if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                    raise _wrong(field.name, "a whole number above 0", value)
            elif field.name in _MAY_BE_NONE and value is None:
                pass  # No limit.
            elif isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise _wrong(field.name, "a number of seconds above 0", value)

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> "InterfaceOptions":
        """Options out of a settings dict. Raises InvalidChannelLayer (a ValueError)."""
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                raise InvalidChannelLayer(
                    f"CHANNEL_LAYERS has no option {name!r} under INTERFACE. "
                    f"There are: {', '.join(known)}."
                )
        return cls(**given)


def _protocols(value: object) -> tuple[str, ...]:
    if isinstance(value, list | tuple) and all(isinstance(item, str) and item for item in value):
        return tuple(value)
    raise _wrong("websocket_protocols", "a list of subprotocol names", value)


def _wrong(name: str, rule: str, value: object) -> InvalidChannelLayer:
    return InvalidChannelLayer(
        f"{name!r} under INTERFACE in CHANNEL_LAYERS must be {rule}, not {value!r}."
    )
