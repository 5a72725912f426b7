"""Asynchronous views, with a client of a module's own: here, the lock of an event loop."""

import asyncio
from collections.abc import AsyncIterator

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path
from django.utils import translation

from app.consumers import mark
from app.urls import hello
from djchan import Channel

LOOPS: list[asyncio.AbstractEventLoop] = []


async def events(request: HttpRequest) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[bytes]:
        mark("events begin")
        try:
            yield b"data: first\n\n"
            await asyncio.sleep(60)
        finally:
            mark("events end")

    return StreamingHttpResponse(parts(), content_type="text/event-stream")


async def waits(request: HttpRequest) -> HttpResponse:
    mark("waits begins")
    try:
        await asyncio.sleep(60)
    finally:
        mark("waits ends")
    return HttpResponse()


async def loop(request: HttpRequest) -> HttpResponse:
    if not LOOPS:
        LOOPS.append(asyncio.get_running_loop())
    return HttpResponse(str(LOOPS[0] is asyncio.get_running_loop()))


def stream_of_sync_view(request: HttpRequest) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[str]:
        yield str(not LOOPS or LOOPS[0] is asyncio.get_running_loop())

    return StreamingHttpResponse(parts())


def events_of_sync_view(request: HttpRequest) -> StreamingHttpResponse:
    translation.activate("de")
    Channel("notes").send({"group": "none", "text": "of a view that streams"})

    async def parts() -> AsyncIterator[bytes]:
        mark("events begin")
        try:
            yield f"data: {translation.get_language()}\n\n".encode()
            await asyncio.sleep(60)
        finally:
            mark("events end")

    return StreamingHttpResponse(parts(), content_type="text/event-stream")


urlpatterns = [
    path("events-of-sync-view/", events_of_sync_view),
    path("events/", events),
    path("waits/", waits),
    path("loop/", loop),
    path("stream-of-sync-view/", stream_of_sync_view),
    path("hello/", hello),
]
