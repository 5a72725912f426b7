"""The headlines of late, for who comes (back), and the one beat that keeps responses alive."""

from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

KEPT = 20  # headlines
PERIOD = 15.0  # seconds between two comments; proxies cut what is silent for a minute


class Headline(models.Model):
    text = models.CharField(max_length=200)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.text

    @classmethod
    def publish(cls, text: str) -> Self:
        """Keep a headline, and no more than KEPT of those before it."""
        headline = cls.objects.create(text=text)
        cls.objects.filter(pk__lte=headline.pk - KEPT).delete()
        return headline


class Beat(models.Model):
    """One row: which message of the chain of delayed messages is the one that counts.

    Each UPDATE has its condition, so two chains become one. A message that is run again finds
    its own turn taken by itself, and goes on.
    """

    turn = models.PositiveBigIntegerField(default=0)
    due = models.DateTimeField(null=True)  # None: no chain goes on

    def __str__(self) -> str:
        return f"turn {self.turn}"

    @classmethod
    def start(cls) -> int | None:
        """The turn of a new chain; None while another goes on, or should."""
        beats, _ = cls.objects.get_or_create(pk=1)
        late = timezone.now() - timedelta(seconds=PERIOD)
        if beats.due is not None and beats.due > late:
            return None
        stopped = cls.objects.filter(Q(due=None) | Q(due__lte=late), pk=1, turn=beats.turn)
        turn: int = beats.turn + 2
        return turn if stopped.update(turn=turn, due=timezone.now()) else None

    @classmethod
    def go_on(cls, turn: int) -> int | None:
        """The next turn of the chain that is at ``turn``; None: the chain is not the one."""
        due = timezone.now() + timedelta(seconds=PERIOD)
        this = cls.objects.filter(pk=1, turn__in=(turn, turn + 1))
        return turn + 1 if this.update(turn=turn + 1, due=due) else None

    @classmethod
    def stop(cls, turn: int) -> None:
        cls.objects.filter(pk=1, turn__in=(turn, turn + 1)).update(due=None)
