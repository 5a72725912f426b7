from django.http import HttpRequest, HttpResponse
from django.urls import path

from djchan import Channel, Group


def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello", content_type="text/plain")


def tell(request: HttpRequest, group: str, text: str) -> HttpResponse:
    """Send to a group and to a channel from a view, whatever runs it."""
    Group(group).send({"text": text})
    Channel("notes").send({"group": group, "text": text})
    return HttpResponse("told", content_type="text/plain")


urlpatterns = [
    path("hello/", hello),
    path("tell/<str:group>/<str:text>/", tell),
]
