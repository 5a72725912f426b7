"""The pages of the sheets: choose one, see one. What is written goes by the socket."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from realtime.sheet import cells
from realtime.sheet.sheets import SHEETS


@require_safe
def sheets(request: HttpRequest) -> HttpResponse:
    return render(request, "sheet/sheets.html", {"sheets": SHEETS.values()})


@require_safe
def sheet(request: HttpRequest, name: str) -> HttpResponse:
    if name not in SHEETS:
        raise Http404(f"There is no sheet {name}.")
    sheet = SHEETS[name]
    sheet.seed()
    may_write = sheet.may_write(request.user)
    # What the script has to know; the same cells come again by the socket, when it is open.
    about = {
        "sheet": sheet.name,
        "me": request.user.pk,
        "mayWrite": may_write,
        "labels": sheet.labels,
        "choices": sheet.choices,
        "cells": cells.read(sheet),
    }
    return render(
        request, "sheet/sheet.html", {"sheet": sheet, "may_write": may_write, "about": about}
    )
