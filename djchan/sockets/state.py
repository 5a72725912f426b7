"""What may be called on a socket now, and what its view is told otherwise. No I/O happens here.

From ``socket``, which asks before it does anything; on to it again, as an answer or an error.

::

                 accept                  close
    CONNECTING ──────────► OPEN ──────────────────────► CLOSED (by this view)
        │ │                  │ the client leaves           ▲
        │ └──── leaves ──────┴────────────────► LEFT       │
        └───────── close: refused ─────────────────────────┘

What the client had sent before it left can still be received; after that, and for whatever
is to be sent, the view is told by SocketDisconnected. A socket that djchan had to close (the
server stops, a limit) is LEFT too: it was not the view's doing.
"""

import enum
from collections.abc import Iterable

from djchan.exceptions import InvalidSocketValue, SocketDisconnected, SocketStateError
from djchan.interface.websocket import ABNORMAL, NORMAL


class State(enum.Enum):
    CONNECTING = "connecting"
    OPEN = "open"
    CLOSED = "closed"
    LEFT = "left"


class SocketState:
    """``offered``: the subprotocols that the client can speak."""

    __slots__ = ("_why", "code", "offered", "state")

    def __init__(self, offered: Iterable[str] = ()) -> None:
        self.offered = tuple(offered)
        self.state = State.CONNECTING
        self.code: int | None = None  # With which it ended; None: it has not, or was refused.
        self._why = ""

    # ------------------------------------------------------------- calls of the view

    def accept(self, subprotocol: str | None) -> None:
        """CONNECTING becomes OPEN. Raises what the class docstrings of the errors say."""
        if self.state is State.OPEN:
            raise SocketStateError(
                "accept() on a socket that is open: it was accepted before. Call it once."
            )
        self._refuse_ended("accept()")
        if subprotocol is not None and subprotocol not in self.offered:
            raise InvalidSocketValue(
                f"accept({subprotocol!r}): the client offered "
                f"{', '.join(map(repr, self.offered)) or 'no subprotocol'}. Choose one of "
                "socket.subprotocols, or accept() without one."
            )
        self.state = State.OPEN

    def sending(self, call: str) -> None:
        """Whether ``call`` may send; an error if not."""
        if self.state is not State.OPEN:
            self._refuse_unaccepted(call)
            self._refuse_ended(call)

    def receiving(self, call: str, *, waiting: bool) -> None:
        """Whether ``call`` may receive. ``waiting``: there is a frame that came before the end."""
        if self.state is State.OPEN or (self.state is State.LEFT and waiting):
            return
        self._refuse_unaccepted(call)
        self._refuse_ended(call)

    def waited(self, call: str) -> None:
        """After ``call`` has waited for a frame: an error if the view closed the socket meanwhile.

        No misuse, as to call it later would be: another task of the view was first.
        """
        if self.state is State.CLOSED:
            code = NORMAL if self.code is None else self.code
            raise SocketDisconnected(
                f"{call}: this view closed the socket meanwhile (code {code}).", code=code
            )

    def close(self, code: int) -> State:
        """The view ends it; what it was before. Ended before: nothing happens.

        Raises InvalidSocketValue for a code that an application cannot send.
        """
        if (
            isinstance(code, bool)
            or not isinstance(code, int)
            or not (code == NORMAL or 3000 <= code <= 4999)
        ):
            raise InvalidSocketValue(
                f"close({code!r}): a close code is 1000, or from 3000 to 4999 (RFC 6455, "
                "section 7.4)."
            )
        return self.end(code)

    # -------------------------------------------------------- what happens to the socket

    def end(self, code: int) -> State:
        """It ends as its view wished, or with its view; what it was before."""
        before = self.state
        if before is State.OPEN:
            self.state, self.code = State.CLOSED, code
        elif before is State.CONNECTING:
            self.state = State.CLOSED
        return before

    def left(self, code: int = ABNORMAL, why: str = "the client has left") -> State:
        """It ended otherwise, for the reason ``why``; what it was before."""
        before = self.state
        if before is State.OPEN or before is State.CONNECTING:
            self.state, self.code, self._why = State.LEFT, code, why
        return before

    def _refuse_unaccepted(self, call: str) -> None:
        if self.state is State.CONNECTING:
            raise SocketStateError(
                f"{call} on a socket that is still connecting: await socket.accept() first."
            )

    def _refuse_ended(self, call: str) -> None:
        if self.state is State.LEFT:
            code = ABNORMAL if self.code is None else self.code
            raise SocketDisconnected(
                f"{call}: {self._why} (code {code}). Return from the view; `async for` over the "
                "socket ends by itself.",
                code=code,
            )
        if self.state is State.CLOSED:
            how = "was refused" if self.code is None else f"was closed with {self.code}"
            raise SocketStateError(
                f"{call} on a socket that is closed: it {how} by this view. Nothing can follow."
            )
