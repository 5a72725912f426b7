"""The pages of the rooms: choose one, be in one."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_safe


@require_safe
def rooms(request: HttpRequest) -> HttpResponse:
    """Choose a room: the form sends its name here, as ``?room=``."""
    name = request.GET.get("room", "").strip()
    if not name:
        return render(request, "rooms/rooms.html")
    try:
        return redirect(reverse("rooms:room", args=[name]))
    except NoReverseMatch:
        return render(request, "rooms/rooms.html", {"refused": name}, status=400)


@require_safe
def room(request: HttpRequest, room: str) -> HttpResponse:
    return render(request, "rooms/room.html", {"room": room})
