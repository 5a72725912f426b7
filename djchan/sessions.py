"""Sessions for consumers: one that belongs to a connection, and the browser's own.

From the project's decorators, around a consumer; on to an engine of Django's sessions::

    @channel_session ──► the channel layer (or the engine of CHANNEL_SESSION_ENGINE), key
                         made of the reply channel
    @http_session    ──► engine of SESSION_ENGINE, key from the cookie of the handshake
            │
            └── message.channel_session, message.http_session ──► consumer ──► saved if changed

All of them take consumers that are functions, methods or ``async def``, in any order among
each other and the project's own. The sessions of an async consumer are read before it runs,
in a thread; those of others when they are asked for (a channel session: before).

A session that was deleted while its consumer ran is not brought back. One that its consumer
flushed, and then filled again, is kept under the same key.
"""

import functools
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, TypeVar, cast, overload

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError
from django.utils.functional import SimpleLazyObject, empty

from djchan import layer_sessions
from djchan.conf import setting
from djchan.exceptions import Fenced, NoReplyChannel
from djchan.handler import AsgiRequest
from djchan.log import escaping, fields_of
from djchan.message import Message
from djchan.outbox import check_lease
from djchan.session_engines import ChannelSession, http_session_of, session_of

logger = escaping(logging.getLogger(__name__))

C = TypeVar("C", bound=Callable[..., Any])
Having = Callable[[Message], AbstractContextManager[None]]

# Behind a message on these channels the connection is over, or will be soon.
_ENDING = frozenset({"websocket.disconnect", "http.request", "http.disconnect"})


def session_for_reply_channel(reply_channel: str, *, channel_layer: Any = None) -> Any:
    """The session of the connection behind the channel of this name, read from its engine.

    ``channel_layer``: the one that the connection came over, if it is not the default one.
    Raises ValueError for an engine that keeps its sessions in a cookie.
    """
    session = session_of(reply_channel, channel_layer=channel_layer)
    session.keys()
    return session


def channel_session(func: C) -> C:
    """Give the consumer ``message.channel_session``, one for the life of its connection.

    It is there for every message with a reply channel, on whatever channel. It is made at
    once, and saved when the consumer ends, also with an exception, if it was changed.

    Raises ValueError for a message without a reply channel.
    """
    return decorated(func, "channel_session", having_channel_session)


def http_session(func: C) -> C:
    """Give the consumer ``message.http_session``: that of the browser's cookie, or None.

    Only ``http.request`` and ``websocket.connect`` carry cookies. It is saved if it was
    changed and the consumer did not raise.

    Raises ValueError for a message that is not like a request.
    """
    return decorated(func, "http_session", having_http_session)


def channel_and_http_session(func: C) -> C:
    """Give the consumer both sessions; that of the browser on all messages of a connection.

    Its key is kept in the channel session under the name of the cookie.
    """
    return decorated(func, "channel_and_http_session", having_both_sessions)


@overload
def enforce_ordering(func: C, slight: bool = False) -> C: ...


@overload
def enforce_ordering(func: None = None, slight: bool = False) -> Callable[[C], C]: ...


def enforce_ordering(func: Any = None, slight: bool = False) -> Any:
    """Check that the messages of this consumer have an order.

    The connection keeps it: one message after the other, in order, on any number of workers.
    So this stores nothing, parks nothing, and stays behind nowhere when a consumer raises.
    ``message.channel_session`` is there and is read at its first use; an async consumer
    awaits its ``aget``, or has ``@channel_session`` as well.

    Raises ValueError for a message without an ``order``, and at once with ``slight``.
    """
    if slight:
        raise ValueError(
            "Remove slight=True from enforce_ordering: connect always comes first, and with or "
            "without this decorator the other messages of a connection come in order."
        )
    if func is None:
        return enforce_ordering
    return decorated(func, "enforce_ordering", _having_order, reads=False)


class OutOfTurn(Exception):
    """A message came before those in front of it, so its consumer was not run.

    Not in a site, where the interface keeps the order: a test can send what it likes.
    """


def wait_channel_name(reply_channel: str) -> str:
    """Where Channels 1.x parked what came out of order. Nothing waits there any more."""
    return f"__wait__.{reply_channel.replace('!', '?')}"


def requeue_messages(message: Message) -> None:
    """Send what was parked for a connection to where it came from."""
    layer = message.channel_layer
    reply_channel = _reply_channel(message, "requeue_messages")
    while True:
        _, content = layer.receive([wait_channel_name(reply_channel)])
        if content is None:
            return
        layer.send(content.pop("original_channel"), content)


# ------------------------------------------------------- around a consumer


@contextmanager
def having_channel_session(message: Message) -> Iterator[None]:
    """Let ``message`` have its channel session inside."""
    session = vars(message).get("channel_session")
    if session is None:
        session = _finding(message, "channel_session")()
    if isinstance(session, ChannelSession) and not session.is_loaded:
        session.open()
    message.channel_session = session
    try:
        yield
    finally:
        _save(session, message)


@contextmanager
def having_http_session(message: Message) -> Iterator[None]:
    """Let ``message`` have its HTTP session inside, or None."""
    session = vars(message).get("http_session")
    if session is not None:
        # Whoever gave it decides what an exception means; what was changed here is saved.
        try:
            yield
        finally:
            _save(session, message)
        return
    session = message.http_session = http_session_of(_session_key(message))
    yield
    _save(session, message)


