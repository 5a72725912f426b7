"""What the pages keep between two messages: workers hold nothing themselves."""

from django.db import models


class Seat(models.Model):
    """A socket that is in a chat room, and what its owner is called there.

    Made by the connect consumer, marked as left by the disconnect consumer. Only the
    connect message carries the query string, so the name waits here for the next ones.
    """

    reply_channel = models.CharField(max_length=100, unique=True)
    room = models.CharField(max_length=60, db_index=True)
    name = models.CharField(max_length=40)
    since = models.DateTimeField(auto_now_add=True)
    left = models.DateTimeField(null=True, db_index=True)

    def __str__(self) -> str:
        return f"{self.name} in {self.room}"
