"""How many deliveries run on the event loop of a worker at a time.

A delivery whose response waits for its client does nothing, so it lends its slot to another one
meanwhile: clients that do not read do not keep the loop from those that do::

               take ──► RUNNING ──────── free ────────► over
                         │   ▲                           ▲
     its client is slow  │   │  its client has read      │
                         ▼   │                           │
                        WAITING ──────── free ───────────┘

Whoever goes on does not ask for a slot, so for a moment there may be more that run than ``limit``.
"""

import threading

WAITING = 1000  # Deliveries that may lend their slots. Those beyond keep them.


class Slots:
    """``limit``: deliveries that run; they are named by their tokens. Any thread may call."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running = 0
        self._waiting: set[int] = set()
        self._changed = threading.Condition()

    def take(self, timeout: float) -> bool:
        """Take a slot; False when there was none for ``timeout`` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._running < self._limit, timeout):
                return False
            self._running += 1
            return True

    def set_waiting(self, token: int, waits: bool) -> None:
        """Whether this delivery waits for its client; what is said twice counts once."""
        if waits == (token in self._waiting):
            return
        with self._changed:
            if not waits:
                self._waiting.discard(token)
                self._running += 1
            elif len(self._waiting) < WAITING:
                self._waiting.add(token)
                self._running -= 1
                self._changed.notify()

    def free(self, *tokens: int) -> None:
        """These deliveries are over."""
        with self._changed:
            for token in tokens:
                if token in self._waiting:
                    self._waiting.discard(token)
                else:
                    self._running -= 1
            self._changed.notify(len(tokens))

    def give_back(self) -> None:
        """A slot was taken for nothing."""
        with self._changed:
            self._running -= 1
            self._changed.notify()
