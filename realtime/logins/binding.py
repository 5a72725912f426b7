"""Bind a WebSocket to the login that it was opened with: when that ends, it is closed.

One line on the consumer of ``websocket.connect``, in any app::

    @bound_to_login
    def ws_connect(message):
        message.reply_channel.send({"accept": True})    # and message.user is somebody

From there on to two groups, and to ``realtime.logins.looks``, which closes them::

    login-<digest of the session's key>    the sockets of one login, in all its tabs
    login-user-<id>                        those of all logins of this user
"""

import functools
from collections.abc import Callable
from typing import Any

from djchan import Channel, Group
from djchan.auth import http_session_user
from djchan.message import Message
from realtime.logins import reasons
from realtime.logins.models import Login, digest_of

LOOK = "logins.look"  # The custom channel of realtime.logins.consumers.look_again.


def login_group(digest: str) -> Group:
    return Group(f"login-{digest}")


def user_group(user_id: Any) -> Group:
    """Closed when the account is deactivated; sockets without a session may join it, too."""
    return Group(f"login-user-{user_id}")


def bound_to_login(consumer: Callable[..., Any]) -> Callable[..., Any]:
    """Run the connect consumer for who is signed in, and close its socket with the login.

    Others get the code 4401, and the consumer is not run. ``message.user`` and
    ``message.http_session`` are there, as with ``http_session_user``. The consumer may be a
    function or a method, and ``async def``.
    """

    @http_session_user
    @functools.wraps(consumer)
    def connect(*args: Any, **kwargs: Any) -> Any:
        message = next(arg for arg in args[:2] if isinstance(arg, Message))  # after self
        if not message.user.is_authenticated:
            # Accepted first: a browser tells its page no code of a refused handshake.
            message.reply_channel.send({"accept": True, "close": reasons.ANONYMOUS})
            return None
        close_with_login(message)
        return consumer(*args, **kwargs)

    return connect


def close_with_login(message: Message) -> None:
    """Have the socket that connects closed with the login of ``message.user``, who is signed in.

    For sockets that are for everybody: ``bound_to_login`` calls this for the others.
    """
    login = remember(message.http_session.session_key, message.user)
    login_group(login.digest).add(message.reply_channel)
    user_group(message.user.pk).add(message.reply_channel)
    # The login may have ended since it was read, when this socket was in no group yet. This
    # message leaves together with the adds, so the look comes after them.
    Channel(LOOK).send({"login": login.digest})


def remember(session_key: str, user: Any) -> Login:
    login, _ = Login.objects.get_or_create(
        digest=digest_of(session_key), defaults={"session_key": session_key, "user": user}
    )
    return login
