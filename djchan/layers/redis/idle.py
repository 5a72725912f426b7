"""Whether a connection that was idle can be used. It is looked at, not asked: no round trip.

Redis (``timeout``), a proxy, a restart or CLIENT KILL may have closed it meanwhile. Then the
socket is readable although nothing was asked. What is written to it is lost, and whether it
was lost nobody can tell: so ``links`` looks before it writes.

A firewall or NAT that forgets an idle connection closes nothing, and what is written to it
vanishes. So a connection that was idle for long is not used again at all.
"""

import enum
import select
from collections.abc import Callable
from typing import Any

LONGEST = 60.0  # Seconds. Shorter than what firewalls and load balancers wait.


class Use(enum.Enum):
    READY = enum.auto()
    PING = enum.auto()  # When that is answered.
    REPLACE = enum.auto()  # Close it, and connect again.


def judge(idle: float, *, spoiled: bool, health_check_interval: float) -> Use:
    """What to do with a connection that was ``idle`` for so many seconds.

    ``spoiled``: it is closed by the other side, or holds what nobody asked for.
    """
    if spoiled or idle >= LONGEST:
        return Use.REPLACE
    if 0 < health_check_interval <= idle:
        return Use.PING
    return Use.READY


def watch(connection: Any) -> Callable[[], bool]:
    """A function that tells whether redis-py's idle ``connection`` is spoiled."""
    sock = connection._sock
    is_readable = _readable(sock.fileno())
    has_pending = getattr(sock, "pending", None)  # Of TLS: decrypted, and not read.
    has_data = connection._parser._reader.has_data

    def is_spoiled() -> bool:
        return is_readable() or has_data() or (has_pending is not None and has_pending() > 0)

    return is_spoiled


def watch_async(connection: Any) -> Callable[[], bool]:
    """The same for a connection of an event loop."""
    reader, writer = connection._reader, connection._writer
    is_readable = _readable(writer.get_extra_info("socket").fileno())
    has_data = connection._parser._reader.has_data

    def is_spoiled() -> bool:
        # What the event loop has seen, then what it had no turn to see: a loop that was blocked.
        return (
            writer.is_closing()
            or reader.at_eof()
            or reader.exception() is not None
            or bool(reader._buffer)
            or has_data()
            or is_readable()
        )

    return is_spoiled


def _readable(descriptor: int) -> Callable[[], bool]:
    if not hasattr(select, "poll"):  # Windows; gevent takes it away.
        return lambda: bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLPRI)
    return lambda: bool(poll.poll(0))
