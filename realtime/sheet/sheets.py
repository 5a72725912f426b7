"""Which sheets there are: the table of each, its columns, and who may write in it.

Asked by the view, which shows a sheet, and by ``realtime.sheet.cells``, which reads and
writes its cells. Another table becomes a sheet by an entry at the end of this file.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from django import forms
from django.db import models

from realtime.sheet.models import Price, Stock

# A part of a URL that is also part of a group's name.
NAME = r"[-a-z0-9]{1,20}"


class Sheet(NamedTuple):
    """``fields``: of the model, one for each column, in order. ``rows``: made at first use."""

    name: str
    title: str
    model: type[models.Model]
    fields: tuple[str, ...]
    may_write: Callable[[Any], bool]
    who: str
    rows: tuple[tuple[Any, ...], ...]

    @property
    def group_name(self) -> str:
        """The group of the sockets whose pages show this sheet."""
        return f"sheet_{self.name}"

    @property
    def labels(self) -> list[str]:
        return [str(column.verbose_name).capitalize() for column in self._columns]

    @property
    def choices(self) -> list[dict[str, str] | None]:
        """For each column: what can be chosen and how it is shown, or None for text."""
        return [dict(column.flatchoices) or None for column in self._columns]

    @property
    def _columns(self) -> list[Any]:
        return [self.model._meta.get_field(field) for field in self.fields]

    def seed(self) -> None:
        """Fill an empty table. Two workers may do so at once: the names are unique."""
        if not self.model._default_manager.exists():
            rows = [self.model(**dict(zip(self.fields, row, strict=True))) for row in self.rows]
            self.model._default_manager.bulk_create(rows, ignore_conflicts=True)


@cache
def form_of(model: type[models.Model], field: str) -> "type[forms.ModelForm[Any]]":
    """A form of one field, which checks a value as the admin would: alone, and in its row."""
    return forms.modelform_factory(model, fields=[field])


SHEETS = {
    sheet.name: sheet
    for sheet in (
        Sheet(
            name="shop",
            title="What the shop has",
            model=Stock,
            fields=("name", "amount", "place", "note"),
            may_write=lambda user: user.is_authenticated,
            who="Whoever is signed in may write here.",
            rows=(
                ("Tea, green", 40, "shelf", ""),
                ("Tea, black", 25, "shelf", "Assam and Ceylon"),
                ("Coffee", 120, "cellar", "bring up 20 on Monday"),
                ("Cups", 8, "window", "the blue ones"),
                ("Teapots", 3, "window", ""),
                ("Honey", 31, "shelf", ""),
                ("Biscuits", 64, "cellar", "best before May"),
            ),
        ),
        Sheet(
            name="prices",
            title="What it costs",
            model=Price,
            fields=("name", "price", "tax"),
            may_write=lambda user: user.is_authenticated and user.is_staff,
            who="Only the staff may write here.",
            rows=(
                ("Tea, 100 g", "4.90", "reduced"),
                ("Coffee, 500 g", "8.50", "reduced"),
                ("Cup", "7.00", "full"),
                ("Teapot", "24.00", "full"),
                ("Honey, 250 g", "5.20", "reduced"),
            ),
        ),
    )
}
