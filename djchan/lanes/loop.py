"""The async lane: one event loop, in a thread of its own, that runs async consumers.

From ``lanes.thread``, which claims for it; on to ``djchan.dispatch`` and, with everything
that has ended meanwhile, to the layer::

    take() ──► task ──► finished ──► commit, one at a time; the next takes what came meanwhile
      │
      └── waits while ``concurrency`` deliveries are here: then nothing more is claimed

It is started by the first delivery that needs it. A task that is canceled at the end of the
grace period has no outcome: its delivery goes back with the worker's goodbye.
"""

import asyncio
import logging
import threading
from collections import Counter

from djchan.delivery import Work
from djchan.dispatch import Outcome, Run, arun
from djchan.lanes.crew import Crew, Frames, keep
from djchan.lanes.exchange import AsyncExchange, Ledger
from djchan.lanes.registration import Registration
from djchan.layers import operations

logger = logging.getLogger(__name__)

# A GiveUp is for what could not be settled.
Finished = list[tuple[Registration, operations.Outcome | operations.GiveUp]]


class AsyncLane:
    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self.counters: Counter[str] = Counter()
        self._room = threading.Semaphore(crew.options.concurrency)
        self._held: Counter[str] = Counter()  # Registration id -> deliveries that are here.
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._finished: Finished = []
        self._something = asyncio.Event()
        self._end = asyncio.Event()
        self._exchange: AsyncExchange | None = None

    # ------------------------------------------------------ from other threads

    def take(self, registration: Registration, work: Work, frames: Frames) -> None:
        """Run ``work`` here; waits while there is no room."""
        while not self._room.acquire(timeout=0.5):
            if self.crew.leaving.is_set():
                return
        with self._changed:
            self._held[registration.id] += 1
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="djchan-async-lane", daemon=True
                )
                self._thread.start()
        self._ready.wait()
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._begin, registration, work, frames)

    def holds(self, registration: Registration) -> bool:
        """Whether deliveries leased to ``registration`` are here."""
        return self._held[registration.id] > 0

    def client_id(self) -> str:
        return "" if self._exchange is None else self._exchange.link.client_id()

    def drain(self, timeout: float) -> bool:
        """Wait until nothing is here; False when something still was after ``timeout``."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._held.total(), timeout)

    def stop(self, timeout: float) -> None:
        """Cancel what runs, and end the loop."""
        if self._thread is not None:
            self._ready.wait()
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(timeout)

    # ------------------------------------------------------------- on the loop

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception:
            logger.exception("The async lane of the worker ended.")

    async def _main(self) -> None:
        crew = self.crew
        self._loop = asyncio.get_running_loop()
        link = crew.layer.engine.alink("async-lane")
        self._exchange = AsyncExchange(
            link,
            Ledger("async-lane", self.counters),
            outage=crew.outage,
            leaving=crew.leaving,
        )
        committing = asyncio.create_task(self._commit_forever(self._exchange))
        self._ready.set()
        await self._end.wait()
        for task in (*self._tasks, committing):
            task.cancel()
        await asyncio.gather(*self._tasks, committing, return_exceptions=True)
        await link.aclose()

    def _begin(self, registration: Registration, work: Work, frames: Frames) -> None:
        task = asyncio.ensure_future(self._deliver(registration, work, frames))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, registration: Registration, work: Work, frames: Frames) -> None:
        crew = self.crew
        fence = (registration.id, work.token)
        try:
            for index, (message, found) in enumerate(frames):
                if isinstance(found, Outcome):
                    ran = Run(found, [])
                else:
                    crew.announce(message)
                    try:
                        ran = await arun(
                            message,
                            found,
                            sender=crew.sender,
                            fence=fence,
                            response=work.response,
                            retries=crew.retries,
                        )
                    except BaseException as error:
                        task = asyncio.current_task()
                        if task is not None and task.cancelling():
                            raise  # We are leaving: this run has not happened.
                        logger.error(
                            "A consumer tried to end the worker, for %s.", message, exc_info=error
                        )
                        ran = Run(Outcome.FAILED, [])
                if not keep(work, index, ran, self.counters):
                    break
            end: operations.Outcome | operations.GiveUp = work.outcome()
        except asyncio.CancelledError:
            self._let_go(registration)
            raise
        except Exception:
            logger.exception("A delivery on %s failed. Please report this.", work.channel)
            end = work.give_up(registration.id)
        self._finished.append((registration, end))
        self._something.set()

    async def _commit_forever(self, exchange: AsyncExchange) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            finished, self._finished = self._finished, []
            for registration in dict.fromkeys(registration for registration, _ in finished):
                ends = [end for owner, end in finished if owner is registration]
                outcomes = [end for end in ends if isinstance(end, operations.Outcome)]
                words = [end for end in ends if isinstance(end, operations.GiveUp)]
                try:
                    await exchange.say(registration.id, outcomes, words=words)
                except Exception:
                    logger.exception("A commit failed. Please report this.")
                finally:
                    self._let_go(registration, len(ends))

    def _let_go(self, registration: Registration, count: int = 1) -> None:
        self._room.release(count)
        with self._changed:
            self._held[registration.id] -= count
            if not self._held[registration.id]:
                del self._held[registration.id]
            self._changed.notify_all()
