"""The four signals of Channels 1.x.

From ``djchan.dispatch`` and ``djchan.worker``, which send them; on to ``djchan.databases``, and
to whoever listens.
"""

from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.dispatch import Signal

from djchan.databases import close_stale_connections, end_transactions, note_transactions


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


# sender: the class of the worker (or of a test client); environ: {}; message: the Message.
consumer_started = ConsumerSignal()
# The same sender and message; sent however the consumer ended.
consumer_finished = ConsumerSignal()
# sender: the worker, once for each thread of it.
worker_ready = Signal()
# sender: the worker; once for each process, before worker_ready. From runworker only.
worker_process_ready = Signal()


consumer_started.first += [close_stale_connections, note_transactions]
consumer_finished.first += [end_transactions, close_stale_connections]
