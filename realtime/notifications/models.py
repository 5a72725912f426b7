"""What was pushed, for who was away; and a model whose changes are worth a notification."""

from typing import Any

from django.conf import settings
from django.db import models


class Notification(models.Model):
    """One sentence for one person; the last 20 of each are kept (``push.KEPT``)."""

    class Way(models.TextChoices):
        VIEW = "view"
        SIGNAL = "signal"
        COMMAND = "command"
        TASK = "task"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notifications"
    )
    text = models.CharField(max_length=200)
    way = models.CharField(max_length=10, choices=Way)
    created = models.DateTimeField(auto_now_add=True)
    read = models.DateTimeField(null=True)
    # Of the message that it was made for, which may be run again, and is to make one only.
    message_id = models.CharField(max_length=200, null=True, unique=True)  # noqa: DJ001

    def __str__(self) -> str:
        return self.text

    def as_item(self) -> dict[str, Any]:
        """For the page, as JSON."""
        return {
            "id": self.pk,
            "text": self.text,
            "way": self.way,
            "created": self.created.isoformat(),
            "read": self.read is not None,
        }


class Parcel(models.Model):
    """Something of somebody's. It knows nothing of notifications: see ``signals``."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="parcels"
    )
    label = models.CharField(max_length=100)
    sent = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.label
