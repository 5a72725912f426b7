"""Reads and writes the cells of a sheet.

From ``realtime.sheet.consumers`` (and, to read, from the view); on to the database. Two
people may write one cell at once, on two workers. So a write names the version that its
writer saw: if the cell has another by now, nothing is written and the writer is told who
wrote what in between. Who then sends it again, with the new version, means it.
"""

from typing import Any

from django.db import models, transaction

from realtime.sheet.frames import Refused, Write
from realtime.sheet.models import Cell
from realtime.sheet.sheets import Sheet, form_of


def read(sheet: Sheet) -> list[dict[str, Any]]:
    """All cells as they are now, row by row."""
    # Before the rows: of a cell that is written meanwhile we then say too low a version, and
    # the page takes what it is told of it next.
    written = {
        (cell.row, cell.field): cell
        for cell in Cell.objects.filter(sheet=sheet.name).select_related("user")
    }
    return [
        shown(sheet, row, column, written.get((row.pk, field)))
        for row in sheet.model._default_manager.all()
        for column, field in enumerate(sheet.fields)
    ]


@transaction.atomic
def write(sheet: Sheet, asked: Write, user: Any) -> tuple[str, dict[str, Any]]:
    """Write a cell if it is as its writer saw it and the new value is valid.

    Answers with "saved" or "conflict", and the cell as it is now. Raises Refused.

    A worker may die when this is done and nobody has been told, and then it is run again;
    and a page that got no answer asks again. Both find the value there, and that is "saved".
    """
    if asked.column >= len(sheet.fields):
        raise Refused(f"Column {asked.column} is none of the {len(sheet.fields)} of this sheet.")
    field = sheet.fields[asked.column]
    # The lock of the row: where the database has none (SQLite), the transaction is one.
    row = sheet.model._default_manager.select_for_update().filter(pk=asked.id).first()
    if row is None:
        raise Refused(f"The sheet {sheet.name} has no row {asked.id}.")
    before = getattr(row, field)
    form = form_of(sheet.model, field)({field: asked.value}, instance=row)
    if not form.is_valid():
        raise Refused(" ".join(str(text) for texts in form.errors.values() for text in texts))
    where = {"sheet": sheet.name, "row": row.pk, "field": field}
    cell = Cell.objects.select_related("user").filter(**where).first()
    if form.cleaned_data[field] == before:
        return "saved", shown(sheet, row, asked.column, cell)
    if asked.seen != (cell.version if cell else 0):
        row.refresh_from_db()
        return "conflict", shown(sheet, row, asked.column, cell)
    form.save()
    row.refresh_from_db()  # as the database has it: 2.50, where 2.5 was typed
    cell = cell or Cell(**where)
    cell.version += 1
    cell.user = user
    cell.save()
    return "saved", shown(sheet, row, asked.column, cell)


def shown(sheet: Sheet, row: models.Model, column: int, cell: Cell | None) -> dict[str, Any]:
    """A cell as the pages are told of it."""
    user = cell.user if cell else None
    return {
        "sheet": sheet.name,
        "id": row.pk,
        "column": column,
        "value": str(getattr(row, sheet.fields[column])),
        "version": cell.version if cell else 0,
        "by": user.pk if user else None,
        "name": user.get_username() if user else "",
    }
