import hashlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from liveblog.models import Liveblog, Post

from djchan import Group
from lines.marks import mark


def stamp(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """A middleware around every view, whatever becomes of it."""

    def middleware(request: HttpRequest) -> Any:
        response = get_response(request)
        response["X-Stamp"] = "stamped"
        mark(f"stamp {request.path} {response.status_code}")
        return response

    return middleware


def post(request: HttpRequest, slug: str, body: str) -> HttpResponse:
    Post.objects.create(liveblog=Liveblog.objects.get(slug=slug), body=body)
    return HttpResponse("posted")


def tell(request: HttpRequest, group: str) -> HttpResponse:
    Group(group).send({"text": "first"})
    Group(group).send({"text": "second"})
    mark(f"told {group}")
    return HttpResponse("told")


def who(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.user.get_username() or "nobody")


def show_request(request: HttpRequest) -> HttpResponse:
    response = JsonResponse(
        {
            "twice": request.headers.get("X-Twice"),
            "cookies": request.COOKIES,
            "script_name": request.META["SCRIPT_NAME"],
            "path_info": request.path_info,
            "query": request.GET.dict(),
        }
    )
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return response


def upload(request: HttpRequest) -> HttpResponse:
    return HttpResponse(hashlib.sha256(request.body).hexdigest())


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """Without end (at most 10 s), until the client leaves."""

    def parts() -> Iterator[bytes]:
        try:
            for number in range(500):
                yield b"part %d\n" % number
                time.sleep(0.02)
        finally:
            mark("stream closed")

    return StreamingHttpResponse(parts())


def slow(request: HttpRequest, seconds: str) -> HttpResponse:
    time.sleep(float(seconds))
    return HttpResponse("late")


def begun(request: HttpRequest) -> StreamingHttpResponse:
    """One part, and the next one too late."""

    def parts() -> Iterator[bytes]:
        yield b"begun"
        time.sleep(1.5)
        yield b"ended"

    return StreamingHttpResponse(parts())


def later(request: Any, group: str) -> HttpResponse:
    """Another consumer answers, by way of a group."""
    Group(group).add(request.reply_channel)
    mark(f"promised {group}")
    raise request.ResponseLater
