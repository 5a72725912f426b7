"""What a process has to tell the layer, and in which words. No I/O happens here.

From ``layers.local``, into which connections put their deliveries; on to it again, as one
numbered Send at a time::

    submit ──► waiting ── next() ──► said ── answered() ──► done(result)
                                     │  ▲
                                     └──┘ not answered: said again, word for word

Nothing here has a limit of its own, for it is bounded by the connections: each has one
delivery out (its mailbox, which has limits, holds the others), its Record beside the first
one, one chunk of a request's body (whose sender waits for the result), a Grant for each half of
its window that has left, and one last word. A connection that never said anything leaves nothing
here.
"""

from collections.abc import Callable

from djchan.layers.operations import Body, EndBody, Grant, Push, Record, Send, SendResult, Sent

BATCH = 512  # Effects of one Send.
LINK = "out"

Said = Push | Record | Body | EndBody | Grant
Done = Callable[[SendResult], None]


class Outgoing:
    """Of one process id; a new id begins with a new one."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Said, Done]] = []
        self.saying: Send | None = None
        self.number = 0  # Of the last Send that was made.
        self.answered_number = 0
        self.begun: set[str] = set()  # Connections the layer knows, or is about to.
        self._said: list[tuple[Said, Done]] = []  # What ``saying`` says.
        self._begin: list[str] = []
        self._forget: list[str] = []
        self._cut: list[str] = []

    def begin(self, connection: str) -> None:
        """The connection is about to say its first delivery."""
        self.begun.add(connection)
        self._begin.append(connection)

    def forget(self, connection: str) -> None:
        """Nothing will come for the connection any more."""
        if connection in self.begun:
            self.begun.remove(connection)
            self._forget.append(connection)

    def cut(self, connection: str) -> None:
        """Its client has left before the answer."""
        self._cut.append(connection)

    @property
    def has_news(self) -> bool:
        """Whether anything was not said yet."""
        return bool(self.waiting or self._forget or self._cut)

    def next(self, process: str, *, probe: bool = False) -> Send | None:
        """The Send to say now: the one that was not answered, or the next.

        None when there is nothing to say; with ``probe`` an empty one then.
        """
        if self.saying is None and (probe or self.has_news):
            self._said = self.waiting[: self._whole()]
            del self.waiting[: len(self._said)]
            self.number += 1
            self.saying = Send(
                process,
                self.number,
                tuple([effect for effect, _ in self._said]),
                tuple(self._forget),
                tuple(self._cut),
                link=LINK,
                begin=tuple(self._begin),
            )
            self._begin.clear()
            self._forget.clear()
            self._cut.clear()
        return self.saying

    def _whole(self) -> int:
        """How many go together: a Record and the delivery before it are not parted."""
        waiting = self.waiting
        if len(waiting) > BATCH and isinstance(waiting[BATCH][0], Record):
            return BATCH - 1
        return BATCH

    def answered(self, sent: Sent) -> list[tuple[Done, SendResult]]:
        """Whom to tell what, now that ``saying`` was answered."""
        said, self._said, self.saying = self._said, [], None
        self.answered_number = self.number
        return [(done, result) for (_, done), result in zip(said, sent.results, strict=True)]

    def undone(self) -> list[Done]:
        """All that will get no result: this process id is gone."""
        return [done for _, done in (*self._said, *self.waiting)]

    # ----------------------------------------------- after the layer lost its state

    def knows(self) -> set[int]:
        """The ids of the effects that are said again, or are still to be said."""
        return {id(effect) for effect, _ in (*self._said, *self.waiting)}

    def settles(self) -> set[str]:
        """The connections whose Record is none of a Resume's.

        Those whose last delivery is being said (it may be queued already), and those whose
        Record goes with the delivery it is for, which was not said at all yet.
        """
        ending = {
            effect.owner[1]
            for effect, _ in self._said
            if isinstance(effect, Push) and effect.last and effect.owner
        }
        beginning = {effect.connection for effect, _ in self.waiting if isinstance(effect, Record)}
        return ending | beginning
