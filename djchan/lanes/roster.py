"""The lanes of a worker: who works, who was left to itself, and who took its place.

From ``djchan.worker``, whose thread looks in now and then; on to the lanes. A thread that is
stuck in a consumer cannot be ended, only left to itself; when more of them are than work,
their process had better start anew::

    lane ──stuck──► abandoned, another takes its place ──its consumer returned──► ended
    async lane ──blocks──► abandoned, another takes its place
"""

import itertools
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator

from djchan.exceptions import BrokerUnavailable
from djchan.lanes.crew import Crew
from djchan.lanes.limits import STANDSTILL
from djchan.lanes.loop import AsyncLane
from djchan.lanes.monitor import Monitor
from djchan.lanes.registration import Registration
from djchan.lanes.thread import Lane
from djchan.layers.operations import GiveUp, Outcome
from djchan.log import escaping
from djchan.throttling import throttled

logger = escaping(logging.getLogger(__name__))


class Roster:
    """``poke``: tells the worker that there may be something to see after."""

    def __init__(self, crew: Crew, poke: Callable[[], object]) -> None:
        self.crew = crew
        self.counters: Counter[str] = Counter()  # Of lanes that are no more, and the worker's.
        self.loop = AsyncLane(crew)
        self.monitor = Monitor(crew, on_abandoned=poke)
        crew.wake_monitor = self.monitor.wake
        self._poke = poke
        self._names = itertools.count()
        self._abandoned: list[Lane] = []  # Their threads are still in a consumer.
        self._blocked: list[AsyncLane] = []
        self._looked_at = self._there_since = time.monotonic()
        self.lanes: list[Lane] = []
        self.monitor.lanes = self.lanes

    def start(self) -> None:
        """Raises BrokerUnavailable when this process cannot have a thread for the monitor."""
        self.monitor.start()
        self._fill()

    def look(self, now: float) -> None:
        """Put others in the place of those that are stuck (now: monotonic, seconds)."""
        for lane in [lane for lane in self.lanes if lane.batch.abandoned]:
            self._abandoned.append(lane)
            self.lanes.remove(lane)
        self._fill()
        for lane in [lane for lane in self._abandoned if lane.ended.is_set()]:
            self._abandoned.remove(lane)
            self.counters += lane.counters
        if now - self._looked_at > STANDSTILL:
            self._there_since = now  # We stood still ourselves.
        self._looked_at = now
        since, limit = self.loop.blocked_since(), self.crew.options.run_limit
        if limit and since and now - max(since, self._there_since) > limit:
            self._replace_loop(now - since)

    def stuck(self) -> int:
        """Threads that are stuck in a consumer."""
        return sum(not lane.ended.is_set() for lane in self._abandoned)

    def is_spent(self) -> bool:
        """Whether more is stuck here than works."""
        return bool(
            2 * self.stuck() > self.crew.options.threads
            or self._blocked
            or self.loop.threads_blocked
        )

    def leave(self, registration: Registration) -> list[Outcome | GiveUp]:
        """The process ends: the outcomes for the consumers that still run."""
        lanes = [lane for lane in self.lanes if lane.registration is registration]
        left = [outcome for lane in lanes for outcome in lane.batch.leave()]
        return [*left, *self.loop.leave(registration)]

    def in_job(self) -> bool:
        return any(lane.batch.running is not None for lane in self.lanes)

    def wake_idle(self) -> tuple[str, ...]:
        """The bells at which lanes sleep under an id that is not known any more."""
        return tuple(
            registration.bell(lane.name)
            for lane in self.lanes
            if (registration := lane.registration) is not None
            and registration.gone
            and lane.batch.running is None
        )

    def bells(self, registration: Registration) -> tuple[str, ...]:
        return tuple(registration.bell(lane.name) for lane in self.lanes)

    def clients(self) -> Iterator[str]:
        """The ids of the lanes' connections at the broker."""
        for lane in tuple(self.lanes):
            yield lane.link.client_id()
        yield self.monitor.link.client_id()
        yield self.loop.client_id()

    def counted(self) -> Counter[str]:
        total = self.counters.copy()
        lanes = [lane.counters for lane in (*self.lanes, *self._abandoned)]
        loops = [loop.counters for loop in (self.loop, *self._blocked)]
        return sum((*lanes, *loops, self.monitor.counters), total)

    def _fill(self) -> None:
        """Have as many lanes as there are to be, as soon as this process can have the threads."""
        while len(self.lanes) < self.crew.options.threads and not self.crew.stopping:
            lane = self._lane()
            try:
                lane.start()
            except BrokerUnavailable as error:
                throttled(
                    logger,
                    logging.ERROR,
                    "no thread",
                    "%d of %d threads of this worker run: %s",
                    len(self.lanes),
                    self.crew.options.threads,
                    error,
                )
                return
            self.lanes.append(lane)

    def _lane(self) -> Lane:
        return Lane(
            str(next(self._names)),
            self.crew,
            loop=lambda: self.loop,
            monitor=self.monitor,
            poke=self._poke,
        )

    def _replace_loop(self, seconds: float) -> None:
        blocked = self.loop
        self._blocked.append(blocked)
        self.loop = AsyncLane(self.crew, name=f"async-lane-{len(self._blocked)}")
        for registration, outcomes, words in blocked.abandon(seconds):
            self.monitor.say(registration, words, outcomes)
