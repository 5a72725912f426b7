"""The page, and five ways to end a login. None of them knows of any socket.

What they change, Django tells by its signals: see ``realtime.logins.signals``.
"""

from typing import Any

from django.conf import settings
from django.contrib.auth import logout, update_session_auth_hash
from django.contrib.auth.hashers import make_password
from django.contrib.sessions.models import Session
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.crypto import get_random_string
from django.views.decorators.http import require_POST, require_safe

from realtime.logins import reasons
from realtime.logins.models import Login
from realtime.people.views import PEOPLE

LONGEST = 3600  # seconds


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    return render(request, "logins/page.html", {"reasons": reasons.WORDS, "longest": LONGEST})


@require_POST
def end(request: HttpRequest, how: str) -> HttpResponse:
    """End the login, or shorten it; answers with a sentence, as JSON."""
    if how not in WAYS:
        raise Http404(f"No login ends by {how!r}.")
    if not request.user.is_authenticated:
        return JsonResponse({"error": "Nobody is signed in here. Sign in first."}, status=403)
    try:
        return JsonResponse({"said": WAYS[how](request)})
    except ValueError as refusal:
        return JsonResponse({"error": str(refusal)}, status=400)


def sign_out(request: HttpRequest) -> str:
    logout(request)
    return "Signed out."


def sign_out_elsewhere(request: HttpRequest) -> str:
    user: Any = request.user.pk  # None is nobody's.
    others = Login.objects.filter(user__pk=user).exclude(session_key=request.session.session_key)
    keys = list(others.values_list("session_key", flat=True))
    Session.objects.filter(pk__in=keys).delete()
    return f"{len(keys)} other login{'' if len(keys) == 1 else 's'} ended. This one goes on."


def expire(request: HttpRequest) -> str:
    try:
        seconds = int(request.POST.get("seconds", ""))
    except ValueError:
        seconds = 0
    if not 1 <= seconds <= LONGEST:
        raise ValueError(f"From 1 to {LONGEST} seconds.")
    request.session.set_expiry(seconds)
    return f"This session ends in {seconds} s. To prolong it, send a longer time before."


def change_password(request: HttpRequest) -> str:
    person = _for_trying(request)
    person.password = make_password(get_random_string(20))
    person.save(update_fields=["password"])
    update_session_auth_hash(request, person)  # As Django's own view does: you stay signed in.
    return "Changed. All sockets of the old logins close; this page has a new login."


def deactivate(request: HttpRequest) -> str:
    person = _for_trying(request)
    person.is_active = False
    person.save(update_fields=["is_active"])
    return "Deactivated. A click on the page “Sign in” activates it again."


WAYS = {
    "here": sign_out,
    "elsewhere": sign_out_elsewhere,
    "time": expire,
    "password": change_password,
    "account": deactivate,
}


def _for_trying(request: HttpRequest) -> Any:
    """Who asks, if that is one of the people who are here for trying; ValueError else."""
    if not settings.DEBUG or request.user.get_username() not in PEOPLE:
        raise ValueError("Only the people of the example may be changed by a button.")
    return request.user
