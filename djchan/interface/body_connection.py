"""A request's body: kept until it is whole, then handed on as fast as a worker reads it.

From ``http_connection``, which is one of these and hands it the server's events; on to
``layers.local``. A short body goes with the request. A longer one waits in a ``spool``, so that a
slow client costs no worker; once the request runs, its reader asks for chunk after chunk
(``upload``), and all requests of the process take turns at putting them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from djchan.interface.arrival import Arrival
from djchan.interface.connection import Connection, Host, Local
from djchan.interface.http import CHUNK, Exchange
from djchan.interface.spool import NoRoom, Spool
from djchan.interface.upload import State, Upload
from djchan.interface.uploads import KEY
from djchan.layers import bodies, codec
from djchan.layers.operations import Body, EndBody, SendResult

_BODY_TTL = 60.0  # Seconds that a chunk may lie unread: as long as a reader waits for one.
_END_TTL = 5.0  # Seconds that the end of a body may, for a reader that waits for it.


class BodyConnection(Connection):
    """Subclasses decide what becomes of a request, and of one whose body is refused."""

    __slots__ = ("_arriving", "_exchange", "_spool", "_upload")

    def __init__(self, host: Host, local: Local, scope: Mapping[str, Any]) -> None:
        super().__init__(host, local)
        self._exchange = Exchange(scope)
        self._spool = _handed_over(scope)
        self._upload: Upload | None = None
        self._arriving: asyncio.TimerHandle | None = None  # While its body arrives.

    # -------------------------------------------------- what subclasses are asked

    def _request(self, body: bytes, body_channel: str | None) -> None:
        """Hand the request on, with its body or with the channel that brings it."""
        raise NotImplementedError

    def _is_refused(self) -> bool:
        """Refuse the request if it could not be sent to a worker now; whether it was refused."""
        raise NotImplementedError

    def _too_large(self) -> None:
        """Refuse it."""
        raise NotImplementedError

    def _too_slow(self, size: int) -> None:
        """Refuse it: so many bytes have come in the time that it has."""
        raise NotImplementedError

    def _no_room(self, error: NoRoom) -> None:
        """Refuse it for now."""
        raise NotImplementedError

    # ----------------------------------------------------------------- the reading

    async def _read(self, receive: Callable[[], Awaitable[Mapping[str, Any]]]) -> bool:
        """Read the body and hand the request on. False: the client left meanwhile."""
        options = self._host.options
        spool = self._spool
        size = 0 if spool is None else spool.size
        if (self._exchange.announced or 0) > options.http_max_body:
            self._too_large()
            return True
        if self._is_refused():
            return True
        more = not size  # Otherwise all of it is there.
        arrival = self._watch_arrival() if more and self._exchange.has_body else None
        try:
            while more:
                event = await receive()
                if self._exchange.has_ended:
                    return True  # It was too slow.
                if event["type"] == "http.disconnect":
                    return False
                part = event.get("body") or b""
                if size + len(part) > options.http_max_body:
                    self._too_large()
                    return True
                if part:
                    if spool is None:
                        spool = self._spool = self._new_spool()
                    spool.write(part)
                    size = spool.size
                    if arrival is not None:
                        arrival.received(len(part), self._loop.time())
                more = bool(event.get("more_body"))
            # With its headers it has to fit into one message.
            if size <= min(options.http_inline_body, self._host.layer.max_message_size // 2):
                self._request(spool.whole() if spool is not None else b"", None)
                return True
        except NoRoom as error:
            self._no_room(error)
            return True
        finally:
            self._stop_watching()
        self._upload = Upload(-(-size // CHUNK))
        self._request(b"", self._body_channel)
        return True

    def _new_spool(self) -> Spool:
        return Spool(self._host.storage, inline=self._host.options.http_inline_body)

    def _watch_arrival(self) -> Arrival | None:
        """Its client has a time for it."""
        options = self._host.options
        if options.http_body_timeout is None:
            return None
        arrival = Arrival(options.http_body_timeout, options.http_body_rate, self._loop.time())
        self._look_at_arrival(arrival)
        return arrival

    def _look_at_arrival(self, arrival: Arrival) -> None:
        pause = arrival.look(self._loop.time())
        if pause:
            self._arriving = self._loop.call_later(pause, self._look_at_arrival, arrival)
        else:
            self._too_slow(arrival.size)

    def _stop_watching(self) -> None:
        if self._arriving is not None:
            self._arriving.cancel()
            self._arriving = None

    # ------------------------------------------------------------- the handing on

    @property
    def _body_channel(self) -> str:
        return bodies.channel_of(self._process, self.name)

    def on_asked(self, order: int) -> None:
        upload = self._upload
        if upload is None:
            self._end_body_channel(is_read=True)
            return
        self._give_turns_back(upload.asked(order))
        self._put_chunks()

    def _put_chunks(self) -> None:
        upload, turns = self._upload, self._host.chunks
        while upload is not None and upload.may_put and turns.ask(self):
            self._put_chunk(upload)

    def turn_came(self) -> None:
        """It is this request's turn to put a chunk: another one has finished."""
        if self._upload is None or not self._upload.may_put:
            self._give_turns_back(1)
            return
        self._put_chunk(self._upload)
        self._put_chunks()

    def _put_chunk(self, upload: Upload) -> None:
        order, last = upload.put()
        assert self._spool is not None
        try:
            content = self._spool.chunk(order)
        except NoRoom as error:
            self._no_room(error)
            return
        message = codec.encode(
            {"content": content, "more_content": not last, "order": order}, len(content) + 100
        )
        self._host.journal.count("http.body.chunks")
        ttl = int(min(self._host.options.http_timeout or _BODY_TTL, _BODY_TTL) * 1000)
        self._local.submit(Body(self._body_channel, message, 0, ttl), _ignore)

    def _give_turns_back(self, number: int) -> None:
        for _ in range(number):
            following = self._host.chunks.done()
            if following is not None:
                self._loop.call_soon(following.turn_came)

    # -------------------------------------------------------------------- the end

    def _end_body(self, *, is_read: bool) -> None:
        """The request is over: nothing of its body is left anywhere. ``is_read``: its consumer
        may still be reading it, and is told."""
        upload, self._upload = self._upload, None
        if upload is not None:
            begun = upload.state is State.READING
            self._host.chunks.leave(self)
            self._give_turns_back(upload.end())
            if begun:
                self._end_body_channel(is_read=is_read)
        if self._spool is not None:
            self._spool.close()

    def _end_body_channel(self, *, is_read: bool) -> None:
        self._local.submit(EndBody(self._body_channel), _ignore)
        if is_read:
            message = codec.encode({"content": b"", "closed": True})
            end = Body(self._body_channel, message, 0, int(_END_TTL * 1000))
            self._local.submit(end, _ignore)


def _handed_over(scope: Mapping[str, Any]) -> Spool | None:
    """The body that came with the request, whole (``uploads``)."""
    spool: Spool | None = (scope.get("extensions") or {}).get(KEY)
    if spool is None or spool.claimed:
        return None
    spool.claim()
    return spool


def _ignore(result: SendResult) -> None:
    pass
