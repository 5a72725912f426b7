import os

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, JsonResponse
from django.urls import path


def about(request: HttpRequest) -> JsonResponse:
    users = User.objects.order_by("pk")
    return JsonResponse(
        {
            "users": list(users.values_list("username", flat=True)),
            "debug": settings.DEBUG,
            "folder": settings.FOLDER_OF_THE_TEST,
            "colors": sorted(settings.COLORS),
            "pid": os.getpid(),
            "patched": os.environ.get("PATCHED"),
        }
    )


urlpatterns = [path("about", about)]
