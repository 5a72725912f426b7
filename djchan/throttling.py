"""Log lines that a client can cause as often as it likes: some of them are left out.

What a client did wrong is one line at INFO, and neither it nor an error of a consumer fills the
log when it comes a thousand times: the first lines of a cause are written, and the next one
says how many were left out. The interface counts as well (``interface.journal``).
"""

import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

QUIET = 10.0  # Seconds after which a cause is logged again.
CAUSES = 1000  # That are remembered; the one that was first to come goes first.
BURST = 10  # Lines of a cause whose messages may differ in substance.


class Throttle:
    """How often what has the same cause may be logged. ``clock``: seconds, monotonic.

    It is on in processes that serve clients. Elsewhere, as in a project's tests, every line
    is logged.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.is_on = False
        self._clock = clock
        self._lock = threading.Lock()
        self._causes: OrderedDict[str, tuple[float, int, int]] = OrderedDict()

    def left_out(self, cause: str, burst: int = 1) -> int | None:
        """How many lines were left out before this one; None: it is to be left out, too.

        In each span of QUIET seconds, the first ``burst`` lines of a cause are logged.
        """
        if not self.is_on:
            return 0
        now = self._clock()
        with self._lock:
            since, logged, left = self._causes.get(cause, (now, 0, 0))
            if now - since >= QUIET:
                since, logged = now, 0
            if logged >= burst:
                self._causes[cause] = since, logged, left + 1
                return None
            self._causes[cause] = since, logged + 1, 0
            if len(self._causes) > CAUSES:
                self._causes.popitem(last=False)
            return left

    def clear(self) -> None:
        """Off, as at the start of a process."""
        with self._lock:
            self.is_on = False
            self._causes.clear()


throttle = Throttle()


def _forked() -> None:
    throttle._lock = threading.Lock()  # A thread that held it is not in the child.


os.register_at_fork(after_in_child=_forked)


def throttled(
    logger: logging.Logger,
    level: int,
    cause: str,
    message: str,
    *args: object,
    burst: int = 1,
    exc_info: BaseException | None = None,
    extra: Mapping[str, object] | None = None,
) -> None:
    """Log ``message % args``, unless the same ``cause`` was logged just now.

    ``cause`` names a thing of the project or of djchan, and nothing that a client chooses.
    """
    if not logger.isEnabledFor(level):
        return
    left = throttle.left_out(f"{logger.name} {cause}", burst)
    if left is None:
        return
    if left:
        message += f" ({left} more like it before this line)"
    logger.log(level, message, *args, exc_info=exc_info, extra=extra, stacklevel=2)
