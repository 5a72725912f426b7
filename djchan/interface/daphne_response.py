"""The way out of an HTTP response on Daphne, at the pace of its client."""

import fcntl
import sys
import termios
from collections import deque
from typing import Any

from djchan.interface.daphne import buffered, wire_of
from djchan.interface.pace import ResponseListener

_SHORT = 64 * 1024  # Bytes that may wait in Twisted's buffer when a response ends.


class DaphneResponse:
    """One response, from Twisted's request to its end.

    A response that is whole, and short, is one write. Any other one makes this the producer of
    its request: what Twisted holds for the client is written when it has handed all of that to
    the kernel, and not before, and the response ends when its last byte has gone the same way.
    Twisted begins to count the idle time of a connection where a response ends.

    ::

        content ──► parts ── write ──► Twisted's buffer ──► the kernel ──► taken
                      ▲                     │ over 64 KiB: pauseProducing
                      └── waits there ◄─────┘ empty again: resumeProducing
    """

    __slots__ = (
        "_ending",
        "_listener",
        "_parts",
        "_paused",
        "_producing",
        "_request",
        "_server",
        "_written",
        "unsent",
    )

    def __init__(self, request: Any, listener: ResponseListener) -> None:
        self._request = request
        self._server = request.server
        self._listener: ResponseListener | None = listener
        self._parts: deque[tuple[bytes, bool, int]] = deque()
        self._producing = self._paused = self._ending = False
        self._written = 0  # Sizes of what was written since the buffer was empty.
        self.unsent = 0  # Of the sizes that were given.

    @property
    def backlog(self) -> int:
        """Bytes that were passed to this and that the client's kernel has not acknowledged."""
        waiting = sum(len(content) for content, _, _ in self._parts)
        channel = self._request.channel
        wire = None if channel is None else wire_of(channel.transport)
        return waiting + buffered(wire) + _in_kernel(wire)

    def start(
        self,
        status: int,
        headers: list[tuple[bytes, bytes]],
        content: bytes,
        more: bool,
        size: int,
    ) -> None:
        if self._gone:
            return
        self._request.handle_reply(
            {"type": "http.response.start", "status": status, "headers": headers}
        )
        self._content(content, more, size)

    def content(self, content: bytes, more: bool, size: int) -> None:
        if not self._gone:
            self._content(content, more, size)

    def _content(self, content: bytes, more: bool, size: int) -> None:
        if not (more or self._producing or len(content) > _SHORT):
            self._write(content, more=False)
            return
        if not self._producing:
            self._producing = True
            self._request.registerProducer(self, True)
        self._parts.append((content, more, size))
        self.unsent += size
        self._write_on()

    def _write(self, content: bytes, *, more: bool) -> None:
        self._request.handle_reply(
            {"type": "http.response.body", "body": content, "more_body": more}
        )

    def _write_on(self) -> None:
        while self._parts and not self._paused:
            content, more, size = self._parts.popleft()
            self._ending = not more
            self._written += size
            self._write(content, more=True)
            if not self._paused:
                self._took()

    def _took(self) -> None:
        """Twisted has passed on all that was written, or little enough is left to wait."""
        if self._ending:
            self._stop_producing()
            self._write(b"", more=False)
        size, self._written = self._written, 0
        self.unsent -= size
        if self._listener is not None:
            self._listener.on_taken(size)

    def _stop_producing(self) -> None:
        if self._producing:
            self._producing = False
            if self._request.channel is not None:
                self._request.unregisterProducer()
            self._request.producer = None  # Lost connections unregister nobody: no cycle is left.

    # What Twisted calls: twisted.internet.interfaces.IPushProducer.

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        if self._paused and not self._gone:
            self._paused = False
            self._took()
            self._write_on()

    def stopProducing(self) -> None:
        """The connection is lost; Daphne tells the application."""

    def cut(self) -> None:
        """End the connection, not the response."""
        channel = self._request.channel
        if not self._gone and channel is not None:
            channel.transport.abortConnection()
        self.gone()

    def gone(self) -> None:
        self._listener = None  # The connection refers to this, so this reference would be a cycle.
        self._stop_producing()
        self._parts.clear()
        self.unsent = 0

    @property
    def _gone(self) -> bool:
        if self._listener is None:
            return True
        # Daphne's own handle_reply makes the same check before it passes an event on.
        details = self._server.connections.get(self._request)
        return details is None or "disconnected" in details


def _in_kernel(wire: Any) -> int:
    """Bytes that the kernel holds for the client of ``wire``; 0 where that is unknown."""
    if wire is None or not wire.connected:
        return 0
    try:
        queued = fcntl.ioctl(wire.fileno(), termios.TIOCOUTQ, bytes(4))
    except (OSError, ValueError):
        return 0
    return int.from_bytes(queued, sys.byteorder)
