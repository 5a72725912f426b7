"""The page: three sockets, each to another kind of consumer."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

# name, what it is, where it runs
PANES = (
    ("inside", "AsyncWebsocketConsumer", "Channels 4, in the server"),
    ("json", "AsyncJsonWebsocketConsumer", "Channels 4, in the server, in JSON"),
    ("outside", "together_receive(message)", "djchan, in any worker"),
)


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    return render(request, "together/page.html", {"panes": PANES})
