import hashlib
import time
from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from app.consumers import MARKS, mark
from djchan import Channel, Group


def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello", content_type="text/plain")


def tell(request: HttpRequest, group: str, text: str) -> HttpResponse:
    """Send to a group and to a channel from a view, whatever runs it."""
    Group(group).send({"text": text})
    Channel("notes").send({"group": group, "text": text})
    return HttpResponse("told", content_type="text/plain")


def upload(request: HttpRequest) -> HttpResponse:
    return HttpResponse(hashlib.sha256(request.body).hexdigest(), content_type="text/plain")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """Parts without end (at most 20 s), until the client leaves; the end is marked."""

    def parts() -> Iterator[bytes]:
        mark("stream begins")
        try:
            for number in range(2000):
                yield b"part %d\n" % number
                time.sleep(0.01)
        finally:
            mark("stream ends")

    return StreamingHttpResponse(parts(), content_type="text/plain")


def zeros(request: HttpRequest) -> HttpResponse:
    return HttpResponse(bytes(20 << 20))


def slow(request: HttpRequest) -> HttpResponse:
    """Run for 20 s in the first process that gets it, and at once in the next."""
    first = not any("slow" in line for line in MARKS.read_text().splitlines())
    mark(f"slow {request.method}")
    if first:
        time.sleep(20)
    return HttpResponse(f"{request.method} done", content_type="text/plain")


urlpatterns = [
    path("upload/", upload),
    path("stream/", stream),
    path("zeros/", zeros),
    path("slow/", slow),
    path("hello/", hello),
    path("tell/<str:group>/<str:text>/", tell),
]
