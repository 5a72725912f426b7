"""What a client can make Daphne hold with a request: bounded where Daphne and Twisted are not.

``bounds`` has Daphne make requests of the class below. A request's body is written to a ``spool``
with a limit for itself and one for all requests together, and is handed over as a whole
(``uploads``)::

    headers ──► gotLength ──► handleContentChunk … ──► requestReceived ──► process ──► Daphne
                    └── over ────────┴──► 413 or 503, the rest is read and dropped ──► closed

Twisted would read all of a form into memory and parse it, for arguments that Daphne never looks
at: it finds an empty body.
"""

import asyncio
import functools
import io
from collections.abc import Sequence
from typing import Protocol

from djchan.interface import targets, trust
from djchan.interface.arrival import Arrival, ArrivalLimits
from djchan.interface.headers_wait import HeadersWait
from djchan.interface.http import (
    NO_ROOM,
    RETRY_AFTER,
    SLOW_BODY,
    SLOW_HEADERS,
    TOO_LARGE,
    TOO_SLOW,
    TOO_SLOW_HEADERS,
)
from djchan.interface.journal import Journal
from djchan.interface.spool import NoRoom, Spool, Storage
from djchan.interface.trust import ForwardedHeader
from djchan.interface.uploads import Scope, Send
from djchan.interface.wires import Twisted

LINGER = 5.0  # Seconds in which the rest of a refused body is read, so that its client reads 413.

_SHAPE = (
    *("check_timeouts", "connectionLost", "gotLength", "handleContentChunk", "process"),
    "requestReceived",
)
_REFUSAL = (
    b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Type: text/plain\r\n%s"
    b"Content-Length: %d\r\n\r\n%s\n"
)
_TOO_SLOW_HEADERS = (len(TOO_SLOW_HEADERS) + 1, TOO_SLOW_HEADERS.encode())
_BAD_ENCODING = "Transfer-Encoding is chunked, or it is left out."


class BodyLimits(Protocol):
    """The attributes of ``bounds.Bounds`` that are used here."""

    body: int
    inline: int
    arrival: ArrivalLimits
    header_timeout: float | None
    requests: bool
    storage: Storage
    root_path: bool


@functools.cache
def is_known(plain: Twisted) -> bool:
    return all(hasattr(plain, name) for name in _SHAPE)


def take_body(scope: Scope, send: Send) -> Spool | None:
    """The body of the request behind ``send``, if any. The caller has to close it."""
    request: Twisted = send.args[0] if isinstance(send, functools.partial) and send.args else None
    body = getattr(request, "content", None)
    if not isinstance(body, Spool) or not body.size:
        return None
    request.content = io.BytesIO()
    return body


