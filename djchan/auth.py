"""The user of a message.

From the project's decorators, around a consumer, through ``djchan.sessions``; on to Django's
``get_user`` and the consumer, as ``message.user``::

    @http_session_user               the browser's session
    @channel_session_user            the connection's session
    @channel_session_user_from_http  the browser's, which is copied to the connection's: for
                                     websocket.connect, with the one above on the others
    @channel_and_http_session_user_from_http
                                     the browser's on all messages of a connection

Who is logged out in the browser stays the user of a connection that was copied; who changes
the password is logged out everywhere.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from django.contrib import auth

from djchan.message import Message
from djchan.sessions import (
    C,
    channel_and_http_session,
    channel_session,
    decorated,
    having_both_sessions,
    having_channel_session,
    having_http_session,
    http_session,
)

# Projects import the sessions from here as well.
__all__ = [
    "channel_and_http_session",
    "channel_and_http_session_user_from_http",
    "channel_session",
    "channel_session_user",
    "channel_session_user_from_http",
    "http_session",
    "http_session_user",
    "transfer_user",
]

_KEYS = (auth.BACKEND_SESSION_KEY, auth.SESSION_KEY, auth.HASH_SESSION_KEY)


def transfer_user(from_session: Any, to_session: Any) -> None:
    """Copy who is logged in; nothing if nobody is, or only half."""
    if all(key in from_session for key in _KEYS):
        for key in _KEYS:
            if to_session.get(key) != from_session[key]:
                to_session[key] = from_session[key]


def channel_session_user(func: C) -> C:
    """Give the consumer ``message.user`` by the channel session, and that session."""
    return decorated(func, "channel_session_user", _having_channel_user)


def http_session_user(func: C) -> C:
    """Give the consumer ``message.user`` by the HTTP session (anonymous without one), and it."""
    return decorated(func, "http_session_user", _having_http_user)


def channel_session_user_from_http(func: C) -> C:
    """Give the consumer ``message.user`` by the HTTP session, copied to the channel session."""
    return decorated(func, "channel_session_user_from_http", _having_copied_user)


def channel_and_http_session_user_from_http(func: C) -> C:
    """The same, with the HTTP session on all messages of a connection, as it is then."""
    return decorated(func, "channel_and_http_session_user_from_http", _having_followed_user)


@contextmanager
def _having_channel_user(message: Message) -> Iterator[None]:
    with having_channel_session(message):
        message.user = _user(message.channel_session)
        yield


@contextmanager
def _having_http_user(message: Message) -> Iterator[None]:
    with having_http_session(message):
        message.user = _user(message.http_session)
        yield


@contextmanager
def _having_copied_user(message: Message) -> Iterator[None]:
    with having_http_session(message), having_channel_session(message):
        message.user = _user(message.http_session)
        _copy_user(message)
        yield


@contextmanager
def _having_followed_user(message: Message) -> Iterator[None]:
    with having_both_sessions(message):
        message.user = _user(message.http_session)
        _copy_user(message)
        yield


def _copy_user(message: Message) -> None:
    if message.http_session is not None:
        transfer_user(message.http_session, message.channel_session)


def _user(session: Any) -> Any:
    # An empty session is an anonymous user's; Django knows the class of that.
    request: Any = SimpleNamespace(session={} if session is None else _KeepingItsKey(session))
    return auth.get_user(request)


class _KeepingItsKey:
    """A session as ``get_user`` uses it, but for the new key.

    With a rotated SECRET_KEY (SECRET_KEY_FALLBACKS) Django gives a session a new one. The
    browser could not be told here, and would be logged out.
    """

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getitem__(self, key: str) -> Any:
        return self._session[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._session[key] = value

    def get(self, key: str, default: Any = None) -> Any:
        return self._session.get(key, default)

    def flush(self) -> None:
        self._session.flush()

    def cycle_key(self) -> None:
        pass
