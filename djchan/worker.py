"""``Worker``: the process that runs all of a project's code for channels.

From ``runworker`` and ``runserver``; on to ``djchan.lanes``, where deliveries are run. What
is here is its life::

    run() ──► registered ──► lanes claim and run ──signal, stop(), termed──► STOPPING
                  ▲                  │                                          │
                  └── a new id ◄─────┘ the layer does not know us               ▼
              claims end, unstarted work goes back, what runs has ``grace`` seconds
                                                                                │
                                                       goodbye ◄────────────────┘

A worker never ends by a message, a consumer, or a Redis that is away: only when it is told.
"""

import fnmatch
import logging
import os
import queue
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

from djchan import __version__
from djchan.dispatch import MESSAGE_RETRIES
from djchan.exceptions import BrokerError, BrokerUnsupported
from djchan.lanes.crew import Crew
from djchan.lanes.loop import AsyncLane
from djchan.lanes.monitor import Monitor
from djchan.lanes.options import WorkerOptions
from djchan.lanes.registration import Registration, Registrations
from djchan.lanes.thread import Lane
from djchan.layers import codec
from djchan.layers.backoff import Backoff
from djchan.layers.engine import Link
from djchan.layers.operations import Closing, Ring
from djchan.process import Signals
from djchan.signals import worker_ready

logger = logging.getLogger(__name__)

_LOOK = 0.5  # Seconds between two looks at former ids that are still in use.


