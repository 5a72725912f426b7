"""``DelayedMessage``: a message in the database, until it is due.

From ``delay.worker``, projects of Channels 1.x, and the rows that these have; on to its
channel. Several processes may send at the same time: a row is deleted in the transaction in
which it is sent, and only who deletes it sends it. A process that dies between the send and
its commit leaves the row, and the message is sent twice; it is never lost.
"""

import json
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.db import connections, models, router, transaction
from django.utils import timezone

from djchan import DEFAULT_CHANNEL_LAYER
from djchan.asgi import channel_layers
from djchan.channel import Channel
from djchan.exceptions import ChannelFull


class DelayedMessageQuerySet(models.QuerySet["DelayedMessage"]):
    def is_due(self) -> "DelayedMessageQuerySet":
        """Those whose time has come."""
        return self.filter(due_date__lte=timezone.now())


class DelayedMessage(models.Model):
    """``content``, a dict as JSON, is for the channel ``channel_name`` at ``due_date``."""

    # In quotes: it is django-stubs that they have parameters for.
    due_date: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(db_index=True)
    channel_name: "models.CharField[str, str]" = models.CharField(max_length=512)
    content: "models.TextField[str, str]" = models.TextField()

    objects: ClassVar[Any] = DelayedMessageQuerySet.as_manager()

    class Meta:
        # Channels 1.x's was "channels.delay_delayedmessage".
        db_table = "djchan_delay_delayedmessage"

    def __str__(self) -> str:
        return f"{self.channel_name} at {self.due_date}"

    @property
    def delay(self) -> float:
        """Milliseconds until it is due; setting it (to a timedelta, too) sets ``due_date``."""
        return (self.due_date - timezone.now()) / timedelta(milliseconds=1)

    @delay.setter
    def delay(self, given: float | timedelta) -> None:
        wait = given if isinstance(given, timedelta) else timedelta(milliseconds=given)
        self.due_date = timezone.now() + wait

    def send(self, channel_layer: Any = None, requeue_delay: float = 1000) -> None:
        """Send it now and delete the row; nothing, if another process has.

        When its channel is full, it is due again in ``requeue_delay`` ms.
        """
        layer = channel_layer or channel_layers[DEFAULT_CHANNEL_LAYER]
        using = router.db_for_write(type(self), instance=self)
        try:
            with transaction.atomic(using=using):
                if self._taken(using):
                    Channel(self.channel_name, channel_layer=layer).send(
                        json.loads(self.content), immediately=True
                    )
        except ChannelFull:
            self.delay = requeue_delay
            self._row(using).update(due_date=self.due_date)

    def _taken(self, using: str) -> bool:
        """Delete the row; whether that was us."""
        row = self._row(using)
        if connections[using].features.has_select_for_update_skip_locked:
            # Others pass by instead of waiting for us.
            row = row.select_for_update(skip_locked=True)
            free = list(row.values_list("pk", flat=True))
        else:
            free = [self.pk]
        deleted, _ = self._row(using).filter(pk__in=free).delete()
        return bool(deleted)

    def _row(self, using: str) -> Any:
        return type(self).objects.using(using).filter(pk=self.pk)
