"""The thread that says "I live" for a process, and looks after the others.

From ``djchan.worker`` and ``layers.local``, which start one for each id they are known by;
on to the engine. It has a connection and a thread of its own, so that neither a busy event
loop nor a long consumer silences it. What it makes of the others' beats is decided in
``layers.watch``::

    every 0.25 s: Beat ──► Beats ──► Watch ──► Connected? ──► Watch ──► Reap
                    └──► None: the layer does not know us ──► on_gone()
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from djchan.exceptions import BrokerError
from djchan.layers import threads
from djchan.layers.backoff import Backoff
from djchan.layers.engine import Engine, Link
from djchan.layers.operations import Beat, Beats, Connected, ProcessKind, Reap
from djchan.layers.watch import Limits, Watch
from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))

INTERVAL = 0.25  # Seconds between two beats.


class Progress(NamedTuple):
    """What an interface has had answered so far: these fields of a Beat."""

    link: str = ""
    number: int = 0
    read: int = 0


class Heartbeat:
    """Beats for ``process`` from ``start()`` to ``stop()``, both of which return at once.

    ``clients``: gives the ids of the process's connections at the broker, besides this one.
    ``progress``: of an interface; called, in this thread, just before each beat.
    ``on_gone``: called, in this thread, at every beat that the layer answers with "I do not
    know you" (state was lost, or the process was declared dead): make it cheap, and safe to
    call again. ``interval``: seconds. Redis may be silent for as long as it likes.
    """

    def __init__(
        self,
        engine: Engine,
        process: str,
        kind: ProcessKind,
        *,
        on_gone: Callable[[], object],
        clients: Callable[[], Iterable[str]] = tuple,
        progress: Callable[[], Progress] = Progress,
        interval: float = INTERVAL,
        limits: Limits | None = None,
    ) -> None:
        self.process = process
        self.kind = kind
        self._engine = engine
        self._on_gone = on_gone
        self._clients = clients
        self._progress = progress
        self._answered = 0  # The number of the last beat that was answered.
        self.answered_at = time.monotonic()  # When that one was begun, or we were made known.
        self._interval = interval
        self._watch = Watch(process, limits)
        # Seconds without an answer after which we may have been declared dead.
        self.doubt = max(self._watch.limits.doubt, 4 * interval)
        self.begun = threading.Event()  # A beat was answered: our connections are known.
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"djchan-heartbeat-{process[:6]}", daemon=True
        )

    def start(self) -> None:
        """Raises BrokerUnavailable when this process can have no more threads."""
        threads.start(self._thread)

    def stop(self) -> None:
        """No beat begins after this."""
        self._stopping.set()

    def resumed(self) -> None:
        """The layer was told of this process anew, and counts its beats anew."""
        self._answered = 0

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread's end, after ``stop()``."""
        self._thread.join(timeout)

    def _run(self) -> None:
        link = self._engine.link(f"{self.process}.heartbeat")
        # Quick to be back: nobody else can say for us that we live.
        backoff = Backoff(first=0.05, limit=1.0)
        wait = 0.0
        try:
            while not self._stopping.wait(wait):
                try:
                    wait = self._beat(link)
                    backoff.reset()
                except BrokerError as error:
                    self._watch.reset()
                    wait = backoff.next()
                    logger.debug("A beat was not answered: %s", error)
                except Exception:
                    # Without beats the process would be declared dead: say it, go on.
                    self._watch.reset()
                    wait = backoff.next()
                    logger.exception("A beat of %s failed.", self.process)
        finally:
            link.close()

    def _beat(self, link: Link) -> float:
        """Beat once; seconds until the next one."""
        said, begun_at = self._named(link), time.monotonic()
        # A worker finds a loss of state by other means (Held).
        answered = self._answered if self.kind == "interface" else 0
        (beats,) = link.perform(Beat(self.process, said, answered, *self._progress()))
        if beats is None:
            self._answered = 0
            if not self._stopping.is_set():
                self._on_gone()
            return self._interval
        self._answered = beats.processes.get(self.process, (0,))[0]
        self.answered_at = begun_at
        self.begun.set()
        self._look_after(link, beats)
        # A connection that was just made is to be known before it can be lost.
        return self._interval if self._named(link) == said else 0.0

    def _named(self, link: Link) -> str:
        ids = {link.client_id(), *self._clients()}
        return ",".join(sorted(ids - {""}))

    def _look_after(self, link: Link, beats: Beats) -> None:
        at = time.monotonic()
        wanted = self._watch.observe(beats, at)
        if not wanted:
            return
        reaps = []
        for operation, answer in zip(wanted, link.perform(*wanted), strict=True):
            if isinstance(operation, Reap):
                self._say(operation, answer, beats, "was silent for too long")
            elif isinstance(operation, Connected):
                reap = self._watch.answered(operation.process, answer, at)
                if reap is not None:
                    reaps.append(reap)
        if reaps:
            for reap, done in zip(reaps, link.perform(*reaps), strict=True):
                self._say(reap, done, beats, "has no connection to the layer any more")

    def _say(self, reap: Reap, done: bool, beats: Beats, why: str) -> None:
        if not done:
            return  # It has beaten meanwhile, or another process was faster.
        kind = beats.processes[reap.process][1]
        logger.warning(
            "The %s %s %s (last beat %s, %.1f s ago) and was declared dead: %s.",
            kind,
            reap.process,
            why,
            reap.beat,
            self._watch.silence(reap.process, time.monotonic()),
            "its work is handed on" if kind == "worker" else "its sockets are gone",
        )
