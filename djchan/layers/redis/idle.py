"""Whether a connection that was idle can be used, found out without a round trip.

Redis (``timeout``), a proxy, a restart or CLIENT KILL may have closed it meanwhile. Then the
socket is readable although no reply is due. A command that is written to it is lost, but the
sender cannot know that, so ``links`` checks before it writes.

A firewall or NAT that forgets an idle connection does not close it, and commands vanish. So a
connection that was idle for too long is not used again.
"""

import enum
import select
import socket
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

# Seconds. Of one that was used just now only the state is asked for, where that is quicker.
BRIEF = 0.01
_ESTABLISHED = 1  # The first field of Linux' struct tcp_info.
LONGEST = 60.0  # Seconds. Shorter than the idle timeouts of firewalls and load balancers.


class Use(enum.Enum):
    READY = enum.auto()
    PING = enum.auto()  # When that is answered.
    REPLACE = enum.auto()  # Close it and connect again.


class Probe(NamedTuple):
    """``is_closed``: whether the other side has closed the connection. ``is_spoiled``: whether it
    has, or has sent data that no command asked for."""

    is_closed: Callable[[], bool]
    is_spoiled: Callable[[], bool]


def judge(idle: float, *, probe: Probe, health_check_interval: float) -> Use:
    """What to do with a connection that was ``idle`` for so many seconds."""
    if idle < BRIEF:
        return Use.REPLACE if probe.is_closed() else Use.READY
    if idle >= LONGEST or probe.is_spoiled():
        return Use.REPLACE
    if 0 < health_check_interval <= idle:
        return Use.PING
    return Use.READY


def probe(connection: Any) -> Probe:
    """How to look at redis-py's ``connection`` of a thread."""
    sock = connection._sock
    is_readable = _readable(sock.fileno())
    has_pending = getattr(sock, "pending", None)  # Of TLS: decrypted, and not read.
    has_data = connection._parser._reader.has_data

    def is_spoiled() -> bool:
        return is_readable() or has_data() or (has_pending is not None and has_pending() > 0)

    return Probe(_not_established(sock) or is_spoiled, is_spoiled)


def probe_async(connection: Any) -> Probe:
    """How to look at redis-py's ``connection`` of an event loop."""
    reader, writer = connection._reader, connection._writer
    sock = writer.get_extra_info("socket")
    is_readable = _readable(sock.fileno())
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

    is_not_established = _not_established(sock)
    if is_not_established is None:
        return Probe(is_spoiled, is_spoiled)

    def is_closed() -> bool:
        # The event loop may have seen the end already, and closed the descriptor.
        return sock.fileno() < 0 or is_not_established()

    return Probe(is_closed, is_spoiled)


def _not_established(sock: Any) -> Callable[[], bool] | None:
    """Whether the kernel knows of a FIN or RST; None where it does not tell.

    Unlike poll() this keeps the GIL: a worker's thread would lose its turn at each exchange.
    """
    if sys.platform != "linux" or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    ask, level, option = sock.getsockopt, socket.IPPROTO_TCP, socket.TCP_INFO
    return lambda: ask(level, option, 1)[0] != _ESTABLISHED


def _readable(descriptor: int) -> Callable[[], bool]:
    if not hasattr(select, "poll"):  # Windows; gevent takes it away.
        return lambda: bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLPRI)
    return lambda: bool(poll.poll(0))
