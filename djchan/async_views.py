"""Run asynchronous views and streams on an event loop, as Django's own ASGI handler does.

For ``djchan.handler``, which brings a request here when its view, or a middleware, is
asynchronous. One task runs the view and its stream, so what the view has begun or made goes on in
its generator; it is canceled when the client leaves. The loop is the worker's, so a client that a
module keeps (``httpx.AsyncClient``) lives from one request to the next. What is synchronous runs
in a thread of the request's own, whose database connections are closed with it.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, closing
from types import TracebackType
from typing import Any, Protocol

from asgiref.sync import ThreadSensitiveContext, iscoroutinefunction, sync_to_async
from django.conf import settings
from django.core import signals
from django.core.handlers.asgi import get_script_prefix
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, URLResolver, get_resolver
from django.utils import translation
from django.utils.module_loading import import_string

from djchan import databases
from djchan.detached import Detached, NoDisk, refusal
from djchan.exceptions import RequestAborted, ResponseLater
from djchan.layers.operations import WINDOW
from djchan.layers.tasks import hidden
from djchan.log import escaping
from djchan.message import Message
from djchan.outbox import client_left
from djchan.request import AsgiRequest, below, scope_of

logger = escaping(logging.getLogger(__name__))

Part = dict[str, Any]
# Sends a part of a response; False when its client has left.
Send = Callable[[Part], Awaitable[bool]]

_EMPTY = (204, 205, 304)  # Statuses of responses without content.


class ViewHandler(Protocol):
    """The parts of an ``AsgiHandler`` that are used here, with middleware loaded for async use."""

    chunk_size: int

    def read(self, message: Message) -> tuple[AsgiRequest | None, HttpResponse | None]: ...
    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase | None: ...
    def last_resort(self, request: AsgiRequest, error: Exception) -> HttpResponse: ...
    def detach(self, response: HttpResponseBase) -> Detached | None: ...
    def start_of(self, response: HttpResponseBase) -> Part: ...
    def encode_head(self, response: HttpResponseBase) -> Part: ...
    def chunk_bytes(self, data: bytes) -> Iterator[tuple[bytes, bool]]: ...


async def answer(handler: ViewHandler, message: Message, send: Send, *, sender: type) -> None:
    """Answer ``message``, in the task that awaits this. ``sender``: of Django's signals."""
    async with ThreadSensitiveContext():
        try:
            async with WhileClientStays():
                await _answer(handler, message, send, sender)
        finally:
            await sync_to_async(databases.close_connections)(message=message)


async def _answer(handler: ViewHandler, message: Message, send: Send, sender: type) -> None:
    try:
        request, unread = await _read(handler, message)
    except RequestAborted:
        return
    scope = scope_of(message.content, errors="replace") if request is None else request.scope
    await signals.request_started.asend(sender=sender, scope=scope, message=message)
    response: Any = unread
    start: Part = {}
    content: Detached | None = None
    try:
        if request is not None:
            response = await _respond(handler, request)
            if response is None or request.promised:
                return
        response._handler_class = sender
        if isinstance(response, FileResponse):
            response.block_size = handler.chunk_size
        if is_without_content(message.content, response):
            await send(handler.encode_head(response))
        else:
            try:
                content = await _detach(handler, response)
            except NoDisk as error:
                await send_response(handler, refusal(error), send)
            else:
                if content is None:
                    await send_response(handler, response, send)
                else:
                    start = handler.start_of(response)
    finally:
        if response is None:
            await signals.request_finished.asend(sender=sender)
        else:
            await sync_to_async(response.close)()
    if content is not None:
        del request, response  # Its content is not in memory while its client reads.
        await send_content(handler, start, content, send)


async def _detach(handler: ViewHandler, response: HttpResponseBase) -> Detached | None:
    size = len(response.content) if isinstance(response, HttpResponse) else 0
    if size > WINDOW or isinstance(response, FileResponse):
        return await sync_to_async(handler.detach)(response)
    return None


async def _read(
    handler: ViewHandler, message: Message
) -> tuple[AsgiRequest | None, HttpResponse | None]:
    if message.content.get("body_channel"):
        return await sync_to_async(handler.read, thread_sensitive=False)(message)
    return handler.read(message)


