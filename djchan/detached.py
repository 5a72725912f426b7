"""The content of a large response, detached from the response.

For ``djchan.handler``. A thread that sends a response waits as long as its client is slow. Most
content does not need the thread that made it, so that one closes the response, as it closes a
short one, and takes the next message; an event loop sends the content. For an asynchronous view
the same saves memory: its response is not kept while its client reads::

    bytes, BytesIO ── over WINDOW ──► temporary file ──────────┐
    open file ─────── over WINDOW ──► a descriptor of its own ─┴─► Detached ──► event loop
    anything else ──────────────────► None: its thread sends it

A response within the window never waits for its client. An iterator, or a file with a ``read`` of
its own, may hold what belongs to its thread: a database cursor, a lock.
"""

import asyncio
import inspect
import io
import logging
import os
import stat
import tempfile
import threading
from collections.abc import AsyncGenerator

from django.core.files.base import File
from django.core.files.utils import FileProxyMixin
from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase

from djchan.layers.operations import WINDOW
from djchan.log import escaping
from djchan.throttling import throttled

logger = escaping(logging.getLogger(__name__))

_READING = ("__iter__", "streaming_content", "make_bytes")
_PLAIN = (io.BufferedReader, io.BufferedRandom, io.FileIO)
_READ_BY_DJANGO = inspect.getattr_static(FileProxyMixin, "read")


class NoDisk(Exception):
    """The content does not fit into the disk space for all responses of this process."""


class Disk:
    """The space for the content of all responses of a process. ``limit`` and ``used``: bytes;
    ``refused``: how many responses had no room."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.refused = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        """Raises NoDisk."""
        with self._lock:
            if self.used + size > self.limit:
                self.refused += 1
                raise NoDisk(
                    "large responses that wait for their clients would take more than "
                    f"{self.limit} bytes of this worker's disk (http_response_disk under WORKER "
                    "in CHANNEL_LAYERS)"
                )
            self.used += size

    def give_back(self, size: int) -> None:
        with self._lock:
            self.used -= size


disk = Disk(4096 * 1024 * 1024)  # A worker sets its own limit.


class Detached:
    """Bytes of a file from ``offset`` to its end. ``close`` gives ``on_disk`` bytes back."""

    def __init__(self, descriptor: int, offset: int = 0, *, on_disk: int = 0) -> None:
        self._descriptor = descriptor
        self._offset = offset
        self._on_disk = on_disk

    async def chunks(self, size: int) -> AsyncGenerator[bytes, None]:
        """The content, in pieces of at most ``size`` bytes. Raises OSError."""
        while chunk := await self._read(size):
            self._offset += len(chunk)
            yield chunk

    async def _read(self, size: int) -> bytes:
        # A disk may be slow, and a loop must not wait for it.
        reading = asyncio.ensure_future(
            asyncio.to_thread(os.pread, self._descriptor, size, self._offset)
        )
        try:
            return await asyncio.shield(reading)
        except asyncio.CancelledError:
            await asyncio.wait([reading])  # Its descriptor is about to be closed.
            raise

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            disk.give_back(self._on_disk)

    def __del__(self) -> None:
        self.close()  # The worker may stop before a loop has taken it.


def detach(response: HttpResponseBase) -> Detached | None:
    """The content of ``response``, which may then be closed; None: only its thread can send it,
    or it is short, or no file can be written (logged). Raises NoDisk.
    """
    try:
        return _detached(response)
    except OSError as error:
        throttled(
            logger,
            logging.WARNING,
            "large response in memory",
            "A large response stays in memory until its client has read it, and a synchronous one "
            "keeps its thread, as no file could be written in %s: %s",
            tempfile.gettempdir(),
            error,
        )
        return None


def refusal(error: NoDisk) -> HttpResponse:
    """The response in place of one that does not fit (logged)."""
    throttled(logger, logging.WARNING, "no disk for a response", "A request got a 503: %s", error)
    return HttpResponse(
        "503 Service Unavailable: too many large responses wait for their clients.",
        status=503,
        headers={"Content-Type": "text/plain", "Retry-After": "5"},
    )


def _detached(response: HttpResponseBase) -> Detached | None:
    if isinstance(response, HttpResponse):
        content = response.content
        return _spooled(memoryview(content)) if len(content) > WINDOW else None
    file = _file_of(response)
    if type(file) is io.BytesIO:
        with file.getbuffer() as buffer, buffer[file.tell() :] as rest:
            return _spooled(rest) if len(rest) > WINDOW else None
    return _duplicate(file)


def _file_of(response: HttpResponseBase) -> object:
    """The file that a FileResponse passes on as it is, below those of Django and ``tempfile``."""
    kind = type(response)
    if not isinstance(response, FileResponse) or any(
        inspect.getattr_static(kind, name) is not inspect.getattr_static(FileResponse, name)
        for name in _READING
    ):
        return None
    file = getattr(response, "file_to_stream", None)  # None once a middleware has wrapped it.
    while True:
        if isinstance(file, File) and "read" not in vars(file):
            if inspect.getattr_static(type(file), "read") is not _READ_BY_DJANGO:
                return None
            file = file.file
        elif type(file) is tempfile._TemporaryFileWrapper:
            file = file.file
        elif type(file) is tempfile.SpooledTemporaryFile:
            file = file._file
        else:
            return file


def _duplicate(file: object) -> Detached | None:
    """The rest of an open file of the operating system."""
    if isinstance(file, io.BufferedReader | io.BufferedRandom):
        raw: object = file.raw
    elif isinstance(file, io.FileIO):
        raw = file
    else:
        return None
    if type(raw) is not io.FileIO or type(file) not in _PLAIN or file.closed:
        return None
    if isinstance(file, io.BufferedRandom):
        file.flush()
    status = os.fstat(raw.fileno())
    if not stat.S_ISREG(status.st_mode) or status.st_size - file.tell() <= WINDOW:
        return None
    return Detached(os.dup(raw.fileno()), file.tell())


def _spooled(content: memoryview) -> Detached:
    """``content`` in a temporary file without a name."""
    size = len(content)
    disk.take(size)
    try:
        with tempfile.TemporaryFile() as file:
            file.write(content)
            file.flush()
            return Detached(os.dup(file.fileno()), on_disk=size)
    except BaseException:
        disk.give_back(size)
        raise
