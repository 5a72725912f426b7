"""Responses that are larger than any buffer on their way."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterator

from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from app.consumers import mark

BLOCK = bytes(range(256)) * 2048  # 512 KiB


def download(request: HttpRequest) -> FileResponse:
    return FileResponse(open(os.environ["DOWNLOAD"], "rb"))


async def download_async(request: HttpRequest) -> FileResponse:
    return FileResponse(open(os.environ["DOWNLOAD"], "rb"))


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


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(BLOCK * 3)


urlpatterns = [
    path("download/", download),
    path("download-async/", download_async),
    path("endless/", endless),
    path("endless-async/", endless_async),
    path("page/", page),
]