async def _respond(handler: ViewHandler, request: AsgiRequest) -> HttpResponseBase | None:
    try:
        return await handler.get_response_async(request)
    except ResponseLater:
        request.close()
        return None
    except Exception as error:
        if settings.DEBUG_PROPAGATE_EXCEPTIONS:
            raise
        return handler.last_resort(request, error)


async def send_response(handler: ViewHandler, response: Any, send: Send) -> None:
    """Send a response part by part, until its client has left."""
    part = handler.start_of(response)
    if not response.streaming:
        for chunk, last in handler.chunk_bytes(response.content):
            if not await send({**part, "content": chunk, "more_content": not last}):
                return
            part = {}
        return
    async with aclosing(contents_of(response)) as contents:
        async for content in contents:
            for chunk, _ in handler.chunk_bytes(content):
                if not await send({**part, "content": chunk, "more_content": True}):
                    return
                part = {}
    await send({**part, "more_content": False})


async def send_content(handler: ViewHandler, start: Part, content: Detached, send: Send) -> None:
    """Send a response that was detached, until its client has left; close its content."""
    part = start
    with closing(content):
        async with aclosing(content.chunks(handler.chunk_size)) as chunks:
            async for chunk in chunks:
                if not await send({**part, "content": chunk, "more_content": True}):
                    return
                part = {}
        await send({**part, "more_content": False})


def is_without_content(content: Mapping[str, object], response: Any) -> bool:
    """Whether the response to an http.request message ends with its headers."""
    return content.get("method") == "HEAD" or response.status_code in _EMPTY


async def contents_of(response: Any) -> AsyncGenerator[bytes, None]:
    """The contents of a streaming response, one by one, from a plain or an async iterator."""
    if response.is_async:
        # Its own iterator, and not one of Django's around it: that would be closed in its place.
        iterator: AsyncIterator[Any] = response._iterator
        try:
            async for content in iterator:
                yield response.make_bytes(content)
        finally:
            if isinstance(iterator, AsyncGenerator):
                await _close(iterator)
        return
    # Not all of them at first, as Django would have them.
    step, contents = sync_to_async(_next), iter(response)
    while (content := await step(contents)) is not None:
        yield content


async def _close(generator: AsyncGenerator[object, None]) -> None:
    try:
        await generator.aclose()
    except BaseExceptionGroup as errors:
        # A task group around a yield takes the end of the generator for an error of its own.
        if errors.split(GeneratorExit)[1] is not None:
            raise


def _next(contents: Iterator[bytes]) -> bytes | None:
    return next(contents, None)


class WhileClientStays:
    """``async with WhileClientStays():`` cancels what is inside when the client has left.

    As ``asyncio.timeout``: in the task that runs it, which goes on behind it.
    """

    def __init__(self) -> None:
        self._left = False

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()
        self._watching = hidden(self._watch())

    async def _watch(self) -> None:
        await client_left()
        self._left = True
        self._task.cancel()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self._watching.cancel()
        if not self._left:
            return False
        others = self._task.uncancel() > self._cancelling
        return kind is asyncio.CancelledError and not others


# ------------------------------------------------------------- which requests come here


def has_async_middleware() -> bool:
    """Whether a middleware of the project can only run on an event loop."""
    for path in settings.MIDDLEWARE:
        middleware = import_string(path)
        if getattr(middleware, "async_capable", False) and not getattr(
            middleware, "sync_capable", True
        ):
            return True
    return False


def has_async_views(resolver: URLResolver) -> bool:
    """Whether any view below ``resolver`` is asynchronous."""
    return any(
        has_async_views(pattern)
        if isinstance(pattern, URLResolver)
        else iscoroutinefunction(pattern.callback)
        for pattern in resolver.url_patterns
    )


def is_for_async_view(content: Mapping[str, Any]) -> bool:
    """Whether the path of an http.request message leads to an asynchronous view.

    As the project's settings have it: a middleware may still decide otherwise.
    """
    path = content["path"]
    path = path.decode(errors="replace") if isinstance(path, bytes) else path
    path_info = below(get_script_prefix(content), path)
    # Which patterns there are may depend on the language, which the path then begins with.
    language = translation.get_language_from_path(path_info) or translation.get_language()
    try:
        with translation.override(language):
            match = get_resolver().resolve(path_info)
    except Resolver404:
        return False
    return iscoroutinefunction(match.func)
