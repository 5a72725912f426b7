"""Run a Django view for an ``http.request`` message.

From ``djchan.dispatch``, as the default consumer of ``http.request``; on to the project's
middleware and view, and with the response to the message's reply channel::

    ViewConsumer ──► AsgiHandler ──► AsgiRequest(message) ──► middleware ──► view
         │                                                                    │
         └── {"status", "headers", "content", "more_content"} ◄── response ◄──┘

A worker has a thread for this, in which everything runs synchronously. A request whose view, or
a middleware, is asynchronous goes to the worker's event loop (``djchan.async_views``). A response
that fits into one message goes out with what else the view has sent, when the delivery is
committed; a longer one goes part by part. Where that may have to wait for the client and needs no
thread, the event loop does it (``djchan.detached``).
"""

import asyncio
import functools
import inspect
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import aclosing, closing
from functools import cached_property, partial
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core import signals
from django.core.exceptions import BadRequest
from django.core.handlers.asgi import get_script_prefix
from django.core.handlers.base import BaseHandler
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseServerError,
)
from django.http.response import HttpResponseBase
from django.urls import get_resolver, set_script_prefix

from djchan.async_views import (
    WhileClientStays,
    answer,
    contents_of,
    has_async_middleware,
    has_async_views,
    is_for_async_view,
    is_without_content,
    send_content,
    send_response,
)
from djchan.detached import Detached, NoDisk, detach, refusal
from djchan.exceptions import (
    ChannelFull,
    Fenced,
    ProcessGone,
    RequestAborted,
    RequestTimeout,
    ResponseLater,
)
from djchan.log import escaping, fields_of
from djchan.message import Message
from djchan.request import AsgiRequest, scope_of

__all__ = ["AsgiHandler", "AsgiRequest", "ViewConsumer"]

logger = escaping(logging.getLogger(__name__))
# Where projects listen for what goes wrong with a request, whatever serves it.
request_logger = logging.getLogger("django.request")

CHUNK_SIZE = 512 * 1024  # Bytes of content in one message.
_FULL_PAUSE = 0.05  # Seconds until a part is sent again that a reply channel had no room for.

Part = dict[str, Any]


