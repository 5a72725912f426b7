"""What all lanes of a worker share.

From ``djchan.worker``, which makes it; on to the lanes and their monitor.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from djchan.delivery import RETRIES, Rules, Work
from djchan.dispatch import Run, find
from djchan.exceptions import UndecodableEnvelope
from djchan.lanes.limits import Frame
from djchan.lanes.options import WorkerOptions
from djchan.lanes.outage import Outage
from djchan.lanes.registration import Registrations
from djchan.log import escaping
from djchan.message import Message
from djchan.outcomes import RUNS_AGAIN, Outcome

logger = escaping(logging.getLogger(__name__))

Frames = list[Frame]

# The message is over, and what its consumer did not do stays undone.
_FAILED = (Outcome.FAILED, Outcome.EXHAUSTED)


class Crew:
    """``wrapper``: the layer with its router. ``sender``: of the consumer signals.

    ``callback(channel, message)``: called before each consumer. ``termed()``: whether the
    project wants this worker to stop, read once per delivery.
    """

    def __init__(
        self,
        wrapper: Any,
        *,
        channels: tuple[str, ...],
        sender: type,
        callback: Callable[[str, Message], object] | None,
        retries: int,
        termed: Callable[[], object],
        options: WorkerOptions,
        registrations: Registrations,
    ) -> None:
        self.wrapper = wrapper
        self.router = wrapper.router
        self.layer = getattr(wrapper, "channel_layer", wrapper)
        self.sender = sender
        self.callback = callback
        self.retries = retries
        self.termed = termed
        self.options = options
        self.registrations = registrations
        self.rules = Rules(
            options.attempts, self.layer.at_most_once, int(options.retry_delay * 1000)
        )
        self.outage = Outage()
        self.stopping = False  # Claim no more; finish what runs.
        self.leaving = threading.Event()  # Wait for nothing any more.
        self.wake_monitor: Callable[[], object] = tuple  # Something is to be said again.
        self._channels = channels
        self._open = channels
        self._unreadable: dict[str, float] = {}
        self._lock = threading.Lock()

    # --------------------------------------------------------------- channels

    def channels(self, turn: int) -> tuple[str, ...]:
        """The channels to claim from. A flood on one of them is not to starve the others,
        so that each turn begins with another."""
        if self._unreadable:
            self._look_again()
        channels = self._open
        if len(channels) < 2:
            return channels
        start = turn % len(channels)
        return channels[start:] + channels[:start]

    def leave_alone(self, channel: str, error: UndecodableEnvelope) -> None:
        """Claim nothing from a channel whose deliveries we cannot read, for a while."""
        wait = self.options.unreadable_wait
        with self._lock:
            self._unreadable[channel] = time.monotonic() + wait
            self._open = tuple(name for name in self._channels if name not in self._unreadable)
        logger.error(
            "%s It went back to %s for another worker; this one leaves that channel alone for "
            "%g s (unreadable_wait). Run the same version of djchan, with the same keys, "
            "everywhere.",
            error,
            channel,
            wait,
            extra={"channel": channel},
        )

    def _look_again(self) -> None:
        now = time.monotonic()
        with self._lock:
            for channel in [name for name, at in self._unreadable.items() if at <= now]:
                del self._unreadable[channel]
            self._open = tuple(name for name in self._channels if name not in self._unreadable)

    # --------------------------------------------------------------- messages

    def frames(self, work: Work) -> Frames:
        """The messages of a delivery, each with what runs it."""
        frames: Frames = []
        for content in work.contents:
            message = Message(
                content,
                work.channel,
                self.wrapper,
                id=work.id_of(content),
                attempt=work.attempt_of(content),
            )
            if RETRIES in content and content[RETRIES] == self.retries:
                message.__doomed__ = True
            frames.append((message, find(message, self.router)))
        return frames

    def announce(self, message: Message) -> None:
        """Call the project's callback."""
        if self.callback is not None:
            try:
                self.callback(message.channel.name, message)
            except Exception:
                logger.exception("The worker's callback failed for %s.", message)


def keep(work: Work, index: int, run: Run, counters: Counter[str]) -> bool:
    """Note what became of message ``index``; whether those behind it may run now."""
    counters[run.outcome.value] += 1
    if run.outcome is Outcome.UNSENT:
        # It is the first of its delivery: a request, or what was put off before.
        work.abandon("unsent")
        return False
    if run.outcome in RUNS_AGAIN:
        return work.put_off(index, run.words, waits=run.outcome is Outcome.WAITING)
    work.keep(
        run.words,
        routed=run.outcome is not Outcome.UNROUTED,
        failed=run.outcome in _FAILED,
        consumer=run.consumer,
    )
    return True
