"""The async lane: one event loop, in a thread of its own, that runs async consumers.

From ``lanes.thread``, which claims for it; on to ``djchan.dispatch`` and, with everything
that has ended meanwhile, to the layer::

    take() ──► task ──► finished ──► commit, one at a time; the next takes what came meanwhile
      │          └── frames that are done, after ``partial`` seconds ──┘
      └── waits while ``concurrency`` deliveries are here: then nothing more is claimed

It is started by the first delivery that needs it. A task that is canceled at the end of the
grace period has no outcome: its delivery goes back with the worker's goodbye. One that runs
for longer than its limit is given up and canceled. A consumer that blocks the loop is seen
from outside, as the loop's clock stands still (``blocked_since``): then all of this is
abandoned, and another async lane takes its place.
"""

import asyncio
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, Protocol

from asgiref.sync import SyncToAsync

from djchan.delivery import Work
from djchan.dispatch import Run, arun, forget_cancellations
from djchan.exceptions import BrokerUnavailable
from djchan.lanes import limits
from djchan.lanes.crew import Crew, Frames, keep
from djchan.lanes.exchange import AsyncExchange
from djchan.lanes.ledger import APPLIED, PROGRESS, Ledger, Words
from djchan.lanes.limits import Frame
from djchan.lanes.loopwatch import End, LoopWatch, Running
from djchan.lanes.registration import Registration
from djchan.lanes.slots import Slots
from djchan.layers import operations, threads
from djchan.layers.operations import CommitResult, GiveUp, Release
from djchan.layers.tasks import hidden, hide
from djchan.log import escaping, name_of
from djchan.outcomes import Outcome
from djchan.throttling import throttled

logger = escaping(logging.getLogger(__name__))


DOUBT = 0.01  # Seconds between two looks whether a beat was answered.
NO_LOOP = 0.5  # Seconds between two attempts to make the event loop.


class CurrentLoop(Protocol):
    """The async lane of this moment: it is replaced when it is blocked."""

    def __call__(self) -> "AsyncLane": ...


class LoopOfThreads:
    """The event loop of the worker, as ``async_to_sync`` wants one, for its threads.

    So what they run asynchronously (an async view behind middleware, an asynchronous stream, a
    consumer's own ``async_to_sync``) shares one loop with async consumers, from one message to the
    next, and what it runs synchronously comes back to the thread. asgiref otherwise starts a
    thread and a loop for each call.
    """

    def __init__(self, current: "CurrentLoop") -> None:
        self._current = current

    def lend(self) -> None:
        """Let the calling thread use it from now on."""
        SyncToAsync.threadlocal.main_event_loop = self
        SyncToAsync.threadlocal.main_event_loop_pid = os.getpid()

    def is_running(self) -> bool:
        return True

    def call_soon_threadsafe(self, *call: Any) -> object:
        return self._current().event_loop().call_soon_threadsafe(*call)

    def create_task(self, coroutine: Coroutine[object, object, object]) -> object:
        """Called on the loop."""
        return asyncio.get_running_loop().create_task(coroutine)


