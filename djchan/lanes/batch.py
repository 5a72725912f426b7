"""One lane's deliveries between claim and commit, and who may take which of them.

From ``lanes.thread``, whose batch it is; also taken from by ``lanes.monitor``, when a slow
consumer holds the lane up::

    fill ──► waiting ──next──► running ──finish──► finished ──take_finished──► (a commit)
                │
                └──take_waiting──► (given back to the layer)

Each move is made under the lock, so that a delivery goes one way, once, whichever thread
moves it; who has taken something says it to the layer with a link of its own.
"""

import threading
from collections import deque
from collections.abc import Iterable

from djchan.delivery import Work
from djchan.lanes.registration import Registration
from djchan.layers.operations import Outcome

# Weight of the last batch in the mean.
_NEWS = 0.3


class Batch:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.registration: Registration | None = None  # Whom the deliveries are leased to.
        self.running: Work | None = None
        self.running_since = 0.0
        self.finished_since = 0.0  # When the first of those in ``finished`` ended.
        self.waiting: deque[Work] = deque()
        self.finished: list[Outcome] = []

    def fill(self, registration: Registration, works: Iterable[Work]) -> None:
        with self.lock:
            self.registration = registration
            self.waiting.extend(works)

    def next(self, now: float) -> Work | None:
        """The delivery to run from ``now`` on; None when there is none."""
        with self.lock:
            if not self.waiting:
                return None
            self.running = self.waiting.popleft()
            self.running_since = now
            return self.running

    def finish(self, outcome: Outcome | None, now: float) -> None:
        """The running one is over; without an outcome, somebody else has it now."""
        with self.lock:
            self.running = None
            if outcome is not None:
                if not self.finished:
                    self.finished_since = now
                self.finished.append(outcome)

    def take_finished(self) -> list[Outcome]:
        """All that is finished, to be committed by whoever calls."""
        with self.lock:
            taken, self.finished = self.finished, []
            return taken

    def take_waiting(self) -> tuple[int, ...]:
        """The tokens of all that was not started, to be given back by whoever calls."""
        with self.lock:
            taken = tuple(work.token for work in self.waiting)
            self.waiting.clear()
            return taken

    def clear(self) -> None:
        """Forget everything: it is the layer's again."""
        with self.lock:
            self.waiting.clear()
            self.finished = []
            self.running = None


class Pace:
    """How many deliveries to claim: as many as run in ``seconds``, at most ``limit``."""

    def __init__(self, seconds: float, limit: int) -> None:
        self.count = 1
        self._seconds = seconds
        self._limit = limit
        self._mean = 0.0

    def ran(self, deliveries: int, seconds: float) -> None:
        """So many were run in so much time."""
        each = seconds / deliveries
        self._mean = each if not self._mean else self._mean + _NEWS * (each - self._mean)
        fit = self._limit if self._mean <= 0 else int(self._seconds / self._mean)
        # At most twice as many as before: one quick delivery says little about the next ten.
        self.count = max(1, min(self._limit, 2 * self.count, fit))
