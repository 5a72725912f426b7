from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import path

from djchan import Channel


def forward(request: HttpRequest, text: str) -> HttpResponse:
    """Send to the second layer."""
    Channel("there", alias="other").send({"text": text})
    return HttpResponse("sent")


async def aforward(request: HttpRequest, text: str) -> HttpResponse:
    """``forward`` on the worker's event loop."""
    await Channel("there", alias="other").asend({"text": text})
    return HttpResponse("sent")


unserved: list[Any] = []
urlpatterns = [path("forward/<str:text>/", forward), path("aforward/<str:text>/", aforward)]
