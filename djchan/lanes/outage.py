"""Whether the layer answers, as all threads of a worker see it.

From ``lanes.exchange``, for each answer and for each that did not come; on to the log, to
whoever waits to try again, and to ``lanes.reconcile``.
"""

import logging
import threading
import time

from djchan.exceptions import BrokerError
from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))


PAUSE = 1.0  # Seconds between two lines, at least.
CAUSES = 5  # Lines for one outage, at most: one for each cause.


class Outage:
    """One line when it stops answering, one more for each other cause meanwhile, one when it is
    back, and at most one a second of all; and whoever waits to try again is woken by the first
    who got an answer. ``doubts`` counts what may have left us with leases that we do not know of.
    """

    def __init__(self) -> None:
        self.is_down = False
        self.doubts = 0
        self._since = 0.0
        self._causes: set[str] = set()  # That were logged, of this outage.
        self._logged_at = -PAUSE
        self._left = False
        self._lock = threading.Lock()
        self._back = threading.Event()

    def began(self, error: BrokerError) -> None:
        """There was no answer."""
        now, cause = time.monotonic(), str(error)
        with self._lock:
            self.doubts += 1
            if not self.is_down:
                self.is_down = True
                self._since = now
                self._causes.clear()
                if not self._left:
                    self._back.clear()
            if now - self._logged_at < PAUSE or cause in self._causes:
                return
            if len(self._causes) >= CAUSES:
                return
            self._causes.add(cause)
            self._logged_at = now
        logger.error("%s Trying again; nothing is lost.", error)

    def doubt(self) -> None:
        """Something was claimed, perhaps, that nobody runs."""
        with self._lock:
            self.doubts += 1

    def ended(self) -> None:
        """There was an answer."""
        if not self.is_down:
            return
        with self._lock:
            since, self._since = self._since, 0.0
            is_known = bool(self._causes)
            self.is_down = False
            self._back.set()
        if not since or not is_known:
            return  # Another thread was faster; or it was too short for a line.
        seconds = time.monotonic() - since
        logger.warning("The channel layer answers again, after %.1f s.", seconds)

    def wait(self, seconds: float) -> None:
        """Wait before trying again; shorter when somebody else got an answer."""
        self._back.wait(seconds)

    def leave(self) -> None:
        """Let nobody wait any more."""
        with self._lock:
            self._left = True
            self._back.set()
