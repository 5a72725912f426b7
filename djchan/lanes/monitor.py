"""Sees to it that a slow consumer holds up nobody but itself.

From ``djchan.worker``; looks at the batches of its lanes. While a consumer runs long, its
lane's thread can do nothing, so this one commits what had been finished before it, and
gives what waits behind it back to the layer, for other lanes and workers.

It looks every 5 ms while there is work, and sleeps when there has been none for a second.
"""

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from djchan.lanes.batch import Batch
from djchan.lanes.crew import Crew
from djchan.lanes.exchange import Exchange, Ledger
from djchan.lanes.registration import Registration
from djchan.layers.operations import Outcome, Release

logger = logging.getLogger(__name__)

TICK = 0.005
LINGER = 1.0  # Seconds without work after which it sleeps.


class Watched(Protocol):
    batch: Batch


class Monitor:
    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self.lanes: Sequence[Watched] = ()
        self.counters: Counter[str] = Counter()
        self.registration: Registration | None = None  # The one that is in use here.
        self.link = crew.layer.engine.link("monitor")
        self._asleep = False
        self._stopped = False
        self._pokes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._exchange = Exchange(
            self.link, Ledger("monitor", self.counters), outage=crew.outage, leaving=crew.leaving
        )
        self._thread = threading.Thread(target=self._run, name="djchan-monitor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """A lane has work. Called for each batch, so it costs nothing while awake."""
        if self._asleep:
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
        return any(lane.batch.running is not None for lane in self.lanes)

    def look(self, now: float) -> None:
        """Take over what a slow consumer holds up, in each lane."""
        options = self.crew.options
        for lane in self.lanes:
            batch = lane.batch
            if batch.running is None:
                continue  # Its thread does it itself.
            late = batch.finished and now - batch.finished_since > options.commit_delay
            held_up = batch.waiting and (
                now - batch.running_since > options.slow or self.crew.stopping
            )
            if late or held_up:
                self._take_over(batch, give_back=bool(held_up))

    def _take_over(self, batch: Batch, *, give_back: bool) -> None:
        finished: list[Outcome]
        tokens: tuple[int, ...] = ()
        with batch.lock:
            # In one step: from here on it is this thread that needs the registration.
            registration = self.registration = batch.registration
            finished, batch.finished = batch.finished, []
            if give_back:
                tokens = tuple(work.token for work in batch.waiting)
                batch.waiting.clear()
        if registration is not None and (finished or tokens):
            self.counters["released"] += len(tokens)
            words = [Release(registration.id, tokens)] if tokens else []
            self._exchange.say(registration.id, finished, words=words)
        self.registration = None
