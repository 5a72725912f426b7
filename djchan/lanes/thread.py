"""A lane: one thread that claims deliveries, runs them, and commits what they sent.

From ``djchan.worker``, which starts N of these; on to ``djchan.dispatch``. One round trip
takes out what is finished and brings in what is next, so that nothing else is on the way of
a message::

    perform(Commit(finished), Claim) ──► a batch ──► run, run, run … ─┐
         ▲                                                            │
         └────────────────────────────────────────────────────────────┘
    nothing there: perform(Wait(bell), Claim)

A batch is as large as runs in about 5 ms. When it takes longer after all, this thread
commits between two deliveries, and ``lanes.monitor`` does it for it within a slow one.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

from django.db import connections

from djchan.delivery import Refusal, Work, next_wait, open_delivery
from djchan.dispatch import Found, Outcome, Run, run
from djchan.exceptions import BrokerError, UndecodableEnvelope
from djchan.lanes.batch import Batch, Pace
from djchan.lanes.crew import Crew, Frames, keep
from djchan.lanes.exchange import Exchange, Ledger
from djchan.lanes.loop import AsyncLane
from djchan.lanes.monitor import Monitor
from djchan.lanes.registration import Registration
from djchan.layers import operations
from djchan.layers.operations import Claim, Claimed, GiveUp, Operation, Release, Wait

logger = logging.getLogger(__name__)

WAIT = 5.0  # Seconds that an idle lane waits for its bell.


class Lane:
    """Lane ``name`` of a crew, from ``start()`` until the crew stops.

    ``poke``: tells the worker that there may be something to see after.
    """

    def __init__(
        self,
        name: str,
        crew: Crew,
        *,
        loop: AsyncLane,
        monitor: Monitor,
        poke: Callable[[], object],
    ) -> None:
        self.name = name
        self.crew = crew
        self.batch = Batch()
        self.counters: Counter[str] = Counter()
        self.registration: Registration | None = None  # The one that is in use here.
        self.ended = threading.Event()
        self.error: BaseException | None = None
        self._loop = loop
        self._monitor = monitor
        self._poke = poke
        self._pace = Pace(crew.options.batch_seconds, crew.options.batch)
        self._words: list[GiveUp | Release] = []
        self._turn = 0
        self._wait = 0.0  # Seconds to wait before the next claim; 0: the last one found work.
        self.link = crew.layer.engine.link(f"lane-{name}")
        self._exchange = Exchange(
            self.link,
            Ledger(f"lane-{name}", self.counters),
            outage=crew.outage,
            leaving=crew.leaving,
        )
        self._thread = threading.Thread(target=self._run, name=f"djchan-lane-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        crew = self.crew
        try:
            while not (crew.stopping or crew.termed()):
                try:
                    self._round()
                except Exception:
                    logger.exception(
                        "A lane of the worker failed; it starts over. Please report this."
                    )
                    self._start_over()
            self._say_rest()
        except BaseException as error:
            self.error = error
            logger.exception("A lane of the worker ended.")
        finally:
            self.registration = None
            connections.close_all()
            self.link.close()
            self.ended.set()
            self._poke()

    def _round(self) -> None:
        """One claim, and what it brought."""
        registration = self.crew.registrations.current
        if registration is not self.registration:
            self._say_rest()
            self.registration = registration
            self._poke()  # Perhaps nobody uses the former one any more.
        claimed = self._claim(registration)
        if claimed is None or not claimed.known:
            self._renew(registration)
        elif claimed.deliveries:
            self._wait = 0.0
            self._turn += 1
            self._work(registration, claimed)
        else:
            self._wait = next_wait(claimed.now, claimed.next_due, WAIT)

    def _claim(self, registration: Registration) -> Claimed | None:
        bell = registration.bell(self.name)
        ask: list[Operation] = [Wait(bell, self._wait)] if self._wait else []
        ask.append(Claim(registration.id, bell, self.crew.channels(self._turn), self._pace.count))
        words, self._words = self._words, []
        answers = self._exchange.say(
            registration.id, self.batch.take_finished(), words=words, ask=ask
        )
        return None if answers is None else answers[-1]

    def _renew(self, registration: Registration) -> None:
        self._wait = 0.0
        while not (self.crew.stopping or self.crew.leaving.is_set()):
            try:
                self.crew.registrations.renew(registration, self.link)
            except BrokerError as error:
                self._exchange.failed(error)
            else:
                self._exchange.answered()
                self._poke()
                return

    def _work(self, registration: Registration, claimed: Claimed) -> None:
        batch, crew, options = self.batch, self.crew, self.crew.options
        batch.fill(registration, self._open(registration, claimed))
        self._monitor.wake()
        begun = now = time.monotonic()
        ran = 0
        while (work := batch.next(now)) is not None:
            outcome = self._deliver(registration, work)
            now = time.monotonic()
            batch.finish(outcome, now)
            ran += 1
            if not batch.waiting:
                break
            if registration.gone:
                batch.take_waiting()  # Others have it by now.
            elif crew.stopping or crew.termed():
                self._give_back(registration)
            elif batch.finished and now - batch.finished_since > options.commit_delay:
                self._exchange.say(registration.id, batch.take_finished())
                now = time.monotonic()
        if ran:
            self._pace.ran(ran, now - begun)

    def _open(self, registration: Registration, claimed: Claimed) -> list[Work]:
        """What is to be run of a claim; the rest is noted, to be said with the next one."""
        works: list[Work] = []
        unread: list[int] = []
        for leased in claimed.deliveries:
            try:
                opened = open_delivery(leased, claimed.now, self.crew.rules)
            except UndecodableEnvelope as error:
                unread.append(leased.token)
                self.crew.leave_alone(leased.channel, error)
                continue
            if isinstance(opened, Refusal):
                self.counters[opened.reason] += 1
                logger.warning(
                    "A delivery on %s (%s) is not run: %s, at attempt %d.%s",
                    opened.channel,
                    opened.id,
                    opened.reason,
                    leased.attempt,
                    " It is kept as a dead letter." if opened.bury else "",
                )
                self._words.append(opened.give_up(registration.id))
            else:
                works.append(opened)
        if unread:
            self._words.append(Release(registration.id, tuple(unread)))
        return works

    def _deliver(self, registration: Registration, work: Work) -> operations.Outcome | None:
        """Run a delivery; its end, or None when somebody else will say it."""
        try:
            frames = self.crew.frames(work)
            for _, found in frames:
                if isinstance(found, Found) and found.is_async:
                    self._loop.take(registration, work, frames)
                    return None
            return self._run_frames(registration, work, frames)
        except Exception:
            logger.exception("A delivery on %s failed. Please report this.", work.channel)
            self._words.append(work.give_up(registration.id))
            return None

    def _run_frames(
        self, registration: Registration, work: Work, frames: Frames
    ) -> operations.Outcome:
        """Run the messages of a delivery, one after the other; its end."""
        crew = self.crew
        fence = (registration.id, work.token)
        for index, (message, found) in enumerate(frames):
            if isinstance(found, Outcome):
                ran = Run(found, [])
            else:
                crew.announce(message)
                try:
                    ran = run(
                        message,
                        found,
                        sender=crew.sender,
                        fence=fence,
                        response=work.response,
                        retries=crew.retries,
                    )
                except BaseException:
                    # A KeyboardInterrupt of the consumer's own; ours goes to the main thread.
                    logger.exception("A consumer tried to end the worker, for %s.", message)
                    ran = Run(Outcome.FAILED, [])
            if not keep(work, index, ran, self.counters):
                break
        return work.outcome()

    def _give_back(self, registration: Registration) -> None:
        tokens = self.batch.take_waiting()
        if tokens:
            self.counters["released"] += len(tokens)
            self._words.append(Release(registration.id, tokens))

    def _say_rest(self) -> None:
        """Commit what is finished, without asking for more."""
        registration = self.registration
        finished = self.batch.take_finished()
        words, self._words = self._words, []
        if registration is not None and (finished or words):
            self._exchange.say(registration.id, finished, words=words)

    def _start_over(self) -> None:
        """Go on with nothing in hand: that goes back with the goodbye of the old id."""
        self.batch.clear()
        self._words = []
        if self.registration is not None:
            self._renew(self.registration)
        self.crew.leaving.wait(1.0)
