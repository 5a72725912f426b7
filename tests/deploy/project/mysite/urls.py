from django.contrib.auth import get_user_model, login
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.templatetags.static import static
from django.urls import path, reverse

from djchan import Channel, Group


def page(request: HttpRequest) -> HttpResponse:
    bridge, script = static("djchan/js/websocketbridge.js"), static("mysite/page.js")
    return HttpResponse(
        f'<!doctype html><title>mysite</title><script src="{bridge}"></script>'
        f'<script src="{script}" defer></script><p id="url"></p><p id="hello"></p>'
    )


def who(request: HttpRequest) -> JsonResponse:
    """Who serves this, and whom, as the view sees it."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JsonResponse(
        {
            "server": request.META.get("SERVER_SOFTWARE", "a worker").partition("/")[0],
            "client": request.META["REMOTE_ADDR"],
            "scheme": request.scheme,
            "links": reverse("say", args=["hello"]),
            "visits": request.session["visits"],
        }
    )


def enter(request: HttpRequest, name: str) -> HttpResponse:
    """Log in without a password: this is a test."""
    user, _ = get_user_model().objects.get_or_create(username=name)
    login(request, user)
    return HttpResponse("welcome", content_type="text/plain")


def say(request: HttpRequest, text: str) -> HttpResponse:
    """From wherever this view runs to sockets and to a background worker."""
    Group("room").send({"text": f"view: {text}"})
    Channel("notes").send({"text": text})
    return HttpResponse("said", content_type="text/plain")


urlpatterns = [
    path("", page),
    path("who/", who),
    path("enter/<str:name>/", enter),
    path("say/<str:text>/", say, name="say"),
]
