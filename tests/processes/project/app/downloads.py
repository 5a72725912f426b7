"""Responses that are larger than any buffer on their way."""

import asyncio
import io
import itertools
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from app.consumers import mark

BLOCK = bytes(range(256)) * 2048  # 512 KiB


def download(request: HttpRequest) -> FileResponse:
    return FileResponse(open(os.environ["DOWNLOAD"], "rb"))


async def download_async(request: HttpRequest) -> FileResponse:
    return FileResponse(open(os.environ["DOWNLOAD"], "rb"))


def large_page(request: HttpRequest) -> HttpResponse:
    response = HttpResponse(Path(os.environ["DOWNLOAD"]).read_bytes())
    response["Content-Length"] = len(response.content)
    response._resource_closers.append(lambda: mark("the response is closed"))
    return response


async def large_page_async(request: HttpRequest) -> HttpResponse:
    return large_page(request)


def buffered(request: HttpRequest) -> FileResponse:
    return FileResponse(io.BytesIO(Path(os.environ["DOWNLOAD"]).read_bytes()))


def shrinking(request: HttpRequest) -> FileResponse:
    """A file that loses its end once its response has begun."""
    response = download(request)
    os.truncate(os.environ["DOWNLOAD"], len(BLOCK) * 40)
    return response


def endless(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[bytes]:
        try:
            for _ in itertools.count():
                yield BLOCK
        finally:
            mark("the iterator ends")

    return StreamingHttpResponse(parts())


async def endless_async(request: HttpRequest) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[bytes]:
        try:
            while True:
                yield BLOCK
                await asyncio.sleep(0)
        finally:
            mark("the iterator ends")

    return StreamingHttpResponse(parts())


def _await_go() -> None:
    mark("a view runs")
    end = time.monotonic() + 10
    while not Path(os.environ["DOWNLOAD"] + "-go").exists() and time.monotonic() < end:
        time.sleep(0.01)


def late_page(request: HttpRequest) -> HttpResponse:
    _await_go()
    return HttpResponse(BLOCK * 20)


def late_stream(request: HttpRequest) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield BLOCK

    _await_go()
    return StreamingHttpResponse(parts())


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(BLOCK * 3)


urlpatterns = [
    path("download/", download),
    path("download-async/", download_async),
    path("large-page/", large_page),
    path("large-page-async/", large_page_async),
    path("buffered/", buffered),
    path("shrinking/", shrinking),
    path("endless/", endless),
    path("endless-async/", endless_async),
    path("late-page/", late_page),
    path("late-stream/", late_stream),
    path("page/", page),
]