@contextmanager
def having_both_sessions(message: Message) -> Iterator[None]:
    """Let ``message`` have both inside; the HTTP session by the key that an earlier one had."""
    name = settings.SESSION_COOKIE_NAME
    with having_http_session(message), having_channel_session(message):
        again = None
        if message.http_session is None:
            again = message.http_session = http_session_of(message.channel_session.get(name))
        elif message.http_session.session_key not in (None, message.channel_session.get(name)):
            message.channel_session[name] = message.http_session.session_key
        yield
        _save(again, message)


@contextmanager
def _having_order(message: Message) -> Iterator[None]:
    if "order" not in message.content:
        raise ValueError(
            f"The message on {message.channel.name!r} has no order: enforce_ordering is for "
            "the consumers of websocket.connect, websocket.receive and websocket.disconnect."
        )
    if message.early:
        raise OutOfTurn
    session = vars(message).get("channel_session")
    if session is None:
        # Not even its key is computed for a consumer that does not ask for it.
        find = _finding(message, "enforce_ordering")
        session = message.channel_session = SimpleLazyObject(find)
    try:
        yield
    finally:
        _save(session, message)


def decorated(func: C, name: str, having: Having, *, reads: bool = True) -> C:
    """``func``, run inside ``having(message)``, at whose end sessions that changed are saved.

    ``name``: of the decorator, for errors. ``reads``: whether its begin asks an engine.
    """
    if iscoroutinefunction(func):

        @functools.wraps(func)
        async def on_loop(*args: Any, **kwargs: Any) -> Any:
            message = _message(args, name)
            async with _OnLoop(having(message), message, reads=reads):
                return await func(*args, **kwargs)

        return cast(C, on_loop)

    @functools.wraps(func)
    def in_thread(*args: Any, **kwargs: Any) -> Any:
        message = _message(args, name)
        with ExitStack() as stack:
            stack.enter_context(having(message))
            value = func(*args, **kwargs)
            if inspect.isawaitable(value):
                # Async behind a decorator of the project's that does not show it.
                return _finish(value, _OnLoop(stack.pop_all(), message, reads=reads))
            return value

    return cast(C, in_thread)


class _OnLoop:
    """What is around an async consumer; a thread does what asks an engine."""

    def __init__(
        self, context: AbstractContextManager[Any], message: Message, *, reads: bool
    ) -> None:
        self._context = context
        self._message = message
        self._reads = reads

    async def __aenter__(self) -> None:
        if self._reads:
            await sync_to_async(self._enter)()
        else:
            self._context.__enter__()

    def _enter(self) -> None:
        self._context.__enter__()
        session = vars(self._message).get("http_session")
        if session is not None:
            session.keys()  # Read here, for the consumer must not.

    async def __aexit__(self, *exc: Any) -> None:
        message = self._message
        sessions = (
            vars(message).get("channel_session"),
            vars(message).get("http_session"),
        )
        if any(_is_changed(session) for session in sessions):
            await sync_to_async(self._context.__exit__)(*exc)
        else:
            self._context.__exit__(*exc)


async def _finish(value: Awaitable[Any], entered: _OnLoop) -> Any:
    async with entered:
        return await value


def _message(args: tuple[Any, ...], name: str) -> Message:
    # The second is that of a method.
    for arg in args[:2]:
        if isinstance(arg, Message):
            return arg
    raise ValueError(
        f"{name} called without Message instance: it must be the first argument of a consumer "
        "(of a method: after self)."
    )


# ------------------------------------------------------ what a message says


def _reply_channel(message: Message, name: str) -> str:
    if not message.reply_channel:
        raise NoReplyChannel(
            f"{name} needs a message with a reply_channel, and the one on "
            f"{message.channel.name!r} has none. A message of your own can take that of the "
            'one it comes from along: {"reply_channel": message.reply_channel.name}.'
        )
    return message.reply_channel.name


def _finding(message: Message, name: str) -> Callable[[], ChannelSession]:
    """What makes the channel session of a message, when it is called."""
    return functools.partial(
        session_of,
        _reply_channel(message, name),
        channel_layer=message.channel_layer,
        is_ending=message.channel.name in _ENDING,
    )


def _session_key(message: Message) -> str | None:
    """The key that a handshake or request came with."""
    # For whoever makes a request of this message next, as Channels 1.x did.
    message.content.setdefault("method", "FAKE")
    # Without its body, which only the view may take off the layer.
    head = {**message.content, "body": b"", "body_channel": None}
    try:
        request = AsgiRequest(Message(head, message.channel.name, message.channel_layer))
        key = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        if key is None and setting("CHANNEL_SESSION_KEY_IN_QUERY"):
            key = request.GET.get("session_key")
    except Exception as error:
        raise ValueError(
            f"Cannot parse HTTP message on {message.channel.name!r} ({error!r}): http_session is "
            "for http.request and websocket.*, whose messages have a path."
        ) from error
    return key


def _is_changed(session: Any) -> bool:
    """Whether it is to be saved: it was changed, and has not been emptied for good."""
    if session is None or getattr(session, "_wrapped", None) is empty:
        return False  # In a SimpleLazyObject, nobody has asked for it.
    return session.modified and not session.is_empty()


def _save(session: Any, message: Message) -> None:
    if not _is_changed(session):
        return
    try:
        if not isinstance(session, ChannelSession):
            check_lease()
        session.save()
    except Fenced:
        logger.warning(
            "A session is not saved: the message of the consumer that changed it was handed to "
            "another worker before it was done.",
            extra=fields_of(message),
        )
    except layer_sessions.SessionChanged as error:
        logger.warning("%s", error, extra=fields_of(message))
    except UpdateError:
        logger.warning(
            "A session was deleted while a consumer ran that changed it (a logout elsewhere, "
            "or a cache that had no room): the changes are dropped.",
            extra=fields_of(message),
        )
    # An outer decorator does not save again what it has nothing to add to.
    session.modified = False