def bounded(
    plain: Twisted, bounds: BodyLimits, log: Journal, *, forwarded: Sequence[ForwardedHeader] = ()
) -> Twisted:
    """A class like Daphne's WebRequest, with a bounded body.

    ``forwarded``: the headers of a proxy that its server trusts (``trust.forwarded_headers``).
    """
    limit = bounds.body

    def end(request: Twisted) -> None:
        log.say("http.header_timeout", SLOW_HEADERS, bounds.header_timeout)
        request.refuse_headers()

    headers_wait = HeadersWait(bounds.header_timeout, end)

    class Request(plain):  # type: ignore[misc]
        _read = 0
        _refused = False
        _body: Twisted = None
        _arrival: Arrival | None = None
        _look: asyncio.TimerHandle | None = None
        content: Twisted
        path: bytes
        uri: bytes

        def __init__(self, *args: Twisted, **kwargs: Twisted) -> None:
            super().__init__(*args, **kwargs)
            if bounds.requests:
                headers_wait.begin(self)

        def refuse_headers(self) -> None:
            channel = self.channel
            if not hasattr(channel, "rawDataReceived"):
                return  # A stream of HTTP/2 has its headers at once.
            self._refused = True
            channel.transport.write(_REFUSAL % (b"408 Request Timeout", b"", *_TOO_SLOW_HEADERS))
            channel.loseConnection()

        def gotLength(self, length: int | None) -> None:
            headers_wait.over(self)
            # A short one is in memory there: no file is made in vain.
            super().gotLength(0 if bounds.requests else length)
            if length != 0 and bounds.requests:
                self.content = Spool(bounds.storage, inline=bounds.inline)
            encodings = self.requestHeaders.getRawHeaders(b"transfer-encoding", ())
            if encodings and [encoding.lower() for encoding in encodings] != [b"chunked"]:
                log.count("http.bad_encoding")
                self._refuse(b"400 Bad Request", _BAD_ENCODING)
            elif length is not None and length > limit and bounds.requests:
                self._too_large()
            elif length != 0 and bounds.requests and bounds.arrival.seconds is not None:
                loop = asyncio.get_running_loop()
                self._arrival = Arrival(bounds.arrival.seconds, bounds.arrival.rate, loop.time())
                self._look_at_client()

        def _look_at_client(self) -> None:
            arrival, loop = self._arrival, asyncio.get_running_loop()
            if arrival is None:
                return
            pause = arrival.look(loop.time())
            if pause:
                self._look = loop.call_later(pause, self._look_at_client)
                return
            log.say("http.body_timeout", SLOW_BODY, arrival.size)
            self._refuse(b"408 Request Timeout", TOO_SLOW)

        def _stop_looking(self) -> None:
            self._arrival = None
            if self._look is not None:
                self._look.cancel()
                self._look = None

        def handleContentChunk(self, data: bytes) -> None:
            if self._refused:
                return
            self._read += len(data)
            if self._arrival is not None:
                self._arrival.received(len(data), asyncio.get_running_loop().time())
            if self._read > limit and bounds.requests:
                self._too_large()
                return
            try:
                super().handleContentChunk(data)
            except NoRoom as error:
                log.say("http.no_room", "A request got a 503: %s", error)
                self._refuse(b"503 Service Unavailable", NO_ROOM, retry=True)

        def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
            if self._refused:
                self.channel.loseConnection()
                return
            self._stop_looking()
            channel = self.channel
            if self._read or isinstance(self.content, Spool):
                self._body, self.content = self.content, io.BytesIO()
            super().requestReceived(command, path, version)
            if self.transport is None and self in channel.requests:
                # It became a WebSocket, whose end is not reported to the channel.
                channel.requests.remove(self)

        def process(self) -> Twisted:
            if self._body is not None:
                self.content, self._body = self._body, None
            trust.clean_headers(self.requestHeaders, forwarded, root_path=bounds.root_path)
            host, path = targets.split(self.path)
            if host is not None:
                self.requestHeaders.setRawHeaders(b"host", [host])
                self.uri = path + self.uri[len(self.path) :]
                self.path = path
            return super().process()

        def check_timeouts(self) -> None:
            # Of Daphne's --http-timeout. It would end a response that has begun, so that half of
            # it looks whole.
            timeout = self.server.http_timeout
            if not (self._response_started and timeout and self.duration() > timeout):
                super().check_timeouts()
            elif not self.finished and self.channel is not None:
                log.say(
                    "http.daphne_timeout",
                    "A response was cut: it was not complete within %s s (daphne --http-timeout)",
                    timeout,
                )
                self.channel.transport.abortConnection()

        def connectionLost(self, reason: object) -> None:
            headers_wait.over(self)
            self._stop_looking()
            channel = self.channel
            super().connectionLost(reason)
            if channel is not None and hasattr(channel, "_transferDecoder"):
                channel._transferDecoder = None  # It refers to channel and request: a cycle.

        def _too_large(self) -> None:
            log.say(
                "http.too_large",
                "A request got a 413: its body has more than %d bytes (http_max_body under "
                "INTERFACE in CHANNEL_LAYERS)",
                limit,
            )
            self._refuse(b"413 Content Too Large", TOO_LARGE)

        def _refuse(self, status: bytes, sentence: str, *, retry: bool = False) -> None:
            self._refused = True
            self._stop_looking()
            self.content.close()
            self.requestHeaders.removeHeader(b"expect")  # Or 100 would follow the 413.
            channel = self.channel
            if not hasattr(channel, "rawDataReceived"):
                channel.abortConnection()  # A stream of HTTP/2: the others go on.
                return
            later = b"Retry-After: %s\r\n" % RETRY_AFTER if retry else b""
            page = _REFUSAL % (status, later, len(sentence) + 1, sentence.encode())
            if channel._command == b"HEAD":
                page = page[: page.index(b"\r\n\r\n") + 4]
            channel.transport.write(page)
            asyncio.get_running_loop().call_later(LINGER, channel.transport.abortConnection)

    Request.__name__ = plain.__name__
    return Request
