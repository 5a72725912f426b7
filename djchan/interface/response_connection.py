"""The response of one request on its way to the client, at the client's pace.

``http_connection`` is one of these. It performs what the machine in ``http`` decides, hands content
to the way out of the server, grants more to the run that sends it (``pace``, ``layers.flow``), and
cuts clients that do not read. A body's way in is ``body_connection``.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from djchan.interface.body_connection import BodyConnection
from djchan.interface.connection import Host, Local
from djchan.interface.http import Action, Content, Cut, Start, State
from djchan.interface.pace import ResponseListener, Stall, Window
from djchan.layers.operations import Grant, SendResult


class Outlet(Protocol):
    """The way out to the client: writer.PlainResponse or daphne_response.DaphneResponse.

    What it is given has a ``size``, which its listener is told when the client has taken it.
    """

    unsent: int  # Sizes of what was given and is not taken.

    @property
    def backlog(self) -> int:
        """Bytes that the client has not taken: more exact than ``unsent``, and slower."""
        ...

    def start(
        self,
        status: int,
        headers: list[tuple[bytes, bytes]],
        content: bytes,
        more: bool,
        size: int,
    ) -> None: ...

    def content(self, content: bytes, more: bool, size: int) -> None: ...

    def cut(self) -> None: ...

    def gone(self) -> None: ...


# A tuple: a union is made anew each time.
_WITH_CONTENT = (Start, Content)


class ResponseConnection(BodyConnection):
    """``outlet``: makes the way out, with this as its listener."""

    __slots__ = ("_counted", "_given", "_outlet", "_stall", "_watch", "_window", "moved_at")

    def __init__(
        self,
        host: Host,
        local: Local,
        scope: Mapping[str, object],
        outlet: Callable[[ResponseListener], Outlet],
    ) -> None:
        super().__init__(host, local, scope)
        self._outlet = outlet(self)
        self._window = Window(host.options.http_window)
        self._given = 0  # Bytes of content that the outlet was given.
        self._counted = 0  # Of what waits for the client, in the total of all responses.
        self.moved_at = 0.0  # When a part came, or the client took something (the loop's time).
        self._stall: Stall | None = None  # While the client is slow.
        self._watch: asyncio.TimerHandle | None = None  # Looks at that.

    # -------------------------------------------------- what subclasses are asked

    @property
    def _is_running(self) -> bool:
        """Whether a run may still send parts."""
        raise NotImplementedError

    def end_call(self) -> None:
        """Make the application return, which ends the response on plain servers."""
        raise NotImplementedError

    def _cancel_deadline(self) -> None:
        """The response is complete, so no timeout for its next part runs."""
        raise NotImplementedError

    def _end(self, *, early: bool) -> None:
        """The response has ended; ``early``: the client did not get all of it."""
        raise NotImplementedError

    # ------------------------------------------------------------ for the interface

    @property
    def is_sending(self) -> bool:
        return self._outlet.unsent > 0 or self._exchange.state is State.STARTED

    def give_room(self) -> None:
        """All responses together are over their limit, and this one's client is the slowest."""
        self._log(
            "http.outgoing_total",
            "A response was cut: its client is the slowest, and more than %d bytes of all "
            "responses waited for their clients (http_outgoing_total under INTERFACE in "
            "CHANNEL_LAYERS)",
            self._host.options.http_outgoing_total,
        )
        self._perform(self._exchange.cut())

    # --------------------------------------------------------------------- actions

    def _perform(self, actions: list[Action], size: int | None = None) -> None:
        """``size``: of the part in the layer; else it is that of its content."""
        try:
            for action in actions:
                self._do(action, size)
        except Exception as error:
            actions = [Cut()]
            self._log(
                "outlet.error",
                "A response could not be written: %r",
                error,
                level=logging.ERROR,
            )
            self._exchange.left()
            self._cut()
        if self._exchange.state is State.COMPLETE:
            self._completed()
        if self._exchange.state is State.DONE:
            self._end(early=any(isinstance(action, Cut) for action in actions))

    def _completed(self) -> None:
        """The response is complete here: its run may end while the client still reads."""
        self._end_body(is_read=self._is_running)
        if not self._outlet.unsent:
            self._exchange.taken()
        self._cancel_deadline()

    def _do(self, action: Action, size: int | None) -> None:
        if isinstance(action, _WITH_CONTENT):
            self._give(action, len(action.content) or 1 if size is None else size)
        elif isinstance(action, Cut):
            self._host.journal.count("http.cut")
            self._cut()
        else:
            self._log("reply.invalid", "%s: %s", self.name, action.reason, level=logging.ERROR)

    def _give(self, action: Start | Content, size: int) -> None:
        """Pass content to the outlet, within the limits of what may wait there."""
        host, outlet = self._host, self._outlet
        if outlet.unsent > host.options.http_outgoing_bytes:
            self._overflowed()
            return
        if not outlet.unsent:
            self.moved_at = self._loop.time()
        self._given += len(action.content)
        if isinstance(action, Start):
            outlet.start(*action, size)
        else:
            outlet.content(*action, size)
        if not self._count():
            host.make_room()
        if outlet.unsent and self._stall is None:
            self._look_at_client()

    def _count(self) -> bool:
        """Add its waiting bytes to the total of all responses; whether that is within its limit."""
        more = self._outlet.unsent - self._counted
        if not more:
            return True
        self._counted += more
        return self._host.outgoing.add(more)

    def _cut(self) -> None:
        self._outlet.cut()
        self._count()

    def on_taken(self, size: int) -> None:
        """The client has taken ``size`` bytes from the outlet."""
        self.moved_at = self._loop.time()
        self._count()
        total = self._window.took(size)
        if total and self._is_running:
            self._local.submit(Grant(self._process, self.name, total), _ignore)
        if not self._outlet.unsent:
            self._exchange.taken()
            if self._exchange.state is State.DONE:
                self._end(early=False)

    def on_broken(self) -> None:
        """The server takes nothing more."""
        self._perform(self._exchange.cut())

    def _look_at_client(self) -> None:
        """Bytes wait for the client: check from time to time that it reads."""
        limit = self._host.options.http_send_timeout
        if not self._outlet.unsent or limit is None:
            self._stall = self._watch = None
            return
        if self._stall is None:
            self._stall = Stall(limit)
        if self._stall.look(self._loop.time(), self._given - self._outlet.backlog):
            self._log(
                "http.stalled",
                "A response was cut: its client has read nothing for %.0f s "
                "(http_send_timeout under INTERFACE in CHANNEL_LAYERS)",
                limit,
            )
            self._perform(self._exchange.cut())
            return
        self._watch = self._loop.call_later(self._stall.pause, self._look_at_client)

    def _overflowed(self) -> None:
        self._log(
            "http.overflow",
            "A response was cut: its client does not read. More than %d bytes waited for it "
            "(http_outgoing_bytes under INTERFACE in CHANNEL_LAYERS)",
            self._host.options.http_outgoing_bytes,
        )
        self._perform(self._exchange.cut())

    def _end_sending(self) -> None:
        """No byte of it waits for the client any more."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._outlet.gone()
        self._count()


def _ignore(result: SendResult) -> None:
    pass
