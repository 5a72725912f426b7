from typing import Any

from django.http import HttpResponse
from django.urls import path

from djchan import Channel


def start(request: Any) -> HttpResponse:
    Channel("jobs").send({"by": "a view"})
    return HttpResponse("started")


urlpatterns = [path("start/", start)]
