"""The page, and a view for each way to notify somebody.

The command is a way, too: ``management/commands/notify.py``. All end in ``push.notify``.
"""

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from djchan import Channel, channel_layers
from djchan.exceptions import BrokerError, ChannelFull
from realtime.logins import reasons
from realtime.notifications.models import Notification, Parcel
from realtime.notifications.push import notify
from realtime.people.views import PEOPLE

LONGEST = 100  # characters
LATER = 3  # seconds

Way = Callable[[Any, str], str]


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    context = {
        "reasons": reasons.WORDS,
        "names": names(request),
        "longest": LONGEST,
        "later": LATER,
        "in_one_process": channel_layers["default"].local_only(),
    }
    return render(request, "notifications/page.html", context)


def names(request: HttpRequest) -> list[str]:
    """Who may be notified from the page: oneself, and who is here for trying."""
    own = [request.user.get_username()] if request.user.is_authenticated else []
    return sorted({*own, *(PEOPLE if settings.DEBUG else ())})


def way(notifies: Way) -> Callable[[HttpRequest], HttpResponse]:
    """A view that takes ``to`` and ``text``, and answers with a sentence, as JSON."""

    @require_POST
    @functools.wraps(notifies)
    def view(request: HttpRequest) -> HttpResponse:
        if not request.user.is_authenticated:
            return JsonResponse({"error": "Nobody is signed in here."}, status=403)
        to, text = request.POST.get("to", ""), request.POST.get("text", "").strip()
        if to not in names(request):
            return JsonResponse({"error": "Nobody of this name is here."}, status=400)
        if not 0 < len(text) <= LONGEST:
            return JsonResponse({"error": f"From 1 to {LONGEST} characters."}, status=400)
        user, _ = get_user_model().objects.get_or_create(username=to)  # Not yet here for trying?
        try:
            return JsonResponse({"said": notifies(user, text)})
        except (BrokerError, ChannelFull):
            return JsonResponse({"error": "Too busy now. Try again in a minute."}, status=503)

    return view


@way
def from_the_view(user: Any, text: str) -> str:
    notify(user, text, way=Notification.Way.VIEW)
    return "Pushed from the view."


@way
def send_parcel(user: Any, text: str) -> str:
    """Say nothing of a notification: it comes from the signal of the model."""
    Parcel.objects.filter(sent__lt=timezone.now() - timedelta(days=1)).delete()
    Parcel.objects.create(owner=user, label=text)
    return "Saved. Its post_save signal pushes after the commit."


@way
def roll_parcel_back(user: Any, text: str) -> str:
    with transaction.atomic():
        Parcel.objects.create(owner=user, label=text)  # The signal is sent, as above …
        transaction.set_rollback(True)  # … and here nothing of it remains.
    return "Saved, and rolled back: nothing is pushed."


@way
def remind_later(user: Any, text: str) -> str:
    Channel("reminders").send({"user": user.pk, "text": text}, delay=LATER, on_commit=True)
    return f"A worker pushes it in {LATER} s."
