"""What the rooms keep between two messages: workers hold nothing themselves."""

from django.db import models
from django.utils import timezone


class Seat(models.Model):
    """A socket that is in a chat room, and what its owner is called there.

    Made by the connect consumer, marked as left by the disconnect consumer. Only the
    connect message carries cookies and the query string, so the name waits here for the
    next ones. A seat is taken once and left once.
    """

    reply_channel = models.CharField(max_length=100, unique=True)
    room = models.CharField(max_length=60, db_index=True)
    name = models.CharField(max_length=40)
    signed_in = models.BooleanField(default=False)
    since = models.DateTimeField(auto_now_add=True)
    seen = models.DateTimeField(default=timezone.now)
    left = models.DateTimeField(null=True, db_index=True)

    def __str__(self) -> str:
        return f"{self.name} in {self.room}"


class Line(models.Model):
    """What somebody said. ``message_id``: of the message that brought it, so that a consumer
    that is run again says nothing twice."""

    room = models.CharField(max_length=60)
    name = models.CharField(max_length=40)
    signed_in = models.BooleanField(default=False)
    text = models.TextField()
    said = models.DateTimeField(auto_now_add=True)
    message_id = models.CharField(max_length=200, unique=True)

    class Meta:
        indexes = (models.Index(fields=["room", "id"], name="lines_of_a_room"),)

    def __str__(self) -> str:
        return f"{self.name}: {self.text:.40}"
