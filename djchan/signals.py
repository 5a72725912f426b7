"""The four signals of Channels 1.x, and database connections that must not go stale.

From ``djchan.dispatch`` and ``djchan.worker``, which send them; on to whoever listens. A
worker lives for weeks between two messages, so connections that the database may have
closed meanwhile are closed around each message, as Django does around each request.
"""

import time
from typing import Any

from django.db import connections
from django.dispatch import Signal

# sender: the class of the worker (or of a test client); environ: {}.
consumer_started = Signal()
# The same sender; sent however the consumer ended.
consumer_finished = Signal()
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


# Held, not referred to weakly: a reference would be followed twice for each message.
consumer_started.connect(close_stale_connections, weak=False)
consumer_finished.connect(close_stale_connections, weak=False)
