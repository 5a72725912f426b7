"""The page of one's tokens: make, list, revoke. The sockets are in ``consumers``."""

from typing import Any

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from realtime.tokens import reasons
from realtime.tokens.models import Token

LIVES = {"minute": 60, "hour": 3600, "month": 30 * 24 * 3600}  # seconds
MOST = 20  # that a person has at a time, and as many that have ended


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    items = [item(token) for token in tokens_of(request)]
    return render(request, "tokens/page.html", {"reasons": reasons.WORDS, "items": items})


@require_POST
@never_cache
def make(request: HttpRequest) -> HttpResponse:
    """Make a token; the answer, as JSON, is the only one that ever holds its text."""
    if not request.user.is_authenticated:
        return JsonResponse({"error": "Nobody is signed in here."}, status=403)
    name, life = request.POST.get("name", "").strip(), request.POST.get("life", "")
    if not 0 < len(name) <= 60 or life not in LIVES:
        return JsonResponse({"error": "A name of 1 to 60 characters, and a life."}, status=400)
    live = Q(revoked=None, expires__gt=timezone.now())
    ended = tokens_of(request).exclude(live).values_list("pk", flat=True)[MOST:]
    Token.objects.filter(pk__in=list(ended)).delete()
    if tokens_of(request).filter(live).count() >= MOST:
        return JsonResponse({"error": f"You have {MOST} tokens; revoke one first."}, status=400)
    token, text = Token.issue(request.user, name, seconds=LIVES[life])
    said = "Copy it now: it is not shown again."
    return JsonResponse({"said": said, "token": text, "item": item(token)})


@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    token = tokens_of(request).filter(pk=pk).first()
    if token is None:
        raise Http404("You have no such token.")
    if token.revoked is None:
        token.revoke()
    return JsonResponse({"item": item(token)})


def tokens_of(request: HttpRequest) -> Any:
    user: Any = request.user.pk  # None is nobody's.
    return Token.objects.filter(user__pk=user).select_related("user").order_by("-pk")


def item(token: Token) -> dict[str, Any]:
    """For the page, as JSON."""
    return {
        "name": token.name,
        "expires": token.expires.isoformat(),
        "used": token.last_used.isoformat() if token.last_used else None,
        "refused": reasons.WORDS.get(token.refusal() or 0, ""),
        "revoke": reverse("tokens:revoke", args=[token.pk]),
    }
