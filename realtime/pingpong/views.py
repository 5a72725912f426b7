"""The page: two sockets."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

# name, the class, what to begin with
PANES = (
    ("text", "WebsocketConsumer", "PING hello"),
    ("json", "JsonWebsocketConsumer", '{"ping": 42}'),
)


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    return render(request, "pingpong/page.html", {"panes": PANES})
