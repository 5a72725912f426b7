"""``work_off``: a worker that lives until nothing waits, in the caller's thread.

From a test; on to ``djchan.delivery`` and ``djchan.dispatch``, as a worker's lane does it,
one message at a time::

    Register ──► Claim ──► run ──► Commit ──► Claim … nothing left ──► goodbye

In one thread everything happens in one order, so that a seed (``test.chaos``) gives the same
faults each time, and consumers share the test's database transaction.
"""

import threading
import time
from collections import Counter, deque
from typing import Any

from asgiref.sync import sync_to_async

from djchan import DEFAULT_CHANNEL_LAYER, names
from djchan.asgi import channel_layers
from djchan.delay.consumer import serve_delay
from djchan.delivery import RETRIES, Refusal, Rules, Work, open_delivery
from djchan.dispatch import MESSAGE_RETRIES, dispatch
from djchan.lanes.crew import keep
from djchan.lanes.options import WorkerOptions
from djchan.layers.engine import Link
from djchan.layers.operations import (
    Claim,
    Claimed,
    Commit,
    GiveUp,
    Operation,
    Reap,
    Register,
)
from djchan.message import Message
from djchan.test.clock import Until, moment, move_clock

COUNT = 64  # Deliveries of one claim.
_PAUSE = 0.05  # Seconds between two looks for what is due.


def work_off(
    channel_layer: Any = DEFAULT_CHANNEL_LAYER,
    *,
    until: Until | None = None,
    timeout: float = 10.0,
) -> Counter[str]:
    """Run what waits on the layer's channels, and what that sends, until nothing is left.

    ``channel_layer``: an alias, or a ``ChannelLayerWrapper``. Answer: how many messages came
    to which end ("done", "failed", "later", …; of deliveries, "poison", "expired", "lost",
    and "fenced" for runs whose effects were dropped).

    ``until``: a datetime, or a timedelta or a number of seconds from now, of the layer's clock.
    What is delayed runs if it is due by then, in order and at once: the clock of the layer is
    moved, and stands there afterwards. What is due later stays. Without it, what is delayed is
    waited for. It is for a layer in memory; no other clock is moved.

    Raises TimeoutError when there is still something after ``timeout`` seconds (of real time),
    ValueError for the clock of Redis.
    """
    wrapper = channel_layers[channel_layer] if isinstance(channel_layer, str) else channel_layer
    layer = getattr(wrapper, "channel_layer", wrapper)
    if until is not None:
        move_clock(layer, 0)
    serve_delay(wrapper.router)
    link = layer.engine.link("work-off")
    worker = _Worker(wrapper, layer, link)
    try:
        worker.run(timeout, None if until is None else moment(until, layer.now()))
    finally:
        link.perform(Reap(worker.id, None))
        link.close()
    return worker.counters


async def awork_off(
    channel_layer: object = DEFAULT_CHANNEL_LAYER,
    *,
    until: Until | None = None,
    timeout: float = 10.0,
) -> Counter[str]:
    """``work_off`` in a test that is a coroutine: in the thread of ``sync_to_async``, which has
    the database connection of the test."""
    return await sync_to_async(work_off)(channel_layer, until=until, timeout=timeout)


class _Worker:
    def __init__(self, wrapper: Any, layer: Any, link: Link) -> None:
        self.id = names.new_process_id()
        self.counters: Counter[str] = Counter()
        options = WorkerOptions.parse(getattr(wrapper, "worker_options", {}))
        self._rules = Rules(options.attempts, layer.at_most_once, int(options.retry_delay * 1000))
        self._channels = tuple(sorted(wrapper.router.channels))
        self._link = link
        self._layer = layer
        self._wrapper = wrapper
        self._bell = f"{self.id}.work-off"
        self._commits = 0

    def run(self, timeout: float, until: int | None) -> None:
        """``until``: by which the clock is moved, ms since the epoch; None: it is not."""
        deadline = _real_time() + timeout
        self._perform(Register(self.id, "worker", b"", self._channels))
        looks: deque[int] = deque(maxlen=4)  # What the clock said when there was nothing to run.
        while True:
            claimed = self._perform(Claim(self.id, self._bell, self._channels, COUNT))
            due = claimed.next_due
            if not claimed.deliveries and (not due or (until is not None and due > until)):
                break
            if _real_time() > deadline:
                raise TimeoutError(
                    f"There was still something to run after {timeout:g} s (timeout): "
                    f"{dict(self.counters)} so far. Does a consumer send to its own channel?"
                )
            if claimed.deliveries:
                self._work(claimed)
            elif until is not None:
                self._move_to(due)
            else:
                looks.append(claimed.now)
                if len(looks) == looks.maxlen and len(set(looks)) == 1:
                    raise TimeoutError(
                        f"A message is due in {(due - claimed.now) / 1000:g} s, and the clock "
                        "stands still. Move it by so much, or use until=."
                    )
                # The timeout of a lock, which no test can freeze.
                threading.Event().wait(min(max((due - claimed.now) / 1000, 0.005), _PAUSE))
        if until is not None:
            self._move_to(until)

    def _move_to(self, moment: int) -> None:
        move_clock(self._layer, max(0, moment - self._layer.now()))

    def _work(self, claimed: Claimed) -> None:
        for leased in claimed.deliveries:
            opened = open_delivery(leased, claimed.now, self._rules)
            if isinstance(opened, Refusal):
                self.counters[opened.reason] += 1
                self._perform(opened.give_up(self.id))
                continue
            self._deliver(opened)
            end = opened.end(self.id)
            if isinstance(end, GiveUp):
                self._perform(end)
                continue
            self._commits += 1
            (result,) = self._perform(Commit(self.id, "work-off", self._commits, (end,)))
            if result == "fenced":
                self.counters["fenced"] += 1

    def _deliver(self, work: Work) -> None:
        for index, content in enumerate(work.contents):
            message = Message(
                content,
                work.channel,
                self._wrapper,
                id=work.id_of(content),
                attempt=work.attempt_of(content),
            )
            if content.get(RETRIES) == MESSAGE_RETRIES:
                message.__doomed__ = True
            ran = dispatch(
                message,
                router=self._wrapper.router,
                sender=type(self),
                fence=(self.id, work.token),
                response=work.response,
                uncommitted=work.uncommitted,
            )
            if not keep(work, index, ran, self.counters):
                return

    def _perform(self, operation: Operation) -> Any:
        (answer,) = self._link.perform(operation)
        return answer


def _real_time() -> float:
    """Seconds, of a clock that tests do not freeze as they do time.monotonic."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)
