import json
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.urls import path

from chaos.evidence import begun
from djchan import Channel, Group


def page(request: HttpRequest, of: str, number: int) -> JsonResponse:
    """Answer with what was asked; its effects go with the commit of the request."""
    ran = begun(request.message, of, number)  # type: ignore[attr-defined]
    effect: dict[str, Any] = {"of": of, "n": number, "run": ran}
    Channel("ledger").send({**effect, "e": "page"})
    Group("books").send({**effect, "e": "page"})
    body = json.loads(request.body) if request.method == "POST" else None
    return JsonResponse({"of": of, "n": number, "method": request.method, "body": body})


urlpatterns = [path("page/<str:of>/<int:number>/", page)]
