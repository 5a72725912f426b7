"""Models that bindings are declared for."""

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Upper

from djchan.binding.websockets import WebsocketBinding


class Tag(models.Model):
    name = models.CharField(max_length=20)

    def __str__(self) -> str:
        return self.name


class Live(models.Manager["Card"]):
    def get_queryset(self) -> Any:
        return super().get_queryset().filter(hidden=False)


class Card(models.Model):
    """One that moves between rooms, with a field of every kind that matters."""

    # The default one, which neither the row before a save nor inbound messages go by.
    live: ClassVar[Any] = Live()
    objects: ClassVar[Any] = models.Manager()

    room = models.CharField(max_length=20, default="a")
    title = models.CharField(max_length=20, blank=True)
    hidden = models.BooleanField(default=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True)
    tags = models.ManyToManyField(Tag)
    changed = models.DateTimeField(auto_now=True)
    loud = models.GeneratedField(
        expression=Upper("title"), output_field=models.CharField(max_length=20), db_persist=True
    )

    greeting = "hello"

    def __str__(self) -> str:
        return self.title

    @property
    def shout(self) -> str:
        return self.title.upper()

    def shouted(self, times: int = 2) -> str:
        return self.title * times


class BigCard(Card):
    """A child with a table of its own."""

    size = models.IntegerField(default=1)


class ProxyCard(Card):
    class Meta:
        proxy = True


class Key(models.Model):
    """One whose primary key is made before it is saved."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=20)

    def __str__(self) -> str:
        return self.name


class Seat(models.Model):
    """One with two fields for a primary key."""

    pk = models.CompositePrimaryKey("row", "number")
    row = models.IntegerField()
    number = models.IntegerField()
    guest = models.CharField(max_length=20, blank=True)

    def __str__(self) -> str:
        return f"{self.row}/{self.number}"


class Reading(models.Model):
    """One whose fields take values of other types than they read."""

    value = models.FloatField(null=True)
    amount = models.DecimalField(max_digits=6, decimal_places=2, null=True)
    day = models.DateField(null=True)
    level = models.IntegerField(db_default=3)

    def __str__(self) -> str:
        return str(self.pk)


class Thin(models.Model):
    """One whose ``save`` takes no arguments, and without ``objects``."""

    name = models.CharField(max_length=20)
    all_of_them: ClassVar[Any] = models.Manager()

    def __str__(self) -> str:
        return self.name

    def save(self) -> None:  # type: ignore[override]
        self.name = self.name.strip()
        super().save()


class NoteBinding(WebsocketBinding):
    """Declared before apps are ready, and before its model."""

    model = "binding.Note"
    stream = "notes"
    fields = "__all__"

    @classmethod
    def group_names(cls, instance: Any) -> list[str]:
        return ["notes"]


class Note(models.Model):
    text = models.CharField(max_length=20)

    def __str__(self) -> str:
        return self.text
