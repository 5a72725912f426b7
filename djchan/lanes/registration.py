"""The id under which the layer knows a worker process.

From ``djchan.worker``, and from a lane that found its id not to be known any more, or that
lost the answer to a claim; on to the engine. What the layer leases, it leases to an id::

                       renew()                       nobody uses it any more
    current, beating ──────────► retired, still beating ──────────────────► goodbye
                                  what runs under it is committed under it

An answer that got lost may have leased deliveries of which we know nothing. They are held
by that id alone: with its goodbye they go back to their channels as they were, so the
worker takes a new id, and says that goodbye when what it does know of has been committed.
(While a long consumer runs under the old id, they have to wait for it.)
"""

import logging
import threading
from collections.abc import Callable, Iterable

from djchan import names
from djchan.exceptions import BrokerError, ProcessGone
from djchan.lanes.options import WorkerOptions
from djchan.layers.engine import Engine, Link
from djchan.layers.heartbeat import Heartbeat
from djchan.layers.operations import Reap, Register

logger = logging.getLogger(__name__)


class Registration:
    """One id, and the heartbeat that keeps it alive."""

    def __init__(self, process: str) -> None:
        self.id = process
        self.gone = False  # The layer does not know it any more.
        self.heartbeat: Heartbeat | None = None

    def bell(self, lane: str) -> str:
        # The layer finds the bells of a dead process by this beginning.
        return f"{self.id}.{lane}"


class Registrations:
    """The current registration of a worker, and the former ones that are still in use.

    ``clients``: ids of the worker's connections. ``on_gone(registration)``: called in a
    heartbeat's thread when the layer does not know it.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        channels: tuple[str, ...],
        info: bytes,
        options: WorkerOptions,
        clients: Callable[[], Iterable[str]],
        on_gone: Callable[[Registration], object],
    ) -> None:
        self.current = Registration("")
        self.retired: list[Registration] = []
        self.renewals = 0
        self._engine = engine
        self._channels = channels
        self._info = info
        self._options = options
        self._clients = clients
        self._on_gone = on_gone
        self._lock = threading.Lock()
        self._next_id = ""

    def begin(self, link: Link) -> int:
        """Make this process known; the layer's clock (ms). Raises BrokerError."""
        return self._register(link)

    def renew(self, old: Registration, link: Link) -> None:
        """Go on under a new id, unless another lane has done it. Raises BrokerError."""
        with self._lock:
            if self.current is not old:
                return
            self._register(link)
            self.renewals += 1
            self.retired.append(old)
        logger.info("This worker is %s to the channel layer now.", self.current.id)

    def retire(self, link: Link, in_use: Callable[[Registration], bool]) -> None:
        """Say goodbye for former ids that nobody uses any more. Raises BrokerError."""
        for old in [old for old in self.retired if old.gone or not in_use(old)]:
            self._goodbye(old, link)
            self.retired.remove(old)

    def end(self, link: Link) -> None:
        """Say goodbye for all. Raises BrokerError."""
        for registration in (*self.retired, self.current):
            self._goodbye(registration, link)
        self.retired = []

    def stop_beating(self) -> None:
        for registration in (*self.retired, self.current):
            if registration.heartbeat is not None:
                registration.heartbeat.stop()

    def _register(self, link: Link) -> int:
        # Made here and not before: after fork, and the same again until it is answered.
        self._next_id = self._next_id or names.new_process_id()
        registration = Registration(self._next_id)
        (now,) = link.perform(Register(registration.id, "worker", self._info, self._channels))
        self._next_id = ""
        if now is None:
            raise ProcessGone
        registration.heartbeat = Heartbeat(
            self._engine,
            registration.id,
            "worker",
            clients=self._clients,
            on_gone=lambda: self._lost(registration),
            interval=self._options.beat,
            limits=self._options.limits(),
        )
        registration.heartbeat.start()
        self.current = registration
        assert isinstance(now, int)
        return now

    def _lost(self, registration: Registration) -> None:
        if not registration.gone:
            registration.gone = True
            logger.warning(
                "The channel layer does not know this worker (%s) any more: it was silent for "
                "too long, or the layer lost its state. What runs now will be run again by "
                "whoever has it; this worker goes on under a new id.",
                registration.id,
            )
        self._on_gone(registration)

    def _goodbye(self, registration: Registration, link: Link) -> None:
        if registration.heartbeat is not None:
            registration.heartbeat.stop()
        try:
            link.perform(Reap(registration.id, None))
        except BrokerError as error:
            logger.debug("No goodbye for %s: %s", registration.id, error)
            raise
