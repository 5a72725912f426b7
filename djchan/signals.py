"""The four signals of Channels 1.x, and database connections that must not go stale.

From ``djchan.dispatch`` and ``djchan.worker``, which send them; on to whoever listens. A
worker lives for weeks between two messages, so connections that the database may have
closed meanwhile are closed around each message, as Django does around each request.
"""

import time
from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connections
from django.dispatch import Signal


class ConsumerSignal(Signal):
    """A signal that is sent for each message. ``first``: what djchan itself does then.

    Called directly, and before the receivers: the search for these costs as much as all else
    that is done for a small consumer, and most projects have none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first: list[Callable[..., Any]] = []

    def disconnect(self, receiver: Any = None, *args: Any, **kwargs: Any) -> bool:
        """As Django's; it also takes off what djchan does."""
        if receiver in self.first:
            self.first.remove(receiver)
            return True
        return super().disconnect(receiver, *args, **kwargs)

    def send(self, sender: Any, **named: Any) -> list[tuple[Any, Any]]:
        responses = self._call_first(sender, named)
        return responses + super().send(sender, **named) if self.receivers else responses

    async def asend(self, sender: Any, **named: Any) -> list[tuple[Any, Any]]:
        # In the thread of synchronous code, which has its database connections.
        responses = await sync_to_async(self._call_first)(sender, named)
        return responses + await super().asend(sender, **named) if self.receivers else responses

    def _call_first(self, sender: Any, named: dict[str, Any]) -> list[tuple[Any, Any]]:
        return [(call, call(signal=self, sender=sender, **named)) for call in self.first]


# sender: the class of the worker (or of a test client); environ: {}.
consumer_started = ConsumerSignal()
# The same sender; sent however the consumer ended.
consumer_finished = ConsumerSignal()
# sender: the worker, once for each thread of it.
worker_ready = Signal()
# sender: the worker; once for each process, before worker_ready. From runworker only.
worker_process_ready = Signal()


def close_stale_connections(**kwargs: Any) -> None:
    """Close this thread's database connections that are past CONN_MAX_AGE or have failed.

    What ``django.db.close_old_connections`` decides, decided without asking the database:
    this runs twice for each message. Inside an atomic block nothing is closed, so that a
    consumer can run in a TestCase.
    """
    for connection in connections.all(initialized_only=True):
        if connection.connection is None or connection.in_atomic_block:
            continue
        connection.health_check_done = False  # type: ignore[attr-defined]
        if connection.errors_occurred and connection.is_usable():
            connection.errors_occurred = False
        if (
            connection.errors_occurred
            or connection.autocommit != connection.settings_dict["AUTOCOMMIT"]
            or (connection.close_at is not None and time.monotonic() >= connection.close_at)
        ):
            connection.close()


consumer_started.first.append(close_stale_connections)
consumer_finished.first.append(close_stale_connections)