class AsyncLane:
    def __init__(self, crew: Crew, *, name: str = "async-lane") -> None:
        self.crew = crew
        self.name = name
        self.counters: Counter[str] = Counter()
        self.abandoned = False  # It is blocked: whatever it still does is nothing.
        self._slots = Slots(crew.options.concurrency)
        self._here: dict[int, tuple[Registration, Work]] = {}  # By token.
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._running: dict[asyncio.Task[None], Running] = {}
        self._finished: list[tuple[Running, End]] = []
        self._left: list[tuple[Registration, Work]] = []  # Their tasks were canceled at the end.
        self._something = asyncio.Event()
        self._end = asyncio.Event()
        self._exchange: AsyncExchange | None = None
        self._watch = LoopWatch(
            crew.layer,
            crew.options,
            self._running,
            self._finish,
            slots=self._slots,
            counters=self.counters,
        )

    # ------------------------------------------------------ from other threads

    def take(self, registration: Registration, work: Work, frames: Frames) -> bool:
        """Run ``work`` here; waits while there is no room. False: it is not to run here."""
        while not self._slots.take(timeout=0.5):
            if self.abandoned or self.crew.leaving.is_set():
                return False
        loop = self._patient_loop()
        if loop is None:
            self._slots.give_back()
            return False
        with self._changed:
            self._here[work.token] = registration, work
        loop.call_soon_threadsafe(self._begin, registration, work, frames)
        return True

    def event_loop(self) -> asyncio.AbstractEventLoop:
        """The loop, which is started by the first who asks for it.

        Raises OSError without a file descriptor for it, and BrokerUnavailable without a thread;
        the next caller tries again.
        """
        with self._changed:
            if self._loop is None:
                self._start()
        self._ready.wait()
        assert self._loop is not None
        return self._loop

    def _patient_loop(self) -> asyncio.AbstractEventLoop | None:
        """``event_loop()``, as soon as this process can have one; None when it ends before."""
        while not self.abandoned:
            try:
                return self.event_loop()
            except (OSError, BrokerUnavailable) as error:
                throttled(
                    logger,
                    logging.ERROR,
                    "no event loop",
                    "Async consumers have to wait: their event loop cannot be made (%s).",
                    error,
                )
            if self.crew.stopping:
                return None
            self.crew.leaving.wait(NO_LOOP)
        return None

    def _start(self) -> None:
        # Made here: in its own thread, nobody would learn that it cannot be made.
        loop = asyncio.new_event_loop()
        thread = threading.Thread(
            target=self._run, args=(loop,), name=f"djchan-{self.name}", daemon=True
        )
        try:
            threads.start(thread)
        except BrokerUnavailable:
            loop.close()
            raise
        self._loop, self._thread = loop, thread

    def client_id(self) -> str:
        return "" if self._exchange is None else self._exchange.link.client_id()

    def drain(self, timeout: float) -> bool:
        """Wait until nothing is here; False when something still was after ``timeout``."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._here, timeout)

    def stop(self, timeout: float) -> None:
        """Cancel what runs, and end the loop."""
        if self._thread is not None:
            self._ready.wait()
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(timeout)

    def blocked_since(self) -> float:
        """Since when (monotonic) the loop's clock stands still; 0: nothing is here."""
        return self._watch.ticked if self._here else 0.0

    @property
    def threads_blocked(self) -> bool:
        """Whether the thread of synchronous code (sync_to_async) is."""
        return self._watch.threads_blocked

    def leave(self, registration: Registration) -> list[End]:
        """The process ends: the outcomes for the deliveries whose tasks have begun."""
        with self._changed:
            here = list(self._here.values())
        return [
            work.left(registration.id)
            for known, work in (*self._left, *here)
            if known is registration and not work.over and work.token not in known.unsettled
        ]

    def abandon(
        self, seconds: float
    ) -> list[tuple[Registration, Sequence[operations.Outcome], Words]]:
        """Abandon this lane, which is blocked for ``seconds``; the outcomes of its deliveries."""
        assert self._thread is not None and self._loop is not None
        self.abandoned = True
        task = asyncio.current_task(self._loop)
        running = None if task is None else self._running.get(task)
        self.counters[limits.REASON] += 1
        limits.say_blocked(
            None if running is None else running.frame,
            seconds=seconds,
            limit=self.crew.options.run_limit,
            stack=limits.stack_of(self._thread.ident),
        )
        with self._changed:
            here = list(self._here.values())
        known = (*self._running.values(), *(each for each, _ in self._finished))
        unanswered = {each.work: each.ends for each in known}
        ended: list[tuple[Registration, Sequence[operations.Outcome], Words]] = []
        for registration, work in here:
            # Frames that are done, and what was given up: the loop has not committed them.
            ends = [*unanswered.get(work, ())]
            if running is not None and work is running.work:
                ends.append(limits.give_up(work, registration.id))
            elif work.over:
                ended.append((registration, (), [Release(registration.id, (work.token,))]))
                continue
            elif not any(isinstance(each, GiveUp) for each in ends):
                ends.append(work.left(registration.id))
            outcomes = [each for each in ends if isinstance(each, operations.Outcome)]
            words = [each for each in ends if isinstance(each, GiveUp)]
            ended.append((registration, outcomes, words))
        return ended

    # ------------------------------------------------------------- on the loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            main = runner.get_loop().create_task(self._main())
            while not main.done():
                try:
                    loop.run_until_complete(main)
                except BaseException:
                    # SystemExit leaves the loop when a task or a callback of a consumer raises
                    # it, and loop.stop() raises RuntimeError here. The tasks of others go on.
                    logger.exception(
                        "The async lane of the worker ended."
                        if main.done()
                        else "A task of a consumer tried to end the worker, or its event loop."
                    )

    async def _main(self) -> None:
        crew = self.crew
        main = asyncio.current_task()
        assert main is not None
        hide(main)
        link = crew.layer.engine.alink(self.name)
        self._exchange = AsyncExchange(
            link,
            Ledger(self.name, self.counters, on_stale=crew.wake_monitor),
            outage=crew.outage,
            leaving=crew.leaving,
        )
        ours = [
            hidden(self._commit_forever(self._exchange)),
            hidden(self._watch.run(self._is_ours)),
        ]
        self._ready.set()
        await self._end.wait()
        tasks = [*self._running, *ours]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await link.aclose()

    def _begin(self, registration: Registration, work: Work, frames: Frames) -> None:
        running = Running(registration, work)
        task = hidden(self._deliver(running, frames))
        running.task = task
        self._running[task] = running
        task.add_done_callback(self._running.pop)

    def _is_ours(self) -> bool:
        if self.abandoned:
            self._end.set()  # It was blocked, and is awake again: too late.
        return not self.abandoned

    async def _deliver(self, running: Running, frames: Frames) -> None:
        crew, work, registration = self.crew, running.work, running.registration
        begun = time.monotonic()
        try:
            for index, frame in enumerate(frames):
                while not (registration.may_start(time.monotonic()) or registration.gone):
                    await asyncio.sleep(DOUBT)
                if registration.gone:
                    self._let_go(work.token)
                    return
                running.frame = frame
                running.began = frame[0].began = time.monotonic()
                ran = await self._run_frame(running, frame)
                running.began = 0.0
                if running.stuck:
                    return  # It has swallowed its cancellation.
                if not keep(work, index, ran, self.counters) or work.over:
                    break
                if work.source and time.monotonic() - begun > crew.options.turn:
                    work.yield_rest()
                    break
                if work.crashed:
                    await self._make_safe(running)
                elif running.timer is None:
                    running.timer = asyncio.get_running_loop().call_later(
                        crew.options.partial, self._tell, running
                    )
                if running.lost or registration.gone:
                    self._let_go(work.token)
                    return
            end: End = work.end(registration.id)
        except asyncio.CancelledError:
            if running.stuck:
                return
            if not self._end.is_set():
                # The project has canceled it, between two frames.
                self._finish(running, work.left(registration.id))
                return
            self._left.append((registration, work))
            self._let_go(work.token)
            raise
        except Exception:
            logger.exception(
                "A delivery on %s failed. Please report this.",
                work.channel,
                extra={"channel": work.channel},
            )
            end = work.give_up(registration.id)
        finally:
            if running.timer is not None:
                running.timer.cancel()
        self._finish(running, end)

    async def _run_frame(self, running: Running, frame: Frame) -> Run:
        crew, (message, found) = self.crew, frame
        if isinstance(found, Outcome):
            return Run(found, [])
        crew.announce(message)
        try:
            return await arun(
                message,
                found,
                sender=crew.sender,
                fence=(running.registration.id, running.work.token),
                response=running.work.response,
                uncommitted=running.work.uncommitted,
                retries=crew.retries,
                ends=partial(self._ends, running),
            )
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                if self._ends(running):
                    raise
                forget_cancellations()
            logger.error(
                "%s was canceled, or tried to end the worker, for %s.",
                name_of(found.consumer),
                message,
                exc_info=error,
            )
            return Run(Outcome.FAILED, [])

    def _ends(self, running: Running) -> bool:
        """Whether we have canceled it: it was too long, or we are leaving. Then this run has not
        happened."""
        return running.stuck or self._end.is_set()

    def _finish(self, running: Running, end: End) -> None:
        self._finished.append((running, end))
        self._something.set()

    # ------------------------------------------------------ frames that are done

    def _tell(self, running: Running) -> None:
        """Commit them; before the end of their delivery, as all goes over one list and link."""
        running.timer = None
        progress = None if running.stuck or running.lost else running.work.progress()
        if progress is not None:
            self.counters["partial"] += 1
            running.told.clear()
            running.ends.append(progress)
            self._finish(running, progress)

    async def _make_safe(self, running: Running) -> None:
        """What has ended a worker before goes on when the frames before it are committed."""
        self._tell(running)
        await running.told.wait()
        unsettled = running.registration.unsettled
        while running.work.token in unsettled and not running.registration.gone:
            await asyncio.sleep(self.crew.options.stale_wait / 4)

    # ------------------------------------------------------------------ commits

    async def _commit_forever(self, exchange: AsyncExchange) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            finished, self._finished = self._finished, []
            for registration in dict.fromkeys(running.registration for running, _ in finished):
                if self.abandoned:
                    return
                ends = [each for each in finished if each[0].registration is registration]
                outcomes = [end for _, end in ends if isinstance(end, operations.Outcome)]
                words = [end for _, end in ends if isinstance(end, GiveUp)]
                results: dict[int, CommitResult] = {}
                try:
                    results = await exchange.say(registration, outcomes, words=words)
                except Exception:
                    logger.exception("A commit failed. Please report this.")
                finally:
                    self._settle(ends, results)

    def _settle(self, ends: list[tuple[Running, End]], results: dict[int, CommitResult]) -> None:
        over: list[int] = []
        for running, end in ends:
            result = results.get(end.token)
            if isinstance(end, operations.Outcome) and end.progress:
                running.ends.remove(end)
                running.lost |= result not in PROGRESS
                if result in APPLIED:
                    running.work.committed()
                running.told.set()
            elif result == "parked":
                # What it sent is more than others take off: its place stays taken a while.
                asyncio.get_running_loop().call_later(
                    self.crew.options.park_pause, self._let_go, end.token
                )
            else:
                over.append(end.token)
        self._let_go(*over)

    def _let_go(self, *tokens: int) -> None:
        if tokens:
            self._slots.free(*tokens)
            with self._changed:
                for token in tokens:
                    self._here.pop(token, None)
                self._changed.notify_all()
