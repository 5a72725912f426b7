"""A lane: one thread that claims deliveries, runs them, and commits what they sent.

From ``djchan.worker``, which starts N of these; on to ``djchan.dispatch``. One round trip
takes out what is finished and brings in what is next, so that nothing else is on the way of
a message::

    perform(Commit(finished), Claim) ──► a batch ──► run, run, run … ─┐
         ▲                                                            │
         └────────────────────────────────────────────────────────────┘
    nothing there: perform(Wait(bell), Claim)

A batch is as large as runs in about 5 ms. When it takes longer after all, this thread
commits between two deliveries, and between two frames of one; ``lanes.monitor`` does it for
it within a slow one.

A consumer that runs for longer than its limit cannot be stopped, so its thread is left to
itself: the monitor takes what it had, another lane takes its place. When the consumer returns
after all, this thread says nothing more, and ends.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine

from django.db import connections

from djchan.delivery import Refusal, Work, next_wait, open_delivery
from djchan.dispatch import Found, Run, Suspended, rest_of, run
from djchan.exceptions import BrokerError, UndecodableEnvelope
from djchan.lanes.batch import Batch, Pace
from djchan.lanes.crew import Crew, Frames, keep
from djchan.lanes.exchange import Exchange
from djchan.lanes.ledger import APPLIED, PROGRESS, Ledger
from djchan.lanes.limits import Frame
from djchan.lanes.loop import AsyncLane, LoopOfThreads
from djchan.lanes.monitor import Monitor
from djchan.lanes.registration import Registration
from djchan.layers import operations, threads
from djchan.layers.operations import Claimed, GiveUp, Release
from djchan.log import escaping, name_of
from djchan.outcomes import Outcome

logger = escaping(logging.getLogger(__name__))

WAIT = 5.0  # Seconds that an idle lane waits for its bell.
DOUBT = 0.01  # Between two looks whether we are still known.


class Lane:
    """Lane ``name`` of a crew, from ``start()`` until the crew stops.

    ``loop()``: the async lane of this moment. ``poke``: tells the worker that there may be
    something to see after.
    """

    def __init__(
        self,
        name: str,
        crew: Crew,
        *,
        loop: Callable[[], AsyncLane],
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
            Ledger(f"lane-{name}", self.counters, on_stale=monitor.wake),
            outage=crew.outage,
            leaving=crew.leaving,
            stopping=lambda: crew.stopping,
        )
        self._thread = threading.Thread(target=self._run, name=f"djchan-lane-{name}", daemon=True)

    @property
    def thread(self) -> int | None:
        """The identifier of its thread."""
        return self._thread.ident

    def start(self) -> None:
        """Raises BrokerUnavailable when this process can have no more threads."""
        threads.start(self._thread)

    def _run(self) -> None:
        crew, batch = self.crew, self.batch
        LoopOfThreads(self._loop).lend()
        try:
            while not (batch.abandoned or crew.stopping or crew.termed()):
                try:
                    self._round()
                except Exception:
                    logger.exception(
                        "A lane of the worker failed; it starts over. Please report this."
                    )
                    self._start_over()
            if not batch.abandoned:
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
        if self.batch.rest or self._exchange.ledger.parked:
            self._rest()
        claimed = self._claim(registration)
        if claimed is None:
            return  # We stop.
        if not claimed.known:
            self._renew(registration)
        elif claimed.deliveries:
            self._wait = 0.0
            self._turn += 1
            self._work(registration, claimed)
        else:
            self._wait = next_wait(claimed.now, claimed.next_due, WAIT)

    def _claim(self, registration: Registration) -> Claimed | None:
        words, self._words = self._words, []
        return self._exchange.claim(
            registration,
            self.batch.take_finished(),
            lane=self.name,
            channels=self.crew.channels(self._turn),
            count=self._pace.count,
            words=words,
            wait=self._wait,
        )

    def _rest(self) -> None:
        """What was sent here is more than others take off: let them."""
        self._say_rest()
        self.batch.rest = self._exchange.ledger.parked = False
        self.crew.leaving.wait(self.crew.options.park_pause)

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
        while not registration.gone:
            # Read for this decision: the process may have stood still since any other reading.
            now = time.monotonic()
            if not registration.may_start(now):
                if crew.stopping or crew.leaving.wait(DOUBT):
                    self._give_back(registration)
                if batch.waiting:
                    continue
            work = batch.next(now)
            if work is None:
                break
            outcome = self._deliver(registration, work)
            now = time.monotonic()
            batch.finish(outcome, now)
            ran += 1
            if not batch.waiting:
                break
            if crew.stopping or crew.termed():
                self._give_back(registration)
            elif batch.finished and now - batch.finished_since > options.commit_delay:
                self._exchange.say(registration, batch.take_finished())
        if registration.gone:
            batch.take_waiting()  # Others have it by now.
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
                    extra={
                        "channel": opened.channel,
                        "message_id": opened.id,
                        "attempt": leased.attempt,
                    },
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
                    if not self._loop().take(registration, work, frames):
                        self._words.append(Release(registration.id, (work.token,)))
                    return None
            return self._run_frames(registration, work, frames)
        except Exception:
            logger.exception(
                "A delivery on %s failed. Please report this.",
                work.channel,
                extra={"channel": work.channel},
            )
            self._words.append(work.give_up(registration.id))
            return None

    def _run_frames(
        self, registration: Registration, work: Work, frames: Frames
    ) -> operations.Outcome | None:
        """Run the messages of a delivery, one after the other; its end."""
        batch = self.batch
        began = batch.running_since
        if len(frames) == 1:
            batch.frame = frames[0]
            batch.began = frames[0][0].began = began
            ran = self._run_frame(registration, work, frames[0], may_suspend=True)
            if isinstance(ran.value, Suspended):
                return self._hand_on(registration, work, frames[0], ran)
            keep(work, 0, ran, self.counters)
            return self._end_of(registration, work)
        for index, frame in enumerate(frames):
            batch.frame = frame
            batch.began = frame[0].began = began
            ran = self._run_frame(registration, work, frame)
            began = time.monotonic()
            with batch.lock:
                if batch.abandoned:
                    return None
                batch.began = 0.0
                go_on = keep(work, index, ran, self.counters)
            if not go_on or work.over:
                break
            if work.source and began - batch.running_since > self.crew.options.turn:
                with batch.lock:
                    work.yield_rest()
                break
            if self._is_time_to_tell(work, began) and not self._tell(registration, work, began):
                return None
            # After all that waits: the process may have stood still meanwhile.
            while not registration.may_start(began := time.monotonic()):
                if registration.gone or self.batch.abandoned or self.crew.leaving.wait(DOUBT):
                    return None  # Others have it by now.
        return self._end_of(registration, work)

    def _end_of(self, registration: Registration, work: Work) -> operations.Outcome | None:
        return self._ended_by(work.end(registration.id))

    def _ended_by(self, end: operations.Outcome | GiveUp) -> operations.Outcome | None:
        if isinstance(end, GiveUp):
            self._words.append(end)
            return None
        return end

    def _hand_on(
        self, registration: Registration, work: Work, frame: Frame, ran: Run
    ) -> operations.Outcome | None:
        """Let the event loop run the rest of it: this thread has other work."""
        message, found = frame
        assert isinstance(found, Found)
        with self.batch.lock:
            if self.batch.abandoned:
                return None
        if self._loop().take(registration, work, [(message, rest_of(found, ran))]):
            return None
        # Not given back as if it had not begun: a POST would run a second time.
        if isinstance(ran.value.awaitable, Coroutine):
            ran.value.awaitable.close()
        return self._ended_by(work.left(registration.id))

    def _run_frame(
        self, registration: Registration, work: Work, frame: Frame, *, may_suspend: bool = False
    ) -> Run:
        crew, (message, found) = self.crew, frame
        if isinstance(found, Outcome):
            return Run(found, [])
        crew.announce(message)
        try:
            return run(
                message,
                found,
                sender=crew.sender,
                fence=(registration.id, work.token),
                response=work.response,
                uncommitted=work.uncommitted,
                retries=crew.retries,
                may_suspend=may_suspend,
            )
        except BaseException:
            # A KeyboardInterrupt of the consumer's own; ours goes to the main thread.
            logger.exception(
                "%s tried to end the worker, for %s.", name_of(found.consumer), message
            )
            return Run(Outcome.FAILED, [])

    def _is_time_to_tell(self, work: Work, now: float) -> bool:
        # What has ended a worker before goes on with a frame when those before it are safe.
        batch = self.batch
        late = now - batch.told_at > self.crew.options.partial
        return late or batch.lost or work.crashed

    def _tell(self, registration: Registration, work: Work, now: float) -> bool:
        """Commit the frames that are done; whether the rest is still ours to run."""
        batch = self.batch
        progress = batch.take_progress(now)
        if progress is not None:
            self.counters["partial"] += 1
            said = [*batch.take_finished(), progress]
            result = self._exchange.say(registration, said)
            if result not in PROGRESS:
                return False
            if result in APPLIED:
                work.committed()
        while work.crashed and work.token in registration.unsettled and not registration.gone:
            if self.crew.leaving.wait(self.crew.options.stale_wait / 4):
                return False
        return not batch.lost

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
            self._exchange.say(registration, finished, words=words)

    def _start_over(self) -> None:
        """Go on with nothing in hand: the layer takes it back when it is told what we know."""
        self.batch.clear()
        self._words = []
        if self.registration is not None:
            self.registration.leases.forget(self._exchange.ledger.name)
            self.crew.outage.doubt()
            self._poke()
        self.crew.leaving.wait(1.0)
