"""The pages that are of no system: where it begins, and the source of each.

Workers run these too: an HTTP request is a message like any other.
"""

import inspect

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from realtime import systems
from realtime.echo.consumers import ws_echo
from realtime.highlight import highlighted


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    consumer = highlighted(inspect.getsource(ws_echo), "consumers.py")
    context = {"systems": systems.in_order(), "consumer": consumer}
    return render(request, "realtime/home.html", context)


@require_safe
def source(request: HttpRequest, name: str) -> HttpResponse:
    """The files of one system, as they are at this moment."""
    of = systems.find(name)
    if of is None:
        raise Http404(f"There is no system {name!r}.")
    files = [(file, highlighted((systems.ROOT / file).read_text(), file)) for file in of.files]
    return render(request, "realtime/source.html", {"of": of, "files": files})
