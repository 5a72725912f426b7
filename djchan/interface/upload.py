"""How a long body goes to its reader: chunk by chunk, as they are asked for. No I/O happens here.

``body_connection`` is told what the reader asks for, and puts the chunks on the body channel, each
when it has a turn::

           asked(0)              asked(n): those before n are taken
    HELD ───────────► READING ────────────────────────────────────► TAKEN
                        ▲  │ asked(n) again, or for less: what was put since then is lost, or
                        └──┘ the request runs anew: it is put again, from n on

Nothing is put before the first question, so a request that waits for a worker, or was refused,
has nothing in the layer. The reader drops a chunk whose number it did not ask for.
"""

import enum

WINDOW = 2  # Chunks of one body that may be on their way: one is read while the next comes.


class State(enum.Enum):
    HELD = "held"  # Nobody has asked for anything.
    READING = "reading"
    TAKEN = "taken"  # All of it, or it is over.


class Upload:
    """``chunks``: how many there are."""

    __slots__ = ("_asked", "_chunks", "_next", "state")

    def __init__(self, chunks: int) -> None:
        self._chunks = chunks
        self._asked = -1  # The chunk that was asked for last.
        self._next = 0  # The chunk to put next.
        self.state = State.HELD

    @property
    def on_the_way(self) -> int:
        """Chunks that were put and, as far as is known, are not taken."""
        return max(0, self._next - max(0, self._asked))

    @property
    def may_put(self) -> bool:
        """Whether the window has room for a chunk, and there is one."""
        return (
            self.state is State.READING
            and self._next < self._chunks
            and self._next < self._asked + WINDOW
        )

    def asked(self, order: int) -> int:
        """The reader has all chunks before ``order``. Answers how many turns are given back."""
        before = self.on_the_way
        if order < 0 or order > self._chunks:
            return 0
        if (order <= self._asked and self._next > order) or order > self._next:
            self._next = order
        self._asked = order
        self.state = State.TAKEN if order == self._chunks else State.READING
        return before - self.on_the_way

    def put(self) -> tuple[int, bool]:
        """The number of the chunk to put now, and whether it is the last."""
        order, self._next = self._next, self._next + 1
        return order, self._next == self._chunks

    def end(self) -> int:
        """The request is over. Answers how many turns are given back."""
        left, self._asked, self._next = self.on_the_way, self._chunks, self._chunks
        self.state = State.TAKEN
        return left
