"""One HTTP request: hand it on, feed its machine, perform what comes back.

From ``application`` (the server's events, read in ``body_connection``) and ``layers.local``
(answers and replies); on to the layer and, in ``response_connection``, to the client. The request
is delivery 1 of its connection, and there is no other; http.disconnect is a message of its own,
which nobody answers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from djchan.exceptions import InvalidMessage, MessageTooLarge
from djchan.interface import http
from djchan.interface.connection import Host, Local, Replies
from djchan.interface.http import State
from djchan.interface.pace import ResponseListener
from djchan.interface.response_connection import Outlet, ResponseConnection
from djchan.interface.spool import NoRoom
from djchan.layers import codec
from djchan.layers.operations import Push, SendResult

_SEQ = 1


class HttpConnection(ResponseConnection):
    """See the module's text."""

    __slots__ = (
        "_awaited",
        "_consumer",
        "_deadline",
        "_handed_on",
        "_heard",
        "_introduced",
        "_over",
        "_returned",
        "_returning",
        "_task",
    )

    kind = "http.response"

    def __init__(
        self,
        host: Host,
        local: Local,
        scope: Mapping[str, Any],
        outlet: Callable[[ResponseListener], Outlet],
    ) -> None:
        super().__init__(host, local, scope, outlet)
        self._source = host.sources.of(scope)
        self._introduced = False  # Some worker may know the reply channel.
        self._handed_on = False  # The request, and all of its body.
        self._awaited = False  # The layer owes an answer.
        self._returned = False  # Its consumer has, and did not raise.
        self._consumer = ""  # Which returned without a response.
        self._over = False  # The response has ended, whichever way.
        self._deadline: asyncio.TimerHandle | None = None
        self._heard = 0.0  # When the last message for a held response came (the loop's time).
        self._task: asyncio.Task[Any] | None = None
        self._returning = False

    # -------------------------------------------------------- the server's events

    async def run(self, receive: Callable[[], Awaitable[Mapping[str, Any]]]) -> None:
        """Feed the server's events in until the client is gone or has its response."""
        self._task = asyncio.current_task()
        try:
            whole = not self._is_admitted() or await self._read(receive)
            self._handed_on = True
            if whole:
                while (await receive())["type"] != "http.disconnect":
                    pass
        except asyncio.CancelledError:
            if self._returning and self._task is not None and not self._task.uncancel():
                return  # It was us: see end_call.
            # At shutdown the server cancels first; the record still gets its answer.
            if not self._host.draining:
                self._left()
            elif not self._handed_on:
                self._refuse("http.draining", "this process is shutting down", http.RESTARTING)
            raise
        except BaseException:
            self._left()
            raise
        self._left()

    def _is_admitted(self) -> bool:
        """Whether its source may make one more request; otherwise it is refused."""
        host = self._host
        option = host.sources.enter(self.name, self._source, self._loop.time())
        if option:
            self._log(
                "source.refused",
                "A request got a 429: its client is over %s (%s) under INTERFACE in CHANNEL_LAYERS",
                option,
                host.sources.limit(option),
            )
            self._perform(self._exchange.refuse(429, http.TOO_OFTEN))
        return not option

    def end_call(self) -> None:
        """Make ``run`` return, which plain servers take for the end of the response."""
        if self._task is not None and not self._returning:
            self._returning = True
            self._task.cancel()

    def _too_large(self) -> None:
        self._log(
            "http.too_large",
            "A request got a 413: its body has more than %d bytes (http_max_body under INTERFACE "
            "in CHANNEL_LAYERS)",
            self._host.options.http_max_body,
        )
        self._perform(self._exchange.refuse(413, http.TOO_LARGE))

    def _too_slow(self, size: int) -> None:
        self._log("http.body_timeout", http.SLOW_BODY, size)
        self._perform(self._exchange.refuse(408, http.TOO_SLOW))

    def _no_room(self, error: NoRoom) -> None:
        self._refuse("http.no_room", str(error), http.NO_ROOM)

    def _is_refused(self) -> bool:
        if self._host.draining:
            self._refuse("http.draining", "this process is shutting down", http.RESTARTING)
        elif not self._local.available:
            self._refuse("http.no_broker", self._local.trouble, http.NO_BROKER)
        else:
            return False
        return True

    def _request(self, body: bytes, body_channel: str | None) -> None:
        host, exchange = self._host, self._exchange
        if self._is_refused():
            return
        try:
            frame = codec.encode(
                exchange.request(self.reply_channel, body, body_channel),
                host.layer.max_message_size,
            )
        except MessageTooLarge as error:
            self._log("http.too_large", "A request got a 413: %s", error)
            self._perform(exchange.refuse(413, http.TOO_LARGE))
            return
        except InvalidMessage as error:
            self._refuse("http.invalid", str(error), http.GAVE_UP)
            return
        if exchange.lost_its_upgrade:
            self._log(
                "http.no_upgrade",
                "The handshake of a WebSocket to %.200r arrived as a plain HTTP request: the proxy "
                "in front does not hand its headers Upgrade and Connection on. In nginx: "
                "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
                'proxy_set_header Connection "upgrade"; (docs/howto/deploy.md)',
                exchange.path,
            )
        timeout = host.options.http_timeout
        expires = 0
        if timeout is not None:
            expires = host.layer.now() + int(timeout * 1000)
            self._deadline = self._loop.call_later(timeout, self._timed_out)
        self._introduced = self._awaited = True
        host.journal.count("http.request")
        self._deliver(
            http.REQUEST,
            _SEQ,
            [frame],
            limits=host.limits(http.REQUEST),
            expires=expires,
            done=self._sent,
        )

    def _refuse(self, cause: str, reason: str, sentence: str) -> None:
        self._log(cause, "A request got a 503: %s", reason)
        self._perform(self._exchange.refuse(503, sentence))

    def _left(self) -> None:
        """The server is done with this request: the client left, or has its response."""
        if self._exchange.state is not State.DONE:
            self._host.journal.count("http.left")
        self._exchange.left()
        self._end(early=True)

    # ------------------------------------------------------- for the local process

    def _sent(self, result: SendResult) -> None:
        if result == "ok" or not self._awaited:
            return
        self._awaited = False
        self._push = None
        if result.startswith("full"):
            why = self._host.layer.why_full(result, http.REQUEST)
            self._refuse("http.full", why, http.QUEUE_FULL)
            self._end_record()
        else:
            self.on_dead()

    def on_answer(self, seq: int, replies: Replies, status: str, consumer: str = "") -> None:
        """The end of the consumer's run, with what it said to this request."""
        if not self._is_in_flight(seq):
            return
        self._awaited = False
        self._push = None
        self.answered_seq = seq
        self._returned = status == codec.DONE
        self._consumer = consumer
        self.on_replies(replies)
        if status:
            self._host.journal.count(f"answer.{status}")
            self._perform(self._exchange.status(status))
        self._end_record()
        if self._host.draining:
            self._host.changed()

    def on_replies(self, replies: Replies) -> None:
        """Messages to the reply channel: the response, or more of it."""
        for message in replies:
            self._perform(self._exchange.reply(message))
        if self._held:
            self._hold()

    def on_part(self, seq: int, token: int, index: int, reply: dict[str, Any], size: int) -> None:
        """A piece of a response while its consumer still runs."""
        if self._is_in_flight(seq):
            self.moved_at = self._loop.time()
            self._perform(self._exchange.part(token, index, reply), size)

    def _is_in_flight(self, seq: int) -> bool:
        return seq == _SEQ and self._awaited

    def on_gap(self, group: str) -> None:
        """A request in a group that missed messages: a held response is cut, and its client
        comes back to ask for them; any other one has its timeout."""
        self._host.journal.count("http.gap")
        if self._held and self._host.options.close_on_gap:
            self._perform(self._exchange.fail())

    def on_dead(self) -> None:
        """The layer buried this process."""
        if self._dead:
            return
        self._dead = True
        self._awaited = False
        self._perform(self._exchange.fail())
        self._end_record()

    def unanswered(self) -> Push | None:
        """The request to send again after a loss of state: only one that is safe to run
        twice and whose response has not begun. Any other one has failed."""
        if self._push is None:
            return None
        if self._exchange.safe and self._exchange.state is State.WAITING:
            return self._push
        self._push = None
        # Not now: whoever asks is going through the connections.
        self._loop.call_soon(self.on_answer, _SEQ, [], codec.LOST)
        return None

    # ----------------------------------------------------------- for the interface

    @property
    def idle(self) -> bool:
        return self._over

    @property
    def settled(self) -> bool:
        return self._over

    @property
    def lasts(self) -> bool:
        return self._held

    def leave(self) -> None:
        """A request is answered, or refused, before anything ends; a held response ends now."""
        if self._held:
            self.shut_down()

    def shut_down(self) -> None:
        if self._exchange.state is State.WAITING:
            self._perform(self._exchange.refuse(503, http.RESTARTING))
        else:
            self._perform(self._exchange.cut())

    @property
    def _is_running(self) -> bool:
        return self._awaited and not self._dead

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    @property
    def _held(self) -> bool:
        """The response has begun, and its consumer has returned and left it open: whoever
        knows the reply channel, or its group, says what comes next."""
        return self._returned and self._exchange.state is State.STARTED

    def _hold(self) -> None:
        """From here on what counts is how long nothing is said."""
        if self._host.draining:
            self.shut_down()
            return
        if not self._heard and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._heard = self._loop.time()
        silence = self._host.options.http_idle_timeout
        if self._deadline is None and silence is not None:
            self._deadline = self._loop.call_later(silence, self._listen, silence)

    def _listen(self, silence: float) -> None:
        """A held response may have been silent for too long. (A look now and then: a timer
        that each message sets anew would cost more than the message.)"""
        left = self._heard + silence - self._loop.time()
        if left > 0:
            self._deadline = self._loop.call_later(left, self._listen, silence)
            return
        self._log(
            "http.idle",
            "A held response was cut: nothing was sent to it for %.0f s (http_idle_timeout under "
            "INTERFACE in CHANNEL_LAYERS)",
            silence,
        )
        self._perform(self._exchange.fail())

    def _timed_out(self) -> None:
        timeout = self._host.options.http_timeout
        if self._exchange.state is State.STARTED and timeout is not None:
            # From its begin on what counts is the time between two parts; while its client is
            # slow, its run waits for that.
            left = self.moved_at + timeout - self._loop.time()
            if self._outlet.unsent or left > 0:
                pause = timeout if self._outlet.unsent else left
                self._deadline = self._loop.call_later(pause, self._timed_out)
                return
        self._log(
            "http.timeout",
            "A request was not answered within %.0f s (http_timeout under INTERFACE in "
            "CHANNEL_LAYERS): %s%s",
            self._host.options.http_timeout,
            "503" if self._exchange.state is State.WAITING else "cut",
            self._consumer
            and f". Its consumer {self._consumer} returned without a response: did it hand its "
            "reply channel on to what answers?",
        )
        self._perform(self._exchange.timeout())

    def _end(self, *, early: bool) -> None:
        """The response has ended; ``early``: the client did not get all of it."""
        if self._over:
            return
        self._over = True
        self._cancel_deadline()
        self._end_sending()
        self._host.sources.leave(self.name)
        self._end_body(is_read=self._awaited)
        if self._introduced and not self._dead:
            self._local.leave_groups(self.name)
            if self._awaited:
                # Its consumer still runs, and may be streaming: it can stop now.
                self._local.cut(self.name)
            if early or self._host.options.http_disconnect:
                self._tell_disconnect()
        self._end_record()
        self._host.changed()

    def _tell_disconnect(self) -> None:
        host = self._host
        if host.served.hopeless(http.DISCONNECT, self._loop.time()):
            return
        content = codec.encode(self._exchange.disconnect(self.reply_channel))
        payload = self._aside(http.DISCONNECT, msgspec.Raw(content))
        capacity, max_bytes, total = host.limits(http.DISCONNECT)
        push = Push(
            *(http.DISCONNECT, payload, capacity, 1, True), max_bytes=max_bytes, total=total
        )
        self._local.submit(push, self._told_disconnect)

    def _told_disconnect(self, result: SendResult) -> None:
        served = self._host.served
        if result == "ok":
            served.ok(http.DISCONNECT)
        elif result == "unserved":
            served.unserved(http.DISCONNECT, self._loop.time())
        else:
            self._host.journal.count("disconnect.dropped")

    def _end_record(self) -> None:
        """Let go of the record once the response has ended and nothing is owed."""
        if self._over and not self._awaited and self in self._host.connections:
            self._finish()
