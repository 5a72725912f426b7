"""Tell the layer what we know to be leased to us; the rest goes back to its channels.

From ``djchan.worker``'s own thread, which looks in now and then; on to the engine. It is
said after every error on one of the worker's connections, once more ``LATE`` seconds after that,
and every ``reconcile`` seconds for what went wrong without an error (a history that was lost, a
fault of our own)::

    an answer got lost ──► doubt ──► Held ──► what nobody here runs runs elsewhere
         ▲                   │        └── LATE ──► Held
         └── no answer ──────┘
"""

import logging
from collections import Counter

from djchan.lanes.outage import Outage
from djchan.lanes.registration import Registrations
from djchan.layers.engine import Link
from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))

# Seconds until no claim can be run any more that was sent over a connection which broke. The layer
# may not know that it broke, and runs the claim when the wait before it is over (5 s).
LATE = 6.0


class Reconciler:
    """``interval``: seconds between two times that there is no reason for."""

    def __init__(
        self,
        registrations: Registrations,
        link: Link,
        *,
        outage: Outage,
        interval: float,
        counters: Counter[str],
    ) -> None:
        self._registrations = registrations
        self._link = link
        self._outage = outage
        self._interval = interval
        self._counters = counters
        self._seen = outage.doubts
        self._next = 0.0  # Not before the first look.

    def look(self, now: float) -> None:
        """Say it, if it is time to (monotonic, seconds). Raises BrokerError."""
        doubts = self._outage.doubts
        if not self._next:
            self._next = now + self._interval
        if doubts == self._seen and now < self._next:
            return
        registration = self._registrations.current
        held = registration.leases.held(registration.id)
        (given_back,) = self._link.perform(held)
        if given_back is not None and given_back < 0:
            return  # Lanes have claimed meanwhile. Said at the next look, or the doubt would stay.
        self._next = now + (self._interval if doubts == self._seen else min(LATE, self._interval))
        self._seen = doubts
        if given_back:
            self._counters["reconciled"] += given_back
            logger.warning(
                "%d deliveries were leased to this worker without its knowledge (an answer of "
                "the channel layer was lost, or its state was): they went back to their channels.",
                given_back,
            )
