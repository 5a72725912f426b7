import hashlib
import json
import time
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.urls import path

from chaos.evidence import begun
from djchan import Channel, Group
from tests.chaos.clients import STREAMED, pad


def page(request: HttpRequest, of: str, number: int) -> JsonResponse:
    """Answer with what was asked; its effects go with the commit of the request."""
    ran = begun(request.message, of, number)  # type: ignore[attr-defined]
    effect: dict[str, Any] = {"of": of, "n": number, "run": ran}
    Channel("ledger").send({**effect, "e": "page"})
    Channel("ledger", alias="other").send({**effect, "e": "page"})
    Group("books").send({**effect, "e": "page"})
    body = None
    if request.method == "POST":
        body = hashlib.sha256(json.loads(request.body).encode()).hexdigest()
    return JsonResponse({"of": of, "n": number, "method": request.method, "body": body})


def stream(request: HttpRequest, of: str, number: int) -> StreamingHttpResponse:
    """Answer in parts, which are sent while the view still runs. It has no effects."""
    return StreamingHttpResponse(_lines(of, number), content_type="text/plain")


def _lines(of: str, number: int) -> Iterator[str]:
    for line in range(STREAMED):
        time.sleep(0.01)
        yield f"{pad(of, number)}:{line}\n"


urlpatterns = [
    path("page/<str:of>/<int:number>/", page),
    path("stream/<str:of>/<int:number>/", stream),
]
