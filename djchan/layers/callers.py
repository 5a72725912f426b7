"""Identities for operations of code that is no registered process: a view, a shell, a thread
that reads a request's body.

The layer remembers the last answer of each caller for a minute, so a numbered operation whose
answer was lost can be repeated. A caller performs one operation at a time; each concurrent call
takes a caller of its own from the pool.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from djchan.layers.operations import Pop


class Caller:
    """An id, and the number of the operation that it performs or performed last."""

    __slots__ = ("id", "number")

    def __init__(self) -> None:
        self.id = secrets.token_urlsafe(12)
        self.number = 0

    def next(self) -> int:
        """The number of a new operation."""
        self.number += 1
        return self.number


class Callers:
    """A pool for all threads and event loops of a process; a forked child has one of its own.

    ``limit``: how many it keeps idle, and how many interrupted Pops it remembers.
    """

    def __init__(self, limit: int = 64) -> None:
        self._limit = limit
        self._idle: list[Caller] = []
        self._interrupted: dict[frozenset[str], tuple[Caller, Pop]] = {}

    def take(self) -> Caller:
        try:
            return self._idle.pop()
        except IndexError:
            return Caller()

    def give_back(self, caller: Caller) -> None:
        """Its last operation was answered. One whose was not is never used again."""
        if len(self._idle) < self._limit:
            self._idle.append(caller)

    @contextmanager
    def popping(self, channels: tuple[str, ...], timeout: float) -> Iterator[Pop]:
        """A Pop to be performed within.

        When that is canceled, or fails, a message may have been taken off the channels already.
        The next Pop on the same channels then has the same number, and is answered with it.
        """
        key = frozenset(channels)
        caller, pop = self._interrupted.pop(key, (None, None))
        if caller is None or pop is None:
            caller = self.take()
            pop = Pop(channels, timeout, caller.id, caller.next())
        try:
            yield pop._replace(timeout=timeout)
        except BaseException:
            self._interrupted[key] = caller, pop
            if len(self._interrupted) > self._limit:
                self._interrupted.pop(next(iter(self._interrupted)), None)
            raise
        self.give_back(caller)
