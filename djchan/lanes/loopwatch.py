"""Looks after the tasks of the async lane: the clock of their loop, and their limits.

From ``lanes.loop``, on whose event loop it runs, a few times a second; on to the layer as a
GiveUp, by the lane's own commits. Where the loop itself stands still nothing can run here, so
its clock (``ticked``) is for others to look at::

    running for longer than its limit ──► given up, canceled ──► is the thread of synchronous
                                                                 code still there? (probe)
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping

from asgiref.sync import sync_to_async

from djchan.delivery import Work
from djchan.lanes import limits
from djchan.lanes.limits import Frame
from djchan.lanes.options import WorkerOptions
from djchan.lanes.registration import Registration
from djchan.lanes.slots import Slots
from djchan.layers.base import BaseChannelLayer
from djchan.layers.operations import GiveUp, Outcome
from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))

TICK = 0.25  # Seconds between two looks, at most.
PROBE = 5.0  # Seconds that the thread of synchronous code may take to do nothing.

End = Outcome | GiveUp


class Running:
    """One delivery that is here."""

    __slots__ = (
        "began",
        "ends",
        "frame",
        "lost",
        "registration",
        "stuck",
        "task",
        "timer",
        "told",
        "work",
    )

    def __init__(self, registration: Registration, work: Work) -> None:
        self.registration = registration
        self.work = work
        self.task: asyncio.Task[None] | None = None
        self.frame: Frame | None = None
        self.began = 0.0  # When the consumer that runs was called; 0: none is running.
        self.stuck = False  # It was given up.
        self.lost = False  # It is somebody else's by now.
        self.told = asyncio.Event()  # What it has told of its progress was answered.
        self.told.set()
        # Progress that was not answered, and in the end that it was given up.
        self.ends: list[End] = []
        self.timer: asyncio.TimerHandle | None = None  # Until its progress is told.


class LoopWatch:
    """``running``: what is here. ``finish(running, end)``: commits ``end``, in order."""

    def __init__(
        self,
        layer: BaseChannelLayer,
        options: WorkerOptions,
        running: Mapping[asyncio.Task[None], Running],
        finish: Callable[[Running, End], object],
        *,
        slots: Slots,
        counters: Counter[str],
    ) -> None:
        self.ticked = 0.0  # When it looked last (monotonic); 0: not yet.
        self.threads_blocked = False
        self._layer = layer
        self._options = options
        self._running = running
        self._finish = finish
        self._slots = slots
        self._counters = counters
        set_limits = [each for each in (options.run_limit, options.http_run_limit) if each]
        self._tick = min([TICK, *(limit / 4 for limit in set_limits)])
        self._probes: set[asyncio.Task[None]] = set()

    async def run(self, go_on: Callable[[], bool]) -> None:
        """Look until ``go_on()`` says no."""
        self.ticked = time.monotonic()
        while go_on():
            await asyncio.sleep(self._tick)
            before, self.ticked = self.ticked, time.monotonic()
            self._look(self.ticked, late=self.ticked - before - self._tick)

    def _look(self, now: float, late: float) -> None:
        for running in tuple(self._running.values()):
            if not running.began or running.stuck:
                continue
            work = running.work
            if work.response is not None:
                self._slots.set_waiting(work.token, self._layer.flow.waits(work.response))
            if late > limits.STANDSTILL:
                running.began += late  # Nothing could run here.
            limit = limits.limit_of(work.channel, self._options)
            if not limit or now - running.began <= limit:
                continue
            if now - limits.got_on(work, self._layer) > limit:
                self._give_up(running, now - running.began, limit)

    def _give_up(self, running: Running, seconds: float, limit: float) -> None:
        work, task = running.work, running.task
        assert task is not None
        running.stuck = True
        self._counters[limits.REASON] += 1
        limits.say_stuck(
            running.frame,
            work,
            seconds=seconds,
            limit=limit,
            stack=limits.task_stack(task),
            left="its task is canceled",
        )
        progress = None if running.lost else work.progress()
        ends: list[End] = [] if progress is None else [progress]
        ends.append(limits.give_up(work, running.registration.id))
        running.ends += ends
        for end in ends:
            self._finish(running, end)
        task.cancel()
        probe = asyncio.ensure_future(self._probe())
        self._probes.add(probe)
        probe.add_done_callback(self._probes.discard)

    async def _probe(self) -> None:
        """See whether it has left the thread of synchronous code blocked behind it."""
        try:
            async with asyncio.timeout(PROBE):
                await sync_to_async(_nothing)()
        except TimeoutError:
            if not self.threads_blocked:
                self.threads_blocked = True
                logger.error(
                    "The thread of synchronous code (sync_to_async) did nothing for %g s: a "
                    "consumer that was stuck has left it blocked.",
                    PROBE,
                )


def _nothing() -> None:
    pass
