"""What happens often is counted each time and logged now and then.

From every module of the interface that drops, refuses or closes something; on to the log
(once in ten seconds for each cause, with the number left out) and to ``Interface.counts``.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping

QUIET = 10.0  # Seconds between two lines of one cause.


class Journal:
    """``clock``: seconds, monotonic."""

    def __init__(
        self, logger: logging.Logger, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._logger = logger
        self._clock = clock
        self._said: dict[str, tuple[float, int]] = {}  # cause -> (when, count then)

    def count(self, cause: str, number: int = 1) -> None:
        self.counts[cause] += number

    def say(
        self,
        cause: str,
        message: str,
        *args: object,
        level: int = logging.WARNING,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        """Count ``cause``, and log ``message % args`` unless it was said just now.

        Causes come from a fixed list in the code, so there is a bounded number of them.
        """
        self.counts[cause] += 1
        count = self.counts[cause]
        now = self._clock()
        said = self._said.get(cause)
        if said is not None and now - said[0] < QUIET:
            return
        self._said[cause] = (now, count)
        unsaid = count - said[1] - 1 if said is not None else 0
        if unsaid:
            message += f" ({unsaid} more like it before this line)"
        self._logger.log(level, message, *args, extra=extra)
