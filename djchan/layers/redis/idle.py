"""Whether a connection that was idle can be used, found out without a round trip.

Redis (``timeout``), a proxy, a restart or CLIENT KILL may have closed it meanwhile. Then the
socket is readable although no reply is due. A command that is written to it is lost, but the
sender cannot know that, so ``links`` checks before it writes.

A firewall or NAT that forgets an idle connection does not close it, and commands vanish. So a
connection that was idle for too long is not used again.
"""

import enum
import select
from collections.abc import Callable
from typing import Any

# Seconds. One that was used just now is not looked at: that costs system calls, and gives the GIL
# to another thread, and a connection that is closed now could as well be closed a moment later.
BRIEF = 0.01
LONGEST = 60.0  # Seconds. Shorter than the idle timeouts of firewalls and load balancers.


class Use(enum.Enum):
    READY = enum.auto()
    PING = enum.auto()  # When that is answered.
    REPLACE = enum.auto()  # Close it and connect again.


def judge(idle: float, *, is_spoiled: Callable[[], bool], health_check_interval: float) -> Use:
    """What to do with a connection that was ``idle`` for so many seconds.

    ``is_spoiled()``: whether the other side has closed it, or sent data that no command asked for.
    """
    if idle < BRIEF:
        return Use.READY
    if idle >= LONGEST or is_spoiled():
        return Use.REPLACE
    if 0 < health_check_interval <= idle:
        return Use.PING
    return Use.READY


def watch(connection: Any) -> Callable[[], bool]:
    """A function that returns whether redis-py's idle ``connection`` is spoiled."""
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
        # First what the event loop has seen, then the socket itself, in case the loop was blocked.
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
