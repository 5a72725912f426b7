"""Requests whose runs fail, each in its own way, and responses that have no content."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

from django.core.signals import request_finished, request_started
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import path

from djchan.exceptions import ConsumeLater
from djchan.message import Message
from djchan.routing import route
from djchan.signals import consumer_started

PASSED_ON = {"Transfer-Encoding": "chunked", "Keep-Alive": "timeout=1", "X-Kept": "1"}
# What would stand where the next response on the connection belongs.
FORGED = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"


def leave(request: HttpRequest) -> HttpResponse:
    raise SystemExit(1)


def cancel(request: HttpRequest) -> HttpResponse:
    raise asyncio.CancelledError


def cookie(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("ok")
    response.set_cookie("a", "1", path="/gr\u00fc\u00dfe/")
    return response


def early_hints(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=103)


def wrong_size(request: HttpRequest) -> HttpResponse:
    return HttpResponse("four", headers={"Content-Length": "5"})


def ok(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


def raises(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[bytes]:
        yield b"half a page"
        raise LookupError("the database went away")

    return StreamingHttpResponse(parts())


async def raises_async(request: HttpRequest) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[bytes]:
        yield b"half a page"
        raise LookupError("the database went away")

    return StreamingHttpResponse(parts())


def shorter(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse([b"half a page"], headers={"Content-Length": "22"})


async def ok_async(request: HttpRequest) -> HttpResponse:
    await asyncio.sleep(0)
    return HttpResponse("ok")


async def cancels_itself(request: HttpRequest) -> HttpResponse:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)
    return HttpResponse("ok")


async def raises_cancelled(request: HttpRequest) -> HttpResponse:
    raise asyncio.CancelledError


async def cancels_midway(request: HttpRequest) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[bytes]:
        yield b"half a page"
        await cancels_itself(request)

    return StreamingHttpResponse(parts())


async def _exit() -> None:
    raise SystemExit(1)


async def task_exits(request: HttpRequest) -> HttpResponse:
    await asyncio.create_task(_exit())
    return HttpResponse("ok")


async def group_exits(request: HttpRequest) -> HttpResponse:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_exit())
    return HttpResponse("ok")


async def callback_exits(request: HttpRequest) -> HttpResponse:
    asyncio.get_running_loop().call_soon(sys.exit, 1)
    await asyncio.sleep(0.01)
    return HttpResponse("ok")


async def stops_the_loop(request: HttpRequest) -> HttpResponse:
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0.01)
    return HttpResponse("ok")


async def lasts(request: HttpRequest) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[bytes]:
        yield b"begun, "
        await go_on.wait()
        go_on.clear()
        yield b"ended"

    return StreamingHttpResponse(parts())


async def let_go_on(request: HttpRequest) -> HttpResponse:
    go_on.set()
    return HttpResponse("ok")


def stream(request: HttpRequest, status: int) -> HttpResponseBase:
    return StreamingHttpResponse([b"first part", FORGED], status=status)


def large(request: HttpRequest, status: int) -> HttpResponseBase:
    return HttpResponse(FORGED * 20_000, status=status)


def small(request: HttpRequest, status: int) -> HttpResponseBase:
    return HttpResponse(FORGED, status=status)


def file(request: HttpRequest, status: int) -> HttpResponseBase:
    return FileResponse(open(__file__, "rb"), status=status)


def passed_on(request: HttpRequest) -> HttpResponse:
    return HttpResponse("abc", headers={"Connection": "X-Named", "X-Named": "1", **PASSED_ON})


def own(message: Message) -> None:
    raise LookupError("an own consumer")


async def own_async(message: Message) -> None:
    raise LookupError("an own consumer")


async def own_canceled(message: Message) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


def later(message: Message) -> None:
    raise ConsumeLater


def no_status(message: Message) -> None:
    message.reply_channel.send({"content": b"no status"})


def unspeakable(message: Message) -> None:
    message.reply_channel.send({"status": 200, "content": object()})


def fails_before(sender: Any, message: Any = None, **kwargs: Any) -> None:
    if message is not None and message["path"] == "/request-started/":
        raise LookupError("a receiver")


def fails_after(sender: Any, **kwargs: Any) -> None:
    if armed:
        armed.clear()
        raise LookupError("a receiver")


def arm(request: HttpRequest) -> HttpResponse:
    """What is signaled about it fails, once."""
    armed.append(True)
    return HttpResponse("ok")


def arm_next(request: HttpRequest) -> HttpResponse:
    armed_next.append(True)
    return HttpResponse("ok")


def fails_at_start(sender: Any, **kwargs: Any) -> None:
    if armed_next:
        armed_next.clear()
        raise LookupError("a receiver")


go_on = asyncio.Event()
armed: list[bool] = []
armed_next: list[bool] = []
request_started.connect(fails_before)
request_finished.connect(fails_after)
consumer_started.connect(fails_at_start)

routing = [
    route("http.request", own, path=r"^/own/$"),
    route("http.request", own_async, path=r"^/own-async/$"),
    route("http.request", own_canceled, path=r"^/own-canceled/$"),
    route("http.request", later, path=r"^/later/$"),
    route("http.request", no_status, path=r"^/no-status/$"),
    route("http.request", unspeakable, path=r"^/unspeakable/$"),
]

urlpatterns = [
    path("exit/", leave),
    path("cancel/", cancel),
    path("cookie/", cookie),
    path("103/", early_hints),
    path("wrong-size/", wrong_size),
    path("request-started/", ok),
    path("request-finished/", arm),
    path("next-fails/", arm_next),
    path("ok/", ok),
    path("raises/", raises),
    path("raises-async/", raises_async),
    path("ok-async/", ok_async),
    path("cancels-itself/", cancels_itself),
    path("raises-cancelled/", raises_cancelled),
    path("cancels-midway/", cancels_midway),
    path("task-exits/", task_exits),
    path("group-exits/", group_exits),
    path("callback-exits/", callback_exits),
    path("stops-the-loop/", stops_the_loop),
    path("lasts/", lasts),
    path("let-go-on/", let_go_on),
    path("shorter/", shorter),
    path("passed-on/", passed_on),
    path("stream/<int:status>/", stream),
    path("large/<int:status>/", large),
    path("small/<int:status>/", small),
    path("file/<int:status>/", file),
]
