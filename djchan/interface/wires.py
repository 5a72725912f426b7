"""The TCP connections of Daphne in this process: counted, limited, and freed at their end.

``bounds`` has each protocol that Daphne builds watched here. Twisted keeps what waited for a
client that has left in the transport's buffers, and transport, channel and request refer to each
other, so that those megabytes would stay until a full garbage collection. Here the buffers are
emptied the moment the connection ends.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

from twisted.internet.protocol import Protocol

from djchan.interface.http import RETRY_AFTER, TOO_MANY

Twisted: TypeAlias = Any  # An object of Twisted, which has no types.

REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    b"Retry-After: %s\r\nContent-Length: %d\r\n\r\n%s\n"
) % (RETRY_AFTER, len(TOO_MANY) + 1, TOO_MANY.encode())
_BUFFERS = ("_tempDataBuffer", "_appSendBuffer", "_dataBuffer")


class ConnectionRefusal(Protocol):
    """A connection over the limit: it gets a refusal and is closed."""

    transport: Twisted

    def connectionMade(self) -> None:
        self.transport.write(REFUSAL)
        self.transport.loseConnection()


class Wires:
    """``open``: how many connections there are now."""

    def __init__(self) -> None:
        self.open = 0

    def watch(self, protocol: Twisted) -> None:
        """Count the connection that ``protocol`` is about to get, until it ends."""
        connect = protocol.makeConnection

        def connect_and_count(transport: Twisted) -> None:
            del protocol.makeConnection  # Back to the method of the class, and no cycle is left.
            self._count(transport)
            connect(transport)

        protocol.makeConnection = connect_and_count

    def _count(self, transport: Twisted) -> None:
        end = getattr(transport, "connectionLost", None)
        if end is None:
            return  # A stream of HTTP/2, or a test's: its end is another's.
        self.open += 1

        def end_and_free(reason: object) -> None:
            if transport.__dict__.pop("connectionLost", None) is None:
                end(reason)  # A second call: Twisted's own method does nothing then.
                return
            self.open -= 1
            try:
                end(reason)
            finally:
                free(transport)

        transport.connectionLost = end_and_free


def free(transport: Twisted) -> None:
    """Drop what waits in the buffers of ``transport``, and of those that it writes to."""
    for level in _levels(transport):
        for name in _BUFFERS:
            buffer = getattr(level, name, None)
            if isinstance(buffer, list):
                buffer.clear()
        if isinstance(getattr(level, "dataBuffer", None), bytes):
            level.dataBuffer = b""
            level.offset = level._tempDataLen = 0


def _levels(transport: Twisted) -> Iterator[Twisted]:
    seen: set[int] = set()
    while transport is not None and id(transport) not in seen:
        seen.add(id(transport))
        yield transport
        transport = transport.__dict__.get("transport")
