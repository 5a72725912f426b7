"""Daphne's process from its first turn to its last: Twisted's reactor.

From ``djchan.asgi``, which has work for the moment when the server runs, and ``application``,
whose shutdown Daphne would not wait for; on to the reactor. What this mends, as seen on Daphne
4.2.3:

- nothing is awaited at SIGTERM: here Twisted's shutdown waits for ``Interface.shutdown``.
- it listens until the very end: here its ports are closed at SIGTERM.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from djchan import forks
from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))

_LINGER = 1.5  # Seconds for clients to answer our close frames; autobahn gives them one.


class Drained(Protocol):
    """What is asked of the interface at shutdown."""

    draining: bool

    async def shutdown(self, grace: float | None = None) -> None: ...


def drain_at_shutdown(interface: Drained, server: Any, *, flush: float = 0.0) -> None:
    """Make Twisted's shutdown wait until ``interface`` has said goodbye. Call it once.

    ``flush``: seconds from its begin in which clients may take the ends of their responses.

    Daphne's own trigger comes first. It cancels the applications (their records do not
    need them any more) until it meets a connection that has none and fails with a
    KeyError; those it left are canceled at the end of ours.
    """
    reactor: Any = sys.modules.get("twisted.internet.reactor")
    if reactor is None:
        return

    def before_shutdown() -> Any:
        # At once: the applications that Daphne canceled a moment ago look at it.
        interface.draining = True
        for port in listening_ports(server):
            if port.disconnecting:
                continue  # Another application of this process was here before.
            # Those who have knocked already are let in, to be told "later" and not be cut off.
            port.doRead()
            port.stopListening()
        end = time.monotonic() + flush
        return Deferred.fromFuture(asyncio.ensure_future(_drain(interface, server, end)))

    reactor.addSystemEventTrigger("before", "shutdown", before_shutdown)


def listening_ports(server: object) -> list[Any]:
    """The ports of Daphne's ``server``, which itself keeps none of them."""
    reactor: Any = sys.modules.get("twisted.internet.reactor")
    ports = []
    for reader in reactor.getReaders() if hasattr(reactor, "getReaders") else ():
        factory = getattr(reader, "factory", None)
        factory = getattr(factory, "wrappedFactory", factory)  # Below TLS.
        if factory is not None and factory is getattr(server, "http_factory", None):
            ports.append(reader)
    return [port for port in ports if hasattr(port, "stopListening")]


def when_running(start: Callable[[], object]) -> None:
    """Call ``start`` in the event loop of the server that is about to run in this process.

    Daphne says nothing at its start (it sends no lifespan events); but it installs Twisted's
    reactor before it imports the application. In a process that never runs it, a worker or
    a shell, nothing is called.
    """
    reactor: Any = sys.modules.get("twisted.internet.reactor")
    if reactor is not None:
        reactor.callWhenRunning(start)


class Sockets:
    """The sockets of a server that has consumers in its own process (``runserver``).

    As long as this exists, forked children do not keep them: clients notice the death of the
    server, and the next one gets its port.
    """

    def __init__(self) -> None:
        forks.give_back_in_child(self)

    def give_back(self) -> None:
        """Called in a child."""
        reactor: Any = sys.modules.get("twisted.internet.reactor")
        selectables = {*reactor.getReaders(), *reactor.getWriters()} if reactor else set()
        for selectable in selectables:
            descriptor = selectable.fileno()
            if descriptor >= 0:
                forks.close_copy(descriptor)


async def _drain(interface: Drained, server: Any, end: float) -> None:
    try:
        await interface.shutdown()
    except Exception:
        logger.exception("The interface could not shut down in order")
    deadline = asyncio.get_running_loop().time() + _LINGER
    while _closing(server) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.02)
    await _flush(server, end)
    left = [
        application
        for details in server.connections.values()
        if (application := details.get("application_instance")) and not application.done()
    ]
    for application in left:
        application.cancel()
    if left:
        await asyncio.wait(left, timeout=_LINGER)


async def _flush(server: Any, end: float) -> None:
    """Let clients take the ends of their responses, which wait in Twisted's buffers, until ``end``
    (monotonic)."""
    while waiting := _writing(server):
        if time.monotonic() >= end:
            logger.warning(
                "%d responses are cut: their clients had not read them to the end within "
                "shutdown_grace (under INTERFACE in CHANNEL_LAYERS)",
                waiting,
            )
            return
        await asyncio.sleep(0.02)


def _writing(server: Any) -> int:
    """The number of HTTP connections with unsent data."""
    reactor: Any = sys.modules.get("twisted.internet.reactor")
    count = 0
    for writer in reactor.getWriters() if hasattr(reactor, "getWriters") else ():
        protocol = getattr(writer, "protocol", None)
        protocol = getattr(protocol, "wrappedProtocol", protocol)  # Below TLS.
        count += getattr(protocol, "factory", None) is getattr(server, "http_factory", 0)
    return count


def _closing(server: Any) -> bool:
    """Whether a WebSocket still waits for its client's close frame."""
    return any(
        "disconnected" not in details and hasattr(protocol, "sendCloseFrame")
        for protocol, details in server.connections.items()
    )