class Worker:
    """Claims messages of a layer and runs their consumers, from ``run()`` until it is stopped.

    ``channel_layer``: the wrapper, with its router. ``callback(channel, message)``: called
    before each consumer. ``message_retries``: runs after the first that ConsumeLater can
    have. ``signal_handlers``: SIGTERM and SIGINT stop ``run()`` (in the main thread).
    ``only_channels``, ``exclude_channels``: globs; the former first.

    ``threads`` (for synchronous consumers), ``concurrency`` (async ones at a time) and the
    other ``options`` are those of ``lanes.options.WorkerOptions``; what is not given is
    taken from WORKER in CHANNEL_LAYERS.
    """

    def __init__(
        self,
        channel_layer: Any,
        callback: Callable[[str, Any], object] | None = None,
        message_retries: int = MESSAGE_RETRIES,
        signal_handlers: bool = True,
        only_channels: Iterable[str] | None = None,
        exclude_channels: Iterable[str] | None = None,
        *,
        threads: int | None = None,
        concurrency: int | None = None,
        **options: Any,
    ) -> None:
        self.channel_layer = channel_layer
        self.callback = callback
        self.message_retries = message_retries
        self.signal_handlers = signal_handlers
        self.only_channels = only_channels
        self.exclude_channels = exclude_channels
        self.termed: Any = False
        given = {"threads": threads, "concurrency": concurrency, **options}
        self.options = WorkerOptions.parse(
            {
                **getattr(channel_layer, "worker_options", {}),
                **{name: value for name, value in given.items() if value is not None},
            }
        )
        self.unfinished = 0  # Consumers that still ran when run() returned.
        self._signals = Signals(self.stop)
        self._told = False
        self._pokes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._lanes: list[Lane] = []
        self._loop: AsyncLane | None = None
        self._monitor: Monitor | None = None
        self._lost: set[Registration] = set()

    # ------------------------------------------------------------------- face

    @property
    def threads(self) -> int:
        return self.options.threads

    @property
    def in_job(self) -> bool:
        """Whether a consumer runs."""
        return any(lane.batch.running is not None for lane in self._lanes)

    @property
    def counters(self) -> Counter[str]:
        """What became of messages (by outcome), and deliveries that were released, fenced,
        superseded, expired, poison or lost, since the start."""
        counted = [lane.counters for lane in self._lanes]
        if self._loop is not None:
            counted.append(self._loop.counters)
        if self._monitor is not None:
            counted.append(self._monitor.counters)
        return sum((counters.copy() for counters in counted), Counter())

    def ready(self) -> None:
        """Send ``worker_ready``, once for each thread."""
        for _ in range(self.threads):
            worker_ready.send(sender=self)

    def apply_channel_filters(self, channels: Iterable[str]) -> list[str]:
        """Those of ``channels`` that this worker serves, in their order."""
        served = list(channels)
        if self.only_channels:
            served = [name for name in served if _matches(name, self.only_channels)]
        if self.exclude_channels:
            served = [name for name in served if not _matches(name, self.exclude_channels)]
        return served

    def install_signal_handler(self) -> None:
        """Let SIGTERM and SIGINT stop this worker."""
        self._signals.install()

    def sigterm_handler(self, signo: int, stack_frame: FrameType | None) -> None:
        """What such a signal does."""
        self._signals.handle(signo, stack_frame)

    def stop(self) -> None:
        """Let ``run()`` end well: from any thread, or a signal handler; returns at once."""
        self._told = True
        self.termed = True
        self._pokes.put(None)

    def run(self) -> None:
        """Serve until stopped. Raises BrokerUnsupported for a Redis that cannot be used."""
        if self.signal_handlers:
            self.install_signal_handler()
        try:
            self._serve()
        finally:
            self._signals.restore()

    # ------------------------------------------------------------------- life

    def _serve(self) -> None:
        layer = getattr(self.channel_layer, "channel_layer", self.channel_layer)
        channels = tuple(self.apply_channel_filters(sorted(self.channel_layer.router.channels)))
        registrations = Registrations(
            layer.engine,
            channels=channels,
            info=_info(),
            options=self.options,
            clients=self._clients,
            on_gone=self._gone,
        )
        crew = Crew(
            self.channel_layer,
            channels=channels,
            sender=type(self),
            callback=self.callback,
            retries=self.message_retries,
            termed=lambda: self.termed,
            options=self.options,
            registrations=registrations,
        )
        self._link = layer.engine.link("worker")
        now = self._register(crew)
        if now is None:
            return
        layer.set_clock(now)
        self._loop = AsyncLane(crew)
        self._monitor = Monitor(crew)
        self._lanes = [self._lane(str(number), crew) for number in range(self.threads)]
        self._monitor.lanes = self._lanes
        self._log_start(channels)
        self._monitor.start()
        for lane in self._lanes:
            lane.start()
        try:
            self._watch_over(crew)
        finally:
            self._end(crew)

    def _register(self, crew: Crew) -> int | None:
        """Make the worker known; None when it was told to stop before that."""
        backoff = Backoff()
        while not self._told:
            try:
                now = crew.registrations.begin(self._link)
            except BrokerUnsupported:
                raise
            except BrokerError as error:
                crew.outage.began(error)
                self._sleep(backoff.next())
            else:
                crew.outage.ended()
                return now
        return None

    def _lane(self, name: str, crew: Crew) -> Lane:
        assert self._loop is not None and self._monitor is not None
        return Lane(
            name,
            crew,
            loop=self._loop,
            monitor=self._monitor,
            poke=lambda: self._pokes.put(None),
        )

    def _watch_over(self, crew: Crew) -> None:
        """Wait until it is to stop; meanwhile, see after ids and lanes."""
        registrations = crew.registrations
        while not self._told:
            self._sleep(_LOOK if registrations.retired or self._lost else None)
            if any(lane.ended.is_set() for lane in self._lanes):
                return
            try:
                registrations.retire(self._link, self._is_in_use)
                self._wake_idle(registrations)
            except BrokerError as error:
                logger.debug("Not now: %s", error)

    def _end(self, crew: Crew) -> None:
        """Stop claiming, let what runs finish, say goodbye."""
        assert self._loop is not None and self._monitor is not None
        registrations, grace = crew.registrations, self.options.grace
        deadline = time.monotonic() + grace
        crew.stopping = True
        self._monitor.wake()
        if self.in_job:
            logger.info("Stopping: what runs has %g s to finish.", grace)
        try:
            for registration in (*registrations.retired, registrations.current):
                self._link.perform(Closing(registration.id, self._bells(registration)))
        except BrokerError as error:
            logger.debug("Not closed: %s", error)
        for lane in self._lanes:
            lane.ended.wait(max(0.0, deadline - time.monotonic()))
        drained = self._loop.drain(max(0.0, deadline - time.monotonic()))
        self.unfinished = sum(not lane.ended.is_set() for lane in self._lanes) + (not drained)
        if self.unfinished:
            logger.error(
                "Consumers still ran after %g s (grace): they are abandoned, and their messages "
                "go to other workers.",
                grace,
            )
        crew.leaving.set()
        crew.outage.leave()
        self._monitor.stop(1.0)
        self._loop.stop(1.0)
        registrations.stop_beating()
        try:
            registrations.end(self._link)
        except BrokerError as error:
            logger.warning("This worker could not say goodbye: %s", error)
        self._link.close()
        logger.info("Worker stopped.")

    # ----------------------------------------------------------------- helpers

    def _sleep(self, seconds: float | None) -> None:
        """Until somebody pokes, at most ``seconds``."""
        try:
            self._pokes.get(timeout=seconds)
        except queue.Empty:
            return

    def _gone(self, registration: Registration) -> None:
        """From a heartbeat's thread: the layer does not know ``registration``."""
        self._lost.add(registration)
        self._pokes.put(None)

    def _wake_idle(self, registrations: Registrations) -> None:
        """Lanes that sleep under a former id, at a bell that nobody rings: let them find out."""
        self._lost &= {registrations.current, *registrations.retired}
        for registration in {*self._lost, *registrations.retired}:
            bells = tuple(
                registration.bell(lane.name)
                for lane in self._lanes
                if lane.registration is registration and lane.batch.running is None
            )
            if bells:
                self._link.perform(Ring(bells))

    def _bells(self, registration: Registration) -> tuple[str, ...]:
        return tuple(registration.bell(lane.name) for lane in self._lanes)

    def _is_in_use(self, registration: Registration) -> bool:
        assert self._loop is not None and self._monitor is not None
        return (
            any(lane.registration is registration for lane in self._lanes)
            or self._monitor.registration is registration
            or self._loop.holds(registration)
        )

    def _clients(self) -> Iterable[str]:
        links = [lane.link for lane in self._lanes]
        if self._monitor is not None:
            links.append(self._monitor.link)
        yield from (link.client_id() for link in (self._link, *links))
        if self._loop is not None:
            yield self._loop.client_id()

    def _log_start(self, channels: tuple[str, ...]) -> None:
        if not channels:
            logger.warning(
                "This worker serves no channel: the routing names none that --only-channels and "
                "--exclude-channels let through."
            )
        logger.info(
            "djchan worker %s is ready: layer %s, %d thread%s, %d async, %d channel%s: %s",
            __version__,
            self.channel_layer,
            self.threads,
            "" if self.threads == 1 else "s",
            self.options.concurrency,
            len(channels),
            "" if len(channels) == 1 else "s",
            ", ".join(channels),
        )

    _link: Link


class WorkerGroup(Worker):
    """A Worker with ``n_threads`` threads: Channels 1.x's name for it."""

    def __init__(self, *args: Any, n_threads: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **{"threads": n_threads or os.cpu_count() or 1, **kwargs})


def _matches(name: str, globs: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for glob in globs)


def _info() -> bytes:
    return codec.encode({"pid": os.getpid(), "host": socket.gethostname(), "version": __version__})
