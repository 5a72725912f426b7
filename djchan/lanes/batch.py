"""One lane's deliveries between claim and commit, and who may take which of them.

From ``lanes.thread``, whose batch it is; also taken from by ``lanes.monitor``, when a slow
consumer holds the lane up::

    fill ──► waiting ──next──► running ──finish──► finished ──take_finished──► (a commit)
                │               │   │
                │               │   └──take_progress──► (a commit of the frames so far)
                │               └──abandon──► (given up: it was stuck; so was its thread)
                └──take_waiting──► (given back to the layer)

Each move is made under the lock, so that a delivery goes one way, once, whichever thread
moves it; who has taken something says it to the layer with a link of its own. While the
progress of the running one is on its way (``saying``), its end waits: two commits of one
delivery never overtake each other.
"""

import threading
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from djchan.delivery import Work
from djchan.lanes.ledger import APPLIED, PROGRESS
from djchan.lanes.limits import Frame
from djchan.lanes.registration import Registration
from djchan.layers.operations import CommitResult, GiveUp, Outcome

# Weight of the last batch in the mean.
_NEWS = 0.3


class Left(NamedTuple):
    """What an abandoned lane had in its hands."""

    registration: Registration
    work: Work  # The one that is stuck.
    frame: Frame | None
    outcomes: list[Outcome]
    waiting: tuple[int, ...]


class Batch:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.registration: Registration | None = None  # Whom the deliveries are leased to.
        self.running: Work | None = None
        self.running_since = 0.0
        self.finished_since = 0.0  # When the first of those in ``finished`` ended.
        self.waiting: deque[Work] = deque()
        self.finished: list[Outcome] = []
        # Of the running one:
        self.frame: Frame | None = None  # The message that runs, or ran last.
        self.began = 0.0  # When the consumer that runs was called; 0: none is running.
        self.told_at = 0.0  # When its progress was told last, or else it began.
        self.saying = False  # Its progress is on the way, by the monitor.
        self.lost = False  # It is somebody else's by now.
        # Of the lane:
        self.abandoned = False  # It was given up: whatever its thread still does is nothing.
        self.rest = False  # It sent to a channel that is over its limit.
        self._said = threading.Condition(self.lock)

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
            self.running_since = self.told_at = now
            self.frame = None
            self.lost = False
            return self.running

    def finish(self, outcome: Outcome | None, now: float) -> None:
        """The running one is over; without an outcome, somebody else has it now."""
        with self.lock:
            self.began = 0.0
            if self.saying:
                self._said.wait_for(lambda: not self.saying)
            if self.abandoned:
                return
            self.running = None
            if outcome is not None and not self.lost:
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
            return self._take_waiting()

    def take_progress(self, now: float) -> Outcome | None:
        """The frames of the running one that are done, for its own thread to tell.

        None: there is nothing to tell, or it is not ours any more.
        """
        with self.lock:
            if self.saying:
                self._said.wait_for(lambda: not self.saying)
            self.told_at = now
            return None if self.lost or self.running is None else self.running.progress()

    def take_over(
        self, now: float, *, progress: bool, waiting: bool
    ) -> tuple[Registration | None, list[Outcome], tuple[int, ...]]:
        """For the monitor: what is finished; with ``progress``, the frames that are done of
        the running one (then ``told()`` has to follow); and what waits, to be given back."""
        with self.lock:
            outcomes, self.finished = self.finished, []
            if progress and self.running is not None:
                told = self.running.progress()
                if told is not None:
                    outcomes.append(told)
                    self.saying = True
                    self.told_at = now
            return self.registration, outcomes, self._take_waiting() if waiting else ()

    def told(self, result: CommitResult | None) -> None:
        """The progress that ``take_over`` took was said, with this result (None: nobody knows)."""
        with self.lock:
            self.saying = False
            self.lost = result not in PROGRESS
            if result in APPLIED and self.running is not None:
                self.running.committed()
            self._said.notify_all()

    def leave(self) -> list[Outcome | GiveUp]:
        """The process ends with a consumer still running: what is to be said of this lane.

        Its delivery goes on elsewhere, as one whose run has begun.
        """
        with self.lock:
            self.abandoned = True
            work, self.running = self.running, None
            ends: list[Outcome | GiveUp] = [*self.finished]
            self.finished = []
            registration = None if self.lost or self.saying else self.registration
            if registration is not None and work is not None and not work.over:
                ends.append(work.left(registration.id))
            return ends

    def abandon(self, began: float) -> Left | None:
        """Give up the thread whose consumer was called at ``began``, and take what it had.

        None: that consumer has returned meanwhile.
        """
        with self.lock:
            if self.running is None or self.registration is None or self.began != began:
                return None
            self.abandoned = True
            work, self.running = self.running, None
            outcomes, self.finished = self.finished, []
            progress = None if self.lost else work.progress()
            if progress is not None:
                outcomes.append(progress)
            return Left(self.registration, work, self.frame, outcomes, self._take_waiting())

    def clear(self) -> None:
        """Forget everything: it is the layer's again."""
        with self.lock:
            self.waiting.clear()
            self.finished = []
            self.running = None
            self.began = 0.0

    def _take_waiting(self) -> tuple[int, ...]:
        taken = tuple(work.token for work in self.waiting)
        self.waiting.clear()
        return taken


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
