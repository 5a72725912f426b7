"""What a worker knows to be leased to it, under one id.

From ``lanes.exchange``, which notes here what the layer has answered; on to
``lanes.reconcile``, which tells the layer. What Redis leases to us beyond this is there by
an answer that got lost, or by a history that was; it goes back::

    Claim ──answer──► known ──answer to Commit, GiveUp, Release──► forgotten
                        └──────── Held ───────► the layer takes the rest back

Each answer is noted before its deliveries run, under one lock, once per batch.
"""

import threading
from collections.abc import Iterable, Sequence

from djchan.layers.operations import Held


class Leases:
    """``above``: the highest token that this process has met before."""

    def __init__(self, above: int = 0) -> None:
        self.highest = above
        self._lock = threading.Lock()
        self._tokens: set[int] = set()
        # By link: the number of its last claim that was answered, and what that brought.
        self._answered: dict[str, int] = {}
        self._brought: dict[str, Sequence[int]] = {}

    def claimed(self, link: str, number: int, tokens: Sequence[int]) -> None:
        """Claim ``number`` of ``link`` was answered with ``tokens``."""
        with self._lock:
            self._answered[link] = number
            if tokens:
                self._brought[link] = tokens
                self._tokens.update(tokens)
                self.highest = max(self.highest, max(tokens))

    def ended(self, tokens: Iterable[int]) -> None:
        """The layer has heard the end of these."""
        with self._lock:
            self._tokens.difference_update(tokens)

    def forget(self, link: str) -> None:
        """What ``link`` claimed last was lost on the way: the layer is to take it back."""
        with self._lock:
            self._tokens.difference_update(self._brought.pop(link, ()))

    def __contains__(self, token: int) -> bool:
        return token in self._tokens

    def __len__(self) -> int:
        return len(self._tokens)

    def held(self, worker: str) -> Held:
        """All of it at one moment, as the layer is told."""
        with self._lock:
            return Held(worker, tuple(sorted(self._tokens)), tuple(self._answered.items()))
