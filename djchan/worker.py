"""``Worker``: the process that runs all of a project's code for channels.

From ``runworker`` and ``runserver``; on to ``djchan.lanes``, where deliveries are run. What
is here is its life::

    run() ──► registered ──► lanes claim and run ──signal, stop(), termed──► STOPPING
                  ▲                  │      │                                   ▲ │
                  └── a new id ◄─────┘      └── most threads are stuck: restart ┘ │
                    the layer does not know us                                    ▼
              claims end, unstarted work goes back, what runs has ``grace`` seconds
                                                                                  │
                                                         goodbye ◄────────────────┘

A worker never ends by a message, a consumer, or a Redis that is away: only when it is told.
Where it ``can_restart``, ``run()`` returns when consumers that never return have taken most
of its threads; ``restart`` then says that its process is to be started anew.
"""

import contextlib
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

from djchan import __version__, detached
from djchan.asgi import ChannelLayerWrapper
from djchan.dispatch import MESSAGE_RETRIES
from djchan.exceptions import BrokerError, BrokerUnavailable, BrokerUnsupported
from djchan.lanes.crew import Crew
from djchan.lanes.options import WorkerOptions
from djchan.lanes.reconcile import Reconciler
from djchan.lanes.registration import Registration, Registrations
from djchan.lanes.roster import Roster
from djchan.lanes.unrouted import Lookout
from djchan.layers import codec, threads
from djchan.layers.backoff import Backoff
from djchan.layers.engine import Link
from djchan.layers.operations import Closing, Ring
from djchan.log import escaping
from djchan.process import READY, STOPPING, DefaultSignals, Signals, tell_systemd
from djchan.signals import worker_ready
from djchan.throttling import throttle

logger = escaping(logging.getLogger(__name__))

ANSWER = 3.0  # Seconds for each answer at the end.
_LOOK = 0.5  # Seconds between two looks at what nobody pokes us for, at most.


