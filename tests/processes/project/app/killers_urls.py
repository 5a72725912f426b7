import sys
from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path


def leave(request: HttpRequest) -> HttpResponse:
    sys.exit("a view wants out")


def fail(request: HttpRequest) -> HttpResponse:
    raise LookupError("a view is lost")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """A part, and then no more."""

    def parts() -> Iterator[bytes]:
        yield b"a part"
        raise LookupError("a stream ran dry")

    return StreamingHttpResponse(parts())


def hello(request: HttpRequest) -> HttpResponse:
    # The body first: Django has none any more once it has read a form's files from it.
    return HttpResponse(f"hello {len(request.body)} {len(request.POST)}")


urlpatterns = [
    path("leave/", leave),
    path("fail/", fail),
    path("stream/", stream),
    path("hello/", hello),
]
