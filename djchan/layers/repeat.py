"""Whether an operation whose answer was lost is tried again, and when. No I/O happens here.

Only for operations that change nothing when they are applied a second time: numbered ones, and
those that are idempotent by nature. ``layers.calls`` performs the tries.
"""

import time

from djchan.exceptions import BrokerError, BrokerUnavailable, OutcomeUnknown
from djchan.layers.backoff import Backoff


class Repeat:
    """The tries of one operation: the last may begin ``seconds`` after the first.

    ``waits``: goes on also while Redis cannot be reached and nothing was sent. Otherwise such a
    call fails at once: its caller (a view) can do something better than wait.
    """

    def __init__(self, seconds: float, *, waits: bool = False) -> None:
        self._until = time.monotonic() + seconds
        self._waits = waits
        self._unknown: BrokerError | None = None  # The first try that may have been applied.
        self._backoff: Backoff | None = None

    def failed(self, error: BrokerError) -> float:
        """Seconds to wait before the next try.

        When there is to be none, raises OutcomeUnknown if a try may have been applied, else
        ``error``.
        """
        if isinstance(error, OutcomeUnknown):
            raise error  # It has been tried already.
        if isinstance(error, BrokerUnavailable):
            if error.sent and self._unknown is None:
                self._unknown = error
            left = self._until - time.monotonic()
            if left > 0 and (self._unknown or self._waits):
                return min(left, self._pause())
        if self._unknown is None:
            raise error
        # It is not this error that leaves it open, if nothing was sent in this try.
        since = "" if error is self._unknown else f" Since then: {error}"
        raise OutcomeUnknown(
            f"{self._unknown} What was asked then may or may not have been applied.{since}"
        ) from error

    def _pause(self) -> float:
        if self._backoff is None:
            # Most often a single connection broke: a new one answers at once.
            self._backoff = Backoff(0.02, 0.5)
            return 0.0
        return self._backoff.next()


class Unanswered:
    """Since when one layer has not answered sends from consumers of other layers.

    At first they wait for it, for ``stream_retry`` seconds. While it stays away each of them tries
    once, so that a worker's threads are not blocked.
    """

    def __init__(self) -> None:
        self._since: float | None = None

    def repeat(self, seconds: float) -> Repeat:
        gone = 0.0 if self._since is None else time.monotonic() - self._since
        return Repeat(max(0.0, seconds - gone), waits=True)

    def began(self, at: float) -> None:
        """A send that began at ``at`` (monotonic) had no answer."""
        if self._since is None:
            self._since = at

    def ended(self) -> None:
        self._since = None
