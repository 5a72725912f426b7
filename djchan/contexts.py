"""A context of its own for each message, so that nothing a consumer sets reaches the next one.

``djchan.dispatch`` runs each consumer in one. Language, time zone, script prefix,
URLconf, the decimal context, Sentry's scopes and every other ContextVar begin anew with it:
what Django keeps in asgiref's Locals lives in the context, too. Database connections belong to
their thread; ``djchan.databases`` looks after those.
"""

import contextvars
import logging
import os
import threading
from collections.abc import Coroutine, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from asgiref.sync import SyncToAsync
from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.cache import caches
from django.core.files.storage import default_storage, storages
from django.urls import set_script_prefix
from django.utils.functional import empty

from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))

T = TypeVar("T")

# Channels whose messages an interface makes: their root_path is its own, no client's.
_PROTOCOLS = ("http.", "websocket.")

# Their base URLs are made of STATIC_URL and MEDIA_URL, once.
_STORAGES: dict[str, Any] = {"staticfiles": staticfiles_storage, "default": default_storage}


class _Base(threading.local):
    """The context in which the messages of one thread begin: only its clients of caches.

    Django keeps caches in the context as well. A new one for each message would be a new
    connection for each message, where a thread has always kept its own.
    """

    context: contextvars.Context | None = None


_of_thread = _Base()


def fresh(channel: str, content: Mapping[str, object]) -> contextvars.Context:
    """A context for a message that is run in this thread."""
    base = _of_thread.context
    if base is None:
        base = _of_thread.context = contextvars.Context()
        base.run(_make_caches)
    context = base.copy()
    prefix = _script_prefix(channel, content)
    if prefix:
        context.run(set_script_prefix, prefix)
    return context


def fresh_for_task(channel: str, content: Mapping[str, object]) -> contextvars.Context:
    """A context for a message that is run on an event loop, beside others."""
    context = contextvars.Context()
    prefix = _script_prefix(channel, content)
    if prefix:
        context.run(set_script_prefix, prefix)
    return context


class within(Generic[T]):
    """``await within(context, coroutine)``: await ``coroutine`` in ``context``.

    As a part of the task that awaits this. A task of its own would have a context of its own as
    well, but whoever cancels or inspects the running task would have two of them to deal with.
    ``cr_await``: as a coroutine has it, for those who walk down a task's stack.
    """

    __slots__ = ("_context", "cr_await")

    def __init__(self, context: contextvars.Context, coroutine: Coroutine[object, None, T]) -> None:
        self._context = context
        self.cr_await = coroutine

    def __await__(self) -> Generator[Any, Any, T]:
        return self  # type: ignore[return-value]  # The protocol of a generator, no more.

    def __next__(self) -> object:
        return self._context.run(self.cr_await.send, None)

    def send(self, value: Any) -> Any:
        return self._context.run(self.cr_await.send, value)

    def throw(self, *error: Any) -> Any:
        return self._context.run(self.cr_await.throw, *error)

    def close(self) -> None:
        self._context.run(self.cr_await.close)


def _script_prefix(channel: str, content: Mapping[str, object]) -> str:
    """FORCE_SCRIPT_NAME; else the root path of the interface that made the message."""
    forced = settings.FORCE_SCRIPT_NAME
    if forced:
        return str(forced)
    root_path = content.get("root_path")
    if not isinstance(root_path, str) or not root_path or not channel.startswith(_PROTOCOLS):
        return ""
    if _site.root_path is None:
        _site.begin(root_path)
    return root_path


class _Site:
    """The root path under which this process serves: the first that an interface sends."""

    def __init__(self) -> None:
        self.root_path: str | None = None
        self._lock = threading.Lock()

    def begin(self, root_path: str) -> None:
        """Let STATIC_URL and MEDIA_URL be made once more, when they are next read.

        Django keeps them for the life of the process, with the prefix of whoever read them
        first: that is a system check, or a message from no interface.
        """
        with self._lock:
            if self.root_path is not None:
                return
            for name in ("STATIC_URL", "MEDIA_URL"):
                settings.__dict__.pop(name, None)
            made: Any = storages
            for alias, lazy in _STORAGES.items():
                made._storages.pop(alias, None)
                lazy._wrapped = empty
            self.root_path = root_path


_site = _Site()


def _make_caches() -> None:
    for alias in caches:
        try:
            caches[alias]
        except Exception as error:
            # Code that uses it gets the same error.
            logger.debug("The cache %r cannot be made: %s", alias, error)


def _forked() -> None:
    """In a child: the thread of synchronous code is the parent's, and would never answer."""
    SyncToAsync.single_thread_executor = ThreadPoolExecutor(max_workers=1)


os.register_at_fork(after_in_child=_forked)
