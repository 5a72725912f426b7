"""``Worker``: the process of ``rundelay``.

From the command, or a project; on to the channels that messages were for. What it does
depends on the layer::

    Redis                    asgi.delay, as any worker (delay.consumer);
                             beside it a thread that sends the rows of Channels 1.x
    inside one process       asgi.delay ──► rows ──► their channels, as Channels 1.x:
                             what such a layer delays would be gone with its process

Nothing that a message holds ends it: what cannot be sent is logged and dropped.
"""

import contextlib
import json
import logging
import queue
import threading
import time
from types import FrameType
from typing import Any

from django.db import DEFAULT_DB_ALIAS, Error, connections, router

from djchan.databases import close_stale_connections
from djchan.delay import request
from djchan.delay.consumer import serve_delay
from djchan.delay.models import DelayedMessage
from djchan.exceptions import BrokerError, MessageTooLarge
from djchan.log import escaping
from djchan.process import Signals
from djchan.worker import Worker as ChannelWorker

logger = escaping(logging.getLogger(__name__))

_PAUSE = 0.05  # Seconds between two looks at a channel that had nothing.


class Worker:
    """``channel_layer``: the wrapper. ``signal_handlers``: SIGTERM and SIGINT stop ``run()``.

    ``database_sleep_duration``: seconds between two looks for rows that are due.
    """

    termed: Any = False

    def __init__(
        self,
        channel_layer: Any,
        signal_handlers: bool = True,
        database_sleep_duration: float = 1,
    ) -> None:
        self.channel_layer = channel_layer
        self.signal_handlers = signal_handlers
        self.database_sleep_duration = database_sleep_duration
        self.in_job = False
        self._signals = Signals(self.stop)
        self._told = False
        # Not an Event: stop() is called from a signal handler, and must take no lock.
        self._pokes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._worker: ChannelWorker | None = None

    def install_signal_handler(self) -> None:
        """Let SIGTERM and SIGINT stop this worker."""
        self._signals.install()

    def sigterm_handler(self, signo: int, stack_frame: FrameType | None) -> None:
        """What such a signal does."""
        self._signals.handle(signo, stack_frame)

    def stop(self) -> None:
        """Let ``run()`` end; returns at once."""
        self.termed = True
        self._told = True
        self._pokes.put(None)
        if self._worker is not None:
            self._worker.stop()

    def run(self) -> None:
        """Serve until stopped."""
        if self.signal_handlers:
            self.install_signal_handler()
        try:
            if self.channel_layer.local_only():
                self._keep_rows()
            else:
                self._serve()
        finally:
            self._signals.restore()

    # ------------------------------------------- a layer that keeps them itself

    def _serve(self) -> None:
        serve_delay(self.channel_layer.router)
        worker = self._worker = ChannelWorker(
            self.channel_layer, signal_handlers=False, only_channels=[request.CHANNEL]
        )
        rows = threading.Thread(target=self._send_rows, name="djchan-delay-rows", daemon=True)
        rows.start()
        try:
            if not self._told:
                worker.run()
        finally:
            self._told = True
            self._pokes.put(None)
            rows.join(self.database_sleep_duration + 5)

    def _send_rows(self) -> None:
        try:
            while not self._told:
                try:
                    self.send_due()
                except Exception:
                    # Whatever it is: nobody else would send them.
                    logger.exception("The rows that are due could not be sent; next in a while.")
                self._sleep(self.database_sleep_duration)
        finally:
            connections.close_all()

    # ----------------------------------------------------- a layer that does not

    def _keep_rows(self) -> None:
        logger.info("Listening on %s.", request.CHANNEL)
        looked = -float("inf")
        # Tests count down in termed: it is read once for each turn.
        while not self.termed:
            channel, content = self.channel_layer.receive([request.CHANNEL])
            self.in_job = True
            if channel is not None:
                self.keep(content)
            if time.monotonic() - looked >= self.database_sleep_duration:
                looked = time.monotonic()
                self.send_due()
            self.in_job = False
            if channel is None:
                self._sleep(_PAUSE)

    def _sleep(self, seconds: float) -> None:
        """For so long, or until it is to stop."""
        with contextlib.suppress(queue.Empty):
            self._pokes.get(timeout=seconds)

    def keep(self, content: dict[str, Any]) -> None:
        """Keep what a message on ``asgi.delay`` asks for as a row."""
        try:
            asked = request.read(content)
            DelayedMessage(
                channel_name=asked.channel, content=json.dumps(asked.content), delay=asked.delay
            ).save()
        except (ValueError, TypeError) as error:
            # TypeError: bytes, say, which JSON does not have.
            logger.error("A message on %s is dropped: %s", request.CHANNEL, error)
        except Error:
            logger.exception("A message on %s could not be kept.", request.CHANNEL)

    def send_due(self) -> None:
        """Send every row that is due, the earliest first."""
        close_stale_connections()
        try:
            if _has_table():
                for row in DelayedMessage.objects.is_due().order_by("due_date", "pk"):
                    self._send(row)
        except Error:
            logger.exception("The rows that are due could not be read; next in a while.")
        close_stale_connections()

    def _send(self, row: DelayedMessage) -> None:
        try:
            row.send(channel_layer=self.channel_layer)
        except BrokerError as error:
            logger.warning("A delayed message for %s has to wait: %s", row.channel_name, error)
        except (ValueError, TypeError, MessageTooLarge) as error:
            logger.error("The delayed message %s (%s) is dropped: %s", row.pk, row, error)
            row.delete()


def _has_table() -> bool:
    """Whether there is a table of rows: a project that never had any needs no migration, and
    none that has no database needs one."""
    connection = connections[router.db_for_read(DelayedMessage) or DEFAULT_DB_ALIAS]
    if connection.settings_dict["ENGINE"] == "django.db.backends.dummy":
        return False
    return DelayedMessage._meta.db_table in connection.introspection.table_names()
