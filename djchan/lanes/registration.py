"""The id under which the layer knows a worker process.

From ``djchan.worker``, and from a lane that found its id not to be known any more; on to the
engine. What the layer leases, it leases to an id::

                       the layer does not know it: renew()
    current, beating ────────────────────────────────────► gone

An id that was declared dead, or went with the state of the layer, holds nothing any more, and
all that is still said under it is refused. The worker drops what it had, as it is somebody
else's by now, and goes on under a new id. Nothing else takes a new id: what an answer that
got lost may have leased is asked for again (``lanes.exchange``), or goes back
(``lanes.reconcile``).
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence

from djchan import names
from djchan.exceptions import ProcessGone
from djchan.lanes.leases import Leases
from djchan.lanes.options import WorkerOptions
from djchan.lanes.unsettled import Unsettled
from djchan.layers.engine import Engine, Link
from djchan.layers.heartbeat import Heartbeat
from djchan.layers.operations import Commit, GiveUp, Operation, Outcome, Reap, Register
from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))

FIRST_BEAT = 1.0  # Seconds that a worker waits for it before it claims.


class Registration:
    """One id, the heartbeat that keeps it alive, and what is leased to it.

    ``above``: the highest token that was met under a former id.
    """

    def __init__(self, process: str, above: int = 0) -> None:
        self.id = process
        self.gone = False  # The layer does not know it any more.
        self.heartbeat: Heartbeat | None = None
        self.leases = Leases(above)
        self.unsettled = Unsettled()

    def may_start(self, now: float) -> bool:
        """Whether what is leased to us is ours for sure, at ``now`` (monotonic, seconds).

        Not when a process that stood still (SIGSTOP) wakes up: it may have been declared dead,
        and its work be done, until a beat is answered.
        """
        if self.gone or self.heartbeat is None:
            return not self.gone
        return now - self.heartbeat.answered_at < self.heartbeat.doubt

    def bell(self, lane: str) -> str:
        # The layer finds the bells of a dead process by this beginning.
        return f"{self.id}.{lane}"


class Registrations:
    """The current registration of a worker.

    ``clients``: ids of the worker's connections. ``on_gone(registration)``: called when the
    layer does not know it, in a heartbeat's thread or a lane's. ``dead_bytes``: as of Register.
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
        dead_bytes: int = 0,
    ) -> None:
        self.current = Registration("")
        self.renewals = 0
        self._engine = engine
        self._channels = channels
        self._info = info
        self._options = options
        self._clients = clients
        self._on_gone = on_gone
        self._dead_bytes = dead_bytes
        self._lock = threading.Lock()
        self._next_id = ""

    def begin(self, link: Link) -> int:
        """Make this process known; the layer's clock (ms). Raises BrokerError."""
        return self._register(link)

    def renew(self, old: Registration, link: Link) -> None:
        """Go on under a new id, unless another lane has done it. Raises BrokerError."""
        self.lost(old)
        with self._lock:
            if self.current is not old:
                return
            self._register(link)
            self.renewals += 1
        if old.heartbeat is not None:
            old.heartbeat.stop()
        logger.info("This worker is %s to the channel layer now.", self.current.id)

    def lost(self, registration: Registration) -> None:
        """The layer does not know ``registration``."""
        if not registration.gone:
            registration.gone = True
            logger.warning(
                "The channel layer does not know this worker (%s) any more: it was silent for "
                "too long, or the layer lost its state. What runs now will be run again by "
                "whoever has it; this worker goes on under a new id.",
                registration.id,
            )
        self._on_gone(registration)

    def end(self, link: Link, ends: Sequence[Outcome | GiveUp] = ()) -> None:
        """Say these ends of deliveries, then goodbye. Raises BrokerError."""
        self.stop_beating()
        worker = self.current.id
        outcomes = tuple([end for end in ends if isinstance(end, Outcome)])
        last: list[Operation] = [Commit(worker, "goodbye", 1, outcomes)] if outcomes else []
        last += [end for end in ends if isinstance(end, GiveUp)]
        link.perform(*last, Reap(worker, None))

    def stop_beating(self) -> None:
        if self.current.heartbeat is not None:
            self.current.heartbeat.stop()

    def _register(self, link: Link) -> int:
        # Made here and not before: after fork, and the same again until it is answered.
        self._next_id = self._next_id or names.new_process_id()
        registration = Registration(self._next_id, self.current.leases.highest)
        register = Register(
            *(registration.id, "worker", self._info, self._channels), dead_bytes=self._dead_bytes
        )
        (now,) = link.perform(register)
        if now is None:
            self._next_id = ""
            raise ProcessGone
        registration.heartbeat = Heartbeat(
            self._engine,
            registration.id,
            "worker",
            clients=self._clients,
            on_gone=lambda: self.lost(registration),
            interval=self._options.beat,
            limits=self._options.limits(),
        )
        registration.heartbeat.start()
        self._next_id = ""
        # Who dies at its first message is found by its connections: they are to be known.
        registration.heartbeat.begun.wait(FIRST_BEAT)
        self.current = registration
        assert isinstance(now, int)
        return now