class AsgiHandler(BaseHandler):
    """Answers messages with responses: one for the life of a process, used by all threads."""

    request_class = AsgiRequest
    chunk_size = CHUNK_SIZE

    def __init__(self) -> None:
        super().__init__()
        self.load_middleware()

    def __call__(self, message: Message) -> Generator[Part, None, None]:
        """Yield the response to ``message`` part by part, nothing if it comes later or never.

        Close the generator when the rest is not wanted any more: the response is closed then.
        """
        with self.responding(message) as response:
            if response is not None:
                yield from self.parts_of(message, response)

    def responding(self, message: Message) -> "Responding":
        """``with handler.responding(message) as response``; None: nothing is to be sent."""
        set_script_prefix(get_script_prefix(message.content))
        try:
            request, unread = self.read(message)
        except RequestAborted:
            return Responding(None)
        scope = scope_of(message.content, errors="replace") if request is None else request.scope
        signals.request_started.send(sender=self.__class__, scope=scope, message=message)
        response: Any = unread if request is None else self._respond(request)
        if response is None:
            signals.request_finished.send(sender=self.__class__)
            return Responding(None)
        response._handler_class = self.__class__
        if isinstance(response, FileResponse):
            response.block_size = CHUNK_SIZE
        return Responding(response, promised=request is not None and request.promised)

    def parts_of(self, message: Message, response: HttpResponseBase) -> Generator[Part, None, None]:
        """Yield the response as messages; without its content, where none may be sent."""
        if is_without_content(message.content, response):
            yield self.encode_head(response)
        else:
            yield from self.encode_response(response)

    def only_part(self, response: HttpResponseBase, limit: int) -> Part | None:
        """The message of a response of at most ``limit`` bytes; None: it may be several."""
        if response.streaming or not self._encodes_as_we_do:
            return None
        assert isinstance(response, HttpResponse)
        content = response.content
        if len(content) > limit or len(content) > self.chunk_size:
            return None
        return {**self.start_of(response), "content": content, "more_content": False}

    def detach(self, response: HttpResponseBase) -> Detached | None:
        """The content of a large response, which an event loop then sends. Raises NoDisk."""
        return detach(response) if self._encodes_as_we_do else None

    @cached_property
    def _encodes_as_we_do(self) -> bool:
        """Whether no subclass makes messages of a response in a way of its own."""
        kind = type(self)
        return kind.parts_of is AsgiHandler.parts_of and all(
            getattr(kind, name).__func__ is getattr(AsgiHandler, name).__func__
            for name in ("encode_response", "chunk_bytes")
        )

    def read(self, message: Message) -> tuple[AsgiRequest | None, HttpResponse | None]:
        """The request in a message, or the response to an unreadable one."""
        try:
            return self.request_class(message), None
        except RequestTimeout as timeout:
            request_logger.warning("%s", timeout, extra={"status_code": 408})
            body = "408 Request Timeout (upload too slow)"
            return None, HttpResponse(body, status=408, content_type="text/plain")
        except (ValueError, BadRequest) as error:
            # Among them UnicodeDecodeError; a Content-Type of nonsense is a ValueError in
            # Django 5.2, a BadRequest in 6.
            # No traceback: it is the client's fault.
            request_logger.warning(
                "Bad Request (%s)", type(error).__name__, extra={"status_code": 400}
            )
            return None, HttpResponseBadRequest()

    def _respond(self, request: AsgiRequest) -> HttpResponseBase | None:
        """The response to a request; None: it comes later."""
        try:
            return self.get_response(request)
        except ResponseLater:
            # From a get_response of a subclass's own.
            request.close()
            return None
        except Exception as error:
            if settings.DEBUG_PROPAGATE_EXCEPTIONS:
                raise
            return self.last_resort(request, error)

    def last_resort(self, request: AsgiRequest, error: Exception) -> HttpResponse:
        """The response when the project's error handler has failed, too.

        Nobody is above to tell the client.
        """
        request_logger.error(
            "No response could be made for %s",
            request.path,
            exc_info=error,
            extra={"status_code": 500},
        )
        request.close()
        trace = "".join(traceback.format_exception(error))
        text = trace if settings.DEBUG else "Internal Server Error"
        return HttpResponseServerError(text, content_type="text/plain")

    # Django turns an exception into a response within the middleware. ResponseLater must not
    # become an error there, so it becomes a response that is never sent: 202, for 200 would
    # be cached.

    def process_exception_by_middleware(self, exception: Exception, request: HttpRequest) -> Any:
        if isinstance(exception, ResponseLater) and isinstance(request, AsgiRequest):
            request.promised = True
            return HttpResponse(status=202)
        return super().process_exception_by_middleware(exception, request)

    def make_view_atomic(self, view: Callable[..., Any]) -> Callable[..., Any]:
        atomic = super().make_view_atomic(view)
        if atomic is view or inspect.iscoroutinefunction(view):
            return atomic

        # A promise is no failure: within ATOMIC_REQUESTS the view's rows are kept.
        @functools.wraps(view)
        def promising(request: HttpRequest, *args: object, **kwargs: object) -> Any:
            try:
                return view(request, *args, **kwargs)
            except ResponseLater as promise:
                return self.process_exception_by_middleware(promise, request)

        return super().make_view_atomic(promising)

    @classmethod
    def encode_response(cls, response: Any) -> Iterator[Part]:
        """Yield a response as messages for a reply channel; only the first has a status."""
        part = cls.start_of(response)
        if response.streaming:
            with closing(_stream(response)) as stream:
                for data in stream:
                    for chunk, _ in cls.chunk_bytes(data):
                        yield {**part, "content": chunk, "more_content": True}
                        part = {}
            yield {**part, "more_content": False}
        else:
            for chunk, last in cls.chunk_bytes(response.content):
                yield {**part, "content": chunk, "more_content": not last}
                part = {}

    @classmethod
    def encode_head(cls, response: HttpResponseBase) -> Part:
        """A response that ends with its headers: its content is not asked for."""
        return {**cls.start_of(response), "content": b"", "more_content": False}

    @classmethod
    def start_of(cls, response: Any) -> Part:
        """Status and headers. Raises ValueError for what no response can have."""
        if not 200 <= response.status_code <= 599:
            raise ValueError(
                f"A view returned a response with status {response.status_code}. A final response "
                "has one from 200 to 599."
            )
        headers = [
            (name.encode("ascii"), value.encode("latin-1")) for name, value in response.items()
        ]
        headers += [
            (b"Set-Cookie", cookie.OutputString().encode("ascii"))
            for cookie in response.cookies.values()
        ]
        return {"status": response.status_code, "headers": headers}

    @classmethod
    def chunk_bytes(cls, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """Yield ``data`` in pieces of at most ``chunk_size``, each with whether it is the last."""
        if len(data) <= cls.chunk_size:
            yield data, True
            return
        for start in range(0, len(data), cls.chunk_size):
            end = start + cls.chunk_size
            yield data[start:end], end >= len(data)


class Responding:
    """A response that is closed when the block is left, unless ``leave_open`` was called.

    A class, and no generator: this is done for each request.
    """

    __slots__ = ("_promised", "_response")

    def __init__(self, response: HttpResponseBase | None, *, promised: bool = False) -> None:
        self._response = response
        self._promised = promised

    def __enter__(self) -> HttpResponseBase | None:
        return None if self._promised else self._response

    def __exit__(self, *exc: object) -> None:
        if self._response is not None:
            self._response.close()

    def leave_open(self) -> None:
        """Whoever calls this closes the response."""
        self._response = None


class ViewConsumer:
    """The consumer that hands ``http.request`` messages to Django's views.

    When it raises, the interface answers: with a 500, or by cutting what has begun.
    """

    handler_class: type[AsgiHandler] = AsgiHandler
    any_host = True  # Django's request.get_host() compares it with ALLOWED_HOSTS.
    full_wait = 10.0  # Seconds that a part waits for room in a reply channel that is none of ours.

    def __init__(self) -> None:
        self.handler = self.handler_class()
        self._async_middleware = has_async_middleware()
        self._urlconfs: dict[object, bool] = {}  # Each with whether it has asynchronous views.

    def __call__(self, message: Message, **kwargs: object) -> Awaitable[None] | None:
        """Answer ``message``. What needs no thread while its client is slow is sent when the
        return value is awaited: an asynchronous stream, a large page, a file."""
        content = None
        responding = self.handler.responding(message)
        with responding as response:
            if response is None:
                return None
            if not is_without_content(message.content, response):
                only = self.handler.only_part(response, _limit_of(message))
                if only is not None:
                    message.reply_channel.send(only)
                    return None
                if getattr(response, "is_async", False):
                    responding.leave_open()
                    return self._stream(message, response)
                try:
                    content = self.handler.detach(response)
                except NoDisk as error:
                    response = refusal(error)
                if content is not None:
                    return self._send_content(message, self.handler.start_of(response), content)
            with closing(self.handler.parts_of(message, response)) as parts:
                for number, part in enumerate(_fitting(message, parts)):
                    if number == 0 and not part["more_content"]:
                        # The whole response, so it can wait for the commit.
                        message.reply_channel.send(part)
                    elif not self._send_now(message, part):
                        break
        return None

    async def _stream(self, message: Message, response: HttpResponseBase) -> None:
        try:
            async with WhileClientStays():
                await send_response(self.handler, response, partial(self._asend, message))
        finally:
            await sync_to_async(response.close)()

    async def _send_content(self, message: Message, start: Part, content: Detached) -> None:
        async with WhileClientStays():
            await send_content(self.handler, start, content, partial(self._asend, message))

    def on_loop(self, message: Message) -> Callable[..., Awaitable[None]] | None:
        """The consumer for ``message`` on an event loop; None: this one answers, in a thread."""
        if type(self).__call__ is not ViewConsumer.__call__ or not self._is_async_capable:
            return None
        try:
            if self._async_middleware or (
                self._has_async_views() and is_for_async_view(message.content)
            ):
                return self.answer
        except Exception as error:
            # The thread meets it again, where Django makes a response of it.
            logger.debug("No view could be found for %s: %s", message, error)
        return None

    async def answer(self, message: Message, **kwargs: object) -> None:
        """Answer ``message`` on the running event loop."""
        send = partial(self._asend, message)
        await answer(self._async_handler, message, send, sender=self.handler_class)

    @cached_property
    def _async_handler(self) -> AsgiHandler:
        handler = self.handler_class()
        handler.load_middleware(is_async=True)
        return handler

    @property
    def _is_async_capable(self) -> bool:
        """Whether a handler that answers some requests itself does so on an event loop, too."""
        kind = self.handler_class
        return (
            kind.get_response is AsgiHandler.get_response
            or kind.get_response_async is not AsgiHandler.get_response_async
        )

    def _has_async_views(self) -> bool:
        urlconf = settings.ROOT_URLCONF
        found = self._urlconfs.get(urlconf)
        if found is None:
            found = self._urlconfs[urlconf] = has_async_views(get_resolver())
        return found

    async def _asend(self, message: Message, part: Part) -> bool:
        """Send a part of a response, as a thread does."""
        for piece in _fitting(message, [part]):
            if "status" in piece and not piece["more_content"]:
                await message.reply_channel.asend(piece)
            elif not await self._asend_now(message, piece):
                return False
        return True

    async def _asend_now(self, message: Message, part: Part) -> bool:
        """``_send_now`` for an event loop. ``outbox.client_left`` says when to stop before that."""
        deadline = time.monotonic() + self.full_wait
        while True:
            try:
                await message.reply_channel.asend(part, immediately=True)
            except (ProcessGone, Fenced, ChannelFull) as error:
                if not self._is_worth_waiting(message, error, deadline):
                    return False
                await asyncio.sleep(_FULL_PAUSE)
            else:
                return True

    def _send_now(self, message: Message, part: Part) -> bool:
        """Send a part of a response; False when its client has left.

        It waits until the client has taken enough of those before it.
        """
        deadline = time.monotonic() + self.full_wait
        while True:
            try:
                message.reply_channel.send(part, immediately=True)
            except (ProcessGone, Fenced, ChannelFull) as error:
                if not self._is_worth_waiting(message, error, deadline):
                    return False
                time.sleep(_FULL_PAUSE)
            else:
                return True

    def _is_worth_waiting(self, message: Message, error: Exception, deadline: float) -> bool:
        """Whether a part that could not be sent is to be sent again. The log says why not."""
        if not isinstance(error, ChannelFull):
            logger.debug("The response for %s is not wanted: %s", message.get("path"), error)
            return False
        if time.monotonic() < deadline:
            return True
        logger.warning(
            "The response for %s is cut: %s had no room for %s seconds (ViewConsumer.full_wait).",
            message.get("path"),
            message.reply_channel.name,
            self.full_wait,
            extra=fields_of(message),
        )
        return False


def _limit_of(message: Message) -> int:
    """Bytes of content that fit into a message: headers need some of it, too."""
    # A layer of a project's own may have no limit.
    return int(getattr(message.channel_layer, "max_message_size", 2 * CHUNK_SIZE)) // 2


def _fitting(message: Message, parts: Iterable[Part]) -> Iterator[Part]:
    """``parts``, of which those that are too large for the layer are several."""
    limit = _limit_of(message)
    for part in parts:
        content = part.get("content", b"")
        if len(content) <= limit:
            yield part
            continue
        head = {
            name: value for name, value in part.items() if name == "status" or name == "headers"
        }
        for start in range(0, len(content), limit):
            end = start + limit
            more = part["more_content"] or end < len(content)
            yield {**head, "content": content[start:end], "more_content": more}
            head = {}


def _stream(response: Any) -> Generator[bytes, None, None]:
    """The parts of a streaming response, one by one also when its iterator is asynchronous.

    Django, asked for them synchronously, would collect all of an asynchronous one first.
    """
    if not getattr(response, "is_async", False):
        yield from response
        return
    # One loop and one task for all of it. The loop stands still between two steps.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        queue: asyncio.Queue[bytes] = asyncio.Queue(1)
        producing = runner.get_loop().create_task(_produce(response, queue))
        while (part := runner.run(_next_part(queue, producing))) is not None:
            yield part


async def _produce(response: HttpResponseBase, queue: "asyncio.Queue[bytes]") -> None:
    async with aclosing(contents_of(response)) as contents:
        async for content in contents:
            await queue.put(content)


async def _next_part(
    queue: "asyncio.Queue[bytes]", producing: "asyncio.Task[None]"
) -> bytes | None:
    getting = asyncio.ensure_future(queue.get())
    await asyncio.wait([getting, producing], return_when=asyncio.FIRST_COMPLETED)
    if getting.done():
        return getting.result()
    getting.cancel()
    producing.result()  # Raises what the iterator raised.
    return None
