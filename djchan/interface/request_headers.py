"""Time for the headers of a request on Daphne, which Twisted leaves open.

Twisted closes a connection that is silent for 60 s. Each byte begins that time anew, so a client
that sends one header a minute keeps its connection for hours, and a thousand of them keep
everybody else out. ``bounds`` makes the channels of Daphne's connections of the class below: the
time runs from the first byte of a request until its headers are complete.
"""

from twisted.web import http

from djchan.interface.journal import Journal
from djchan.interface.wires import Twisted

HTTPChannel: Twisted = http.HTTPChannel

_SHAPE = ("_buffer", "_receivedHeaderSize", "line_mode", "resetTimeout", "timeoutConnection")


def bounded(log: Journal) -> Twisted:
    """A class like Twisted's HTTPChannel, with one time limit for all headers of a request."""

    class BoundedChannel(HTTPChannel):  # type: ignore[misc]
        def resetTimeout(self) -> None:
            if not self._has_some():
                super().resetTimeout()

        def timeoutConnection(self) -> None:
            if self._has_some():
                log.say(
                    "http.header_timeout",
                    "A connection was closed: the headers of its request were not complete within "
                    "%s s of its first byte",
                    self.timeOut,
                )
            super().timeoutConnection()

        def _has_some(self) -> bool:
            """Whether some of the headers have arrived, and not all."""
            return bool(self.line_mode and (self._buffer or self._receivedHeaderSize))

    BoundedChannel.__name__ = HTTPChannel.__name__
    return BoundedChannel


def bind(protocol: Twisted, kind: Twisted) -> None:
    """Let the connection of ``protocol``, which has not begun, be of the class ``kind``."""
    channel = getattr(protocol, "_channel", None)
    if type(channel) is HTTPChannel and all(hasattr(channel, name) for name in _SHAPE):
        channel.__class__ = kind
