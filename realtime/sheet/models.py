"""The tables behind the sheets, and what is kept of each cell beside its value."""

from decimal import Decimal

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models


class Stock(models.Model):
    """What a small shop has, and where: the rows of the sheet "shop"."""

    class Place(models.TextChoices):
        SHELF = "shelf", "On the shelf"
        WINDOW = "window", "In the window"
        CELLAR = "cellar", "In the cellar"

    ROOM_IN_THE_WINDOW = 12

    name = models.CharField("item", max_length=30, unique=True)
    amount = models.PositiveSmallIntegerField(validators=[MaxValueValidator(999)])
    place = models.CharField(max_length=10, choices=Place)
    note = models.CharField(max_length=60, blank=True)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.place == self.Place.WINDOW and self.amount > self.ROOM_IN_THE_WINDOW:
            raise ValidationError(
                f"In the window there is room for {self.ROOM_IN_THE_WINDOW}, not {self.amount}."
            )


class Price(models.Model):
    """What it costs: the rows of the sheet "prices"."""

    class Tax(models.TextChoices):
        FULL = "full", "19 %"
        REDUCED = "reduced", "7 %"

    name = models.CharField("item", max_length=30, unique=True)
    price = models.DecimalField(
        max_digits=6, decimal_places=2, validators=[MinValueValidator(Decimal("0.05"))]
    )
    tax = models.CharField(max_length=10, choices=Tax)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.name


class Cell(models.Model):
    """How often a cell was written, and by whom last. One that never was has none of these."""

    sheet = models.CharField(max_length=20)
    row = models.BigIntegerField()
    field = models.CharField(max_length=30)
    version = models.PositiveIntegerField(default=0)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["sheet", "row", "field"], name="one_cell"),)

    def __str__(self) -> str:
        return f"{self.sheet}, row {self.row}, {self.field}: version {self.version}"