class Worker:
    """Claims messages of a layer and runs their consumers, from ``run()`` until it is stopped.

    ``channel_layer``: the wrapper, with its router. ``callback(channel, message)``: called
    before each consumer. ``message_retries``: runs after the first that ConsumeLater can
    have. ``signal_handlers``: SIGTERM and SIGINT stop ``run()`` (in the main thread).
    ``only_channels``, ``exclude_channels``: globs; the former first. ``can_restart``: whoever
    called ``run()`` starts the process anew when ``restart`` is set.

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
        can_restart: bool = False,
        **options: Any,
    ) -> None:
        self.channel_layer = channel_layer
        if isinstance(channel_layer, ChannelLayerWrapper):
            channel_layer.has_worker = True
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
        self._is_silent = False  # The layer has not answered at the end.
        self.leaves_at = 0.0  # When grace is over (monotonic).
        self.unfinished = 0  # Consumers that still ran when run() returned.
        self.can_restart = can_restart
        self.restart = False  # run() has returned for the process to be started anew.
        self._signals = Signals(self.stop)
        self._told = False
        self._stopping_since = 0.0  # When it was told to stop (monotonic).
        self._pokes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._roster: Roster | None = None

    # ------------------------------------------------------------------- face

    @property
    def threads(self) -> int:
        return self.options.threads

    @property
    def in_job(self) -> bool:
        """Whether a consumer runs."""
        return self._roster is not None and self._roster.in_job()

    @property
    def counters(self) -> Counter[str]:
        """What became of messages (by outcome), and of deliveries that were released, fenced,
        superseded, expired, poison, lost, stuck …, since the start. ``response_disk``: responses
        that were refused at ``http_response_disk``, since the start of the process."""
        counted = Counter() if self._roster is None else self._roster.counted()
        return counted + Counter(response_disk=detached.disk.refused)

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
        if not self._told:
            self._stopping_since = time.monotonic()
        self._told = True
        self.termed = True
        self.restart = False
        self._pokes.put(None)

    def run(self) -> None:
        """Serve until stopped. Raises BrokerUnsupported for a Redis that cannot be used."""
        throttle.is_on = True
        detached.disk.limit = self.options.http_response_disk
        if self.signal_handlers:
            self.install_signal_handler()
        in_children = None if self.signal_handlers else DefaultSignals()
        try:
            self._serve()
        finally:
            del in_children
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
            dead_bytes=layer.dead_letter_bytes,
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
        roster = self._roster = Roster(crew, lambda: self._pokes.put(None))
        reconciler = Reconciler(
            registrations,
            self._link,
            outage=crew.outage,
            interval=self.options.reconcile,
            counters=roster.counters,
        )
        lookout = Lookout(
            self._link,
            self.channel_layer.router.channels,
            interval=self.options.reconcile,
            alias=getattr(self.channel_layer, "alias", "default"),
        )
        self._log_start(channels)
        roster.start()
        tell_systemd(READY)
        try:
            self._watch_over(roster, reconciler, lookout)
        finally:
            self._end(crew, roster, reconciler, lookout)

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

    def _watch_over(self, roster: Roster, *watchers: Reconciler | Lookout) -> None:
        """Wait until it is to stop; meanwhile, see after ids, leases and lanes."""
        while not self._told:
            self._sleep(self._step)
            self._see_to(roster, *watchers)
            if any(lane.ended.is_set() for lane in roster.lanes):
                return
            if self.can_restart and roster.is_spent():
                logger.error(
                    "More than half of this worker is stuck in consumers: it finishes the rest "
                    "and starts anew."
                )
                # stop() takes it back, whenever it comes.
                self.restart = not self._told
                return

    def _see_to(self, roster: Roster, *watchers: Reconciler | Lookout) -> None:
        """What the lanes cannot see to themselves."""
        now = time.monotonic()
        roster.look(now)
        try:
            for watcher in watchers:
                watcher.look(now)
            asleep = roster.wake_idle()
            if asleep:
                self._link.perform(Ring(asleep))
        except BrokerError as error:
            logger.debug("Not now: %s", error)

    def _end(self, crew: Crew, roster: Roster, *watchers: Reconciler | Lookout) -> None:
        """Stop claiming, let what runs finish, say goodbye."""
        if not self.restart:
            # Whoever has said so is killed when TimeoutStopSec is over, begun anew or not.
            tell_systemd(STOPPING)
        registrations, grace = crew.registrations, self.options.grace
        deadline = self.leaves_at = (self._stopping_since or time.monotonic()) + grace
        crew.stopping = True
        roster.monitor.wake()
        if self.in_job:
            logger.info("Stopping: what runs has %g s to finish.", grace)
        registration = registrations.current
        try:
            self._last(
                lambda: self._link.perform(Closing(registration.id, roster.bells(registration)))
            )
        except BrokerError as error:
            logger.debug("Not closed: %s", error)
        while (left := deadline - time.monotonic()) > 0:
            step = min(self._step, left)
            unsettled = registration.unsettled and not registration.gone
            if unsettled or not all(lane.ended.is_set() for lane in roster.lanes):
                self._sleep(step)
            elif roster.loop.drain(step):
                break
            with contextlib.suppress(BrokerError):
                self._last(lambda: self._see_to(roster, *watchers))
        drained = roster.loop.drain(0.0)
        self.unfinished = sum(not lane.ended.is_set() for lane in roster.lanes) + (not drained)
        if self.unfinished:
            logger.error(
                "Consumers still ran after %g s (grace): they are abandoned, and their messages "
                "go to other workers.",
                grace,
            )
        self.unfinished += roster.stuck()
        crew.leaving.set()
        crew.outage.leave()
        roster.monitor.stop(1.0)
        roster.loop.stop(1.0)
        registrations.stop_beating()
        try:
            ends = roster.leave(registrations.current)
            self._last(lambda: registrations.end(self._link, ends))
            self._link.close()
        except BrokerError as error:
            logger.warning("This worker could not say goodbye: %s", error)
        logger.info("Worker stopped.")

    def _last(self, ask: Callable[[], object]) -> None:
        """Ask the layer something at the end, for at most ANSWER seconds.

        A Redis that is silent would hold this process for longer than those who stop it wait.
        Raises BrokerError; at once, when there was no answer before.
        """
        self._is_silent = self._is_silent or not threads.returns(ask, within=ANSWER)
        if self._is_silent:
            raise BrokerUnavailable(f"the channel layer did not answer within {ANSWER:g} s.")

    # ----------------------------------------------------------------- helpers

    def _sleep(self, seconds: float | None) -> None:
        """Until somebody pokes, at most ``seconds``."""
        try:
            self._pokes.get(timeout=seconds)
        except queue.Empty:
            return

    @property
    def _step(self) -> float:
        """Seconds between two looks: short beside the limits that are to be noticed."""
        set_limits = (self.options.run_limit, self.options.reconcile)
        return min([_LOOK, *(each / 4 for each in set_limits if each)])

    def _gone(self, registration: Registration) -> None:
        """The layer does not know ``registration``: from any thread."""
        self._pokes.put(None)

    def _clients(self) -> Iterable[str]:
        yield self._link.client_id()
        if self._roster is not None:
            yield from self._roster.clients()

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
