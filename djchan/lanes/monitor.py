"""Sees to it that a slow consumer holds up nobody but itself, and not for ever.

From ``djchan.worker``; looks at the batches of its lanes. While a consumer runs long, its
lane's thread can do nothing, so this one commits what had been finished before it, the frames
of its own delivery among them, and gives what waits behind it back to the layer, for other
lanes and workers. One that runs for longer than its limit is given up, with its thread::

    5 ms ──► what is finished is committed       20 ms ──► and the frames that are done
    50 ms ──► what waits is given back           run_limit ──► given up, the lane abandoned

It looks every 5 ms while there is work, and sleeps when there has been none for a second. It
also says again what the layer could not take yet (``lanes.unsettled``).
"""

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from djchan.lanes import limits
from djchan.lanes.batch import Batch, Left
from djchan.lanes.crew import Crew
from djchan.lanes.exchange import Exchange
from djchan.lanes.ledger import Ledger, Words
from djchan.lanes.registration import Registration
from djchan.layers import threads
from djchan.layers.operations import GiveUp, Outcome, Release
from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))

TICK = 0.005
LINGER = 1.0  # Seconds without work after which it sleeps.


class Watched(Protocol):
    batch: Batch

    @property
    def thread(self) -> int | None: ...


class Monitor:
    """``on_abandoned``: called when a lane was, for the worker to replace it."""

    def __init__(self, crew: Crew, *, on_abandoned: Callable[[], object] = tuple) -> None:
        self.crew = crew
        self.lanes: Sequence[Watched] = ()
        self.counters: Counter[str] = Counter()
        self.link = crew.layer.engine.link("monitor")
        self._on_abandoned = on_abandoned
        self._asleep = False
        self._stopped = False
        self._pokes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._words: queue.SimpleQueue[tuple[Registration, Words, Sequence[Outcome]]] = (
            queue.SimpleQueue()
        )
        self._again_at = 0.0  # When to say again what is unsettled.
        self._looked_at = self._there_since = 0.0
        self._ledger = Ledger("monitor", self.counters)
        self._exchange = Exchange(self.link, self._ledger, outage=crew.outage, leaving=crew.leaving)
        self._thread = threading.Thread(target=self._run, name="djchan-monitor", daemon=True)

    def start(self) -> None:
        """Raises BrokerUnavailable when this process can have no more threads."""
        threads.start(self._thread)

    def wake(self) -> None:
        """There is work. Called for each batch, so it costs nothing while awake."""
        if self._asleep:
            self._asleep = False
            self._pokes.put(None)

    def say(
        self, registration: Registration, words: Words, outcomes: Sequence[Outcome] = ()
    ) -> None:
        """Say ``words`` and commit ``outcomes``, soon, for sure, and from this thread."""
        self._words.put((registration, words, outcomes))
        self._asleep = False
        self._pokes.put(None)

    def stop(self, timeout: float) -> None:
        """Look no more; wait for the last look to end."""
        self._stopped = True
        self._pokes.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        busy_at = time.monotonic()
        try:
            while not self._stopped:
                now = time.monotonic()
                if self._is_busy():
                    busy_at = now
                    try:
                        self.look(now)
                    except Exception:
                        logger.exception("The monitor failed. Please report this.")
                self._sleep(now - busy_at > LINGER)
            self._say_words()
        finally:
            self.link.close()

    def _sleep(self, long: bool) -> None:
        if long:
            self._asleep = True
            # A lane that filled its batch before it could see the flag is seen here.
            if self._is_busy():
                self._asleep = False
                return
            self._pokes.get()
            self._asleep = False
            return
        try:
            self._pokes.get(timeout=TICK)
        except queue.Empty:
            return

    def _is_busy(self) -> bool:
        return (
            any(lane.batch.running is not None for lane in self.lanes)
            or bool(self.crew.registrations.current.unsettled)
            or not self._words.empty()
        )

    def look(self, now: float) -> None:
        """Take over what a slow consumer holds up, in each lane; say what is to be said."""
        if now - self._looked_at > limits.STANDSTILL:
            # We stood still (SIGSTOP, no answer), and so, perhaps, did those we look at.
            self._there_since = now
        self._looked_at = now
        options = self.crew.options
        for lane in tuple(self.lanes):
            batch = lane.batch
            work, began = batch.running, batch.began
            if work is None:
                continue  # Its thread does it itself.
            limit = limits.limit_of(work.channel, options)
            if limit and began and now - max(began, self._there_since) > limit:
                got_on = limits.got_on(work, self.crew.layer)
                if now - got_on > limit:
                    self._give_up(lane, began, now, limit=limit)
                    continue
            late = batch.finished and now - batch.finished_since > options.commit_delay
            progress = work.unsaid and now - batch.told_at > options.partial
            held_up = batch.waiting and (
                now - batch.running_since > options.slow or self.crew.stopping
            )
            if late or progress or held_up:
                self._take_over(batch, now, progress=bool(progress), waiting=bool(held_up))
        self._say_words()
        registration = self.crew.registrations.current
        if registration.unsettled and now >= self._again_at:
            self._exchange.say_again(registration)
            self._again_at = time.monotonic() + options.stale_wait

    def _take_over(self, batch: Batch, now: float, *, progress: bool, waiting: bool) -> None:
        registration, outcomes, tokens = batch.take_over(now, progress=progress, waiting=waiting)
        if registration is None or not (outcomes or tokens):
            return
        self.counters["released"] += len(tokens)
        words = [Release(registration.id, tokens)] if tokens else []
        told = None
        try:
            told = self._exchange.say(registration, outcomes, words=words)
        finally:
            if batch.saying:
                self.counters["partial"] += 1
                batch.told(told)
            if self._ledger.parked:
                self._ledger.parked, batch.rest = False, True

    def _give_up(self, lane: Watched, began: float, now: float, *, limit: float) -> None:
        """The consumer of this lane has reached its limit."""
        left = lane.batch.abandon(began)
        if left is None:
            return  # It has returned.
        self.counters[limits.REASON] += 1
        limits.say_stuck(
            left.frame,
            left.work,
            seconds=now - began,
            limit=limit,
            stack=limits.stack_of(lane.thread),
            left="its thread is left to itself",
        )
        self._on_abandoned()
        self._exchange.say(left.registration, left.outcomes, words=self._last_words(left))

    def _last_words(self, left: Left) -> list[GiveUp | Release]:
        worker = left.registration.id
        words: list[GiveUp | Release] = [limits.give_up(left.work, worker)]
        if left.waiting:
            self.counters["released"] += len(left.waiting)
            words.append(Release(worker, left.waiting))
        return words

    def _say_words(self) -> None:
        while not self._words.empty():
            registration, words, outcomes = self._words.get()
            self._exchange.say(registration, outcomes, words=words)
