"""Hand a socket's deliveries to the layer, one at a time, and try again where that helps.

From ``websocket_connection``, which fills the mailbox; on to ``layers.local``. What the
layer answers to a delivery::

                        ┌── ok ─────────► in flight until its answer
    mailbox ─► submit ──┼── full ───────► again, for full_wait seconds; then the socket closes
        ▲               └── unserved ───► again, as long as ``served`` says; then dropped
        └───────────────────── again ────┘

A connect that finds its channel full is refused at once; a disconnect is exempt, but waits
for a turn (``turns``). With the connect goes the record of a disconnect, for the layer to send
should this process die before it has sent the real one.
"""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from djchan.interface import websocket
from djchan.interface.connection import NO_LIMITS, Connection, Host, Local
from djchan.interface.mailbox import Delivery, Mailbox
from djchan.layers import codec
from djchan.layers.operations import Record, SendResult

_ABANDONED = msgspec.Raw(codec.encode(websocket.WebSocket.abandoned()))
_FIRST_PAUSE = 0.05  # Seconds until a delivery that was not taken is tried again …
_LONGEST_PAUSE = 1.0  # … and twice as long each time, up to this.


class MailboxConnection(Connection):
    """A connection that speaks through a mailbox."""

    __slots__ = (
        "_done",
        "_has_turn",
        "_leaving",
        "_mailbox",
        "_pause",
        "_refused",
        "_retry",
        "_settled",
        "_trying_since",
    )

    def __init__(self, host: Host, local: Local) -> None:
        super().__init__(host, local)
        options = host.options
        self._mailbox = Mailbox(
            frames=options.mailbox_frames,
            size=options.mailbox_bytes,
            batch=options.delivery_frames,
            total=host.mailboxes,
        )
        self._refused = False  # The layer had no room for its connect.
        self._settled = False  # The disconnect is enqueued; the rest is the layer's.
        self._has_turn = False  # To hand its disconnect on, until that was answered.
        self._leaving = False  # It is shut down as soon as nothing is under way.
        self._retry: asyncio.TimerHandle | None = None
        self._pause = _FIRST_PAUSE
        self._trying_since: float | None = None
        # Made once: it is given out with every delivery.
        self._done: Callable[[SendResult], None] = self._sent

    def end(self, code: int) -> None:
        """Close the socket with ``code``, or refuse it while it is connecting."""
        raise NotImplementedError

    def on_dead(self) -> None:
        raise NotImplementedError

    def _unsay(self, frames: int) -> None:
        """The last ``frames`` frames were lost."""
        raise NotImplementedError

    def _is_in_flight(self, seq: int) -> bool:
        return self._mailbox.in_flight is not None and self._mailbox.in_flight.seq == seq

    @property
    def idle(self) -> bool:
        return self._mailbox.in_flight is None and not len(self._mailbox)

    @property
    def settled(self) -> bool:
        return self._settled

    @property
    def lasts(self) -> bool:
        return True

    def _pump(self) -> None:
        """Hand the next delivery to the layer, if one is due."""
        delivery = self._mailbox.next()
        if delivery is None:
            if self._leaving and self.idle:
                self.shut_down()
            return
        host, (seq, channel, frames) = self._host, delivery
        if channel == websocket.RECEIVE:
            limits = host.limits(channel)
            if host.served.known(channel):
                self._deliver(channel, seq, frames, limits=limits, done=self._done)
            else:
                # Asked until it is known that there is such a consumer. From then on frames
                # wait in the queue while workers are away.
                self._deliver(
                    channel, seq, frames, limits=limits, if_served=True, done=self._received_by
                )
        elif channel == websocket.DISCONNECT:
            if self._has_turn or host.turns.ask(self):
                self._say_goodbye(delivery)
            else:
                host.journal.count("disconnect.waited")
        else:
            expires = host.layer.now() + int(host.options.connect_timeout * 1000)
            limits = host.limits(channel)
            self._deliver(channel, seq, frames, limits=limits, expires=expires, done=self._done)
            self._local.submit(self._record(), _ignore)

    def _record(self) -> Record:
        return Record(
            self._process,
            self.name,
            websocket.DISCONNECT,
            self._aside(websocket.DISCONNECT, _ABANDONED),
        )

    def record(self) -> Record | None:
        """The disconnect that the layer keeps, from the connect until the real one is there."""
        if self._owner is None or self._settled or self._dead:
            return None
        return self._record()

    def _say_goodbye(self, delivery: Delivery) -> None:
        self._has_turn = True
        channel = delivery.channel
        self._deliver(
            channel,
            delivery.seq,
            delivery.frames,
            # One for each connection that got in is bound enough. Those of clients that
            # did not get in have no such bound.
            limits=self._host.limits(channel) if self._refused else NO_LIMITS,
            if_served=True,
            last=True,
            done=self._said_goodbye,
        )

    def turn_came(self) -> None:
        """It is this one's turn; or was, if it has ended meanwhile."""
        delivery = self._mailbox.in_flight
        if delivery is None or self not in self._host.connections:
            self._give_turn_back()
        else:
            self._say_goodbye(delivery)

    def _give_turn_back(self) -> None:
        following = self._host.turns.done()
        if following is not None:
            # Not now: when this process was given up, it is about to hear of that too.
            self._loop.call_soon(following.turn_came)

    def _finish(self) -> None:
        super()._finish()
        self._done = _ignore  # A method of its own: no cycle is left.
        self._mailbox.close()
        if self._has_turn:
            self._has_turn = False
            self._give_turn_back()
        else:
            self._host.turns.leave(self)

    def _received_by(self, result: SendResult) -> None:
        if result == "ok":
            self._host.served.ok(websocket.RECEIVE)
            self._enqueued(websocket.RECEIVE)
        self._sent(result)

    def _said_goodbye(self, result: SendResult) -> None:
        if result == "ok":
            self._host.served.ok(websocket.DISCONNECT)
            self._enqueued(websocket.DISCONNECT)
            self._settled = True
            self._host.changed()
        else:
            self._sent(result)

    def _enqueued(self, channel: str) -> None:
        """It was served when it was sent: should the layer lose it, it is sent unasked."""
        if self._push is not None and self._push.channel == channel:
            self._push = self._push._replace(if_served=False)

    def _sent(self, result: SendResult) -> None:
        """What became of the delivery in flight."""
        if result == "ok":
            self._trying_since = None
            self._pause = _FIRST_PAUSE
            return
        delivery = self._mailbox.in_flight
        if delivery is None or self._dead:
            return
        if self.answered_frames and result != "gone":
            return  # This was said before, and lost: a copy from there on was sent besides.
        self._push = None
        if result.startswith("full"):
            self._full(result, delivery.channel)
        elif result == "unserved":
            self._unserved(delivery.channel)
        else:
            self.on_dead()

    def _full(self, result: SendResult, channel: str) -> None:
        host = self._host
        if channel == websocket.CONNECT:
            self._refused = True
            self._release()
            self._log(
                "connect.full",
                "A WebSocket was refused. %s",
                host.layer.why_full(result, channel),
            )
            self.end(websocket.TRY_AGAIN_LATER)
            self._pump()
        elif channel == websocket.DISCONNECT:
            host.journal.count("disconnect.dropped")
            self._finish()
        elif self._tried_for() < host.options.full_wait:
            self._try_again()
        else:
            lost = self._lose()
            self._log(
                "receive.full",
                "A WebSocket was closed (1013) and lost %d frames, which had waited for %.1f s "
                "(full_wait). %s",
                lost,
                host.options.full_wait,
                host.layer.why_full(result, channel),
            )
            self.end(websocket.TRY_AGAIN_LATER)
            self._pump()

    def _unserved(self, channel: str) -> None:
        if self._host.served.unserved(channel, self._loop.time()):
            self._try_again()
        elif channel == websocket.DISCONNECT:
            self._log(
                "disconnect.unserved",
                "No worker serves %s: not sent. If a consumer is routed there, run a worker for it",
                channel,
                level=logging.INFO,
            )
            self._finish()
        else:
            self._log(
                "receive.unserved",
                "No worker serves %s: %d frames were dropped. Route a consumer there, or run a "
                "worker for it",
                channel,
                self._lose(),
            )
            self._pump()

    def _tried_for(self) -> float:
        now = self._loop.time()
        if self._trying_since is None:
            self._trying_since = now
        return now - self._trying_since

    def _try_again(self) -> None:
        self._mailbox.again()
        self._retry = self._loop.call_later(self._pause, self._retry_now)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _retry_now(self) -> None:
        self._retry = None
        if not self._dead:
            self._pump()

    def _lose(self) -> int:
        """Give up on the frames that wait, and on those just put back; how many they were."""
        self._mailbox.again()
        lost = self._mailbox.drop(websocket.RECEIVE)
        self._unsay(lost)
        self._trying_since = None
        self._pause = _FIRST_PAUSE
        self._host.journal.count("frames.lost", lost)
        return lost

    def _release(self) -> None:
        self._push = None
        self._mailbox.answer(self._mailbox.seq)


def _ignore(result: SendResult) -> None:
    pass
