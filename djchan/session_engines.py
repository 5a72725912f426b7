"""Where a session is kept, and what makes it one connection's.

From ``djchan.sessions``, with the name of a reply channel or the key in a cookie; on to
``djchan.layer_sessions``, or to the engine that CHANNEL_SESSION_ENGINE or SESSION_ENGINE names,
which is one of Django's or like it::

    reply channel ──► "chn" + 29 digits of its SHA-1 ──► ChannelSession over the engine's own
    cookie ─────────► its key ─────────────────────────► the engine's own
"""

import functools
import hashlib
from collections.abc import Mapping
from importlib import import_module
from types import NoneType
from typing import Any, cast

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.sessions.backends import cache, signed_cookies
from django.contrib.sessions.backends.base import CreateError, SessionBase
from django.core.exceptions import ImproperlyConfigured

from djchan import layer_sessions
from djchan.conf import DEFAULTS, setting
from djchan.exceptions import (
    BrokerRefused,
    BrokerUnavailable,
    ConsumeLater,
    SessionUnavailable,
)
from djchan.outbox import check_lease

_CHANNEL_ENGINE = "CHANNEL_SESSION_ENGINE"
_ALWAYS_SAVED = (str, int, bool, NoneType)  # By any serializer; there is no need to try.


class ChannelSession(SessionBase):
    """What every engine's session has to be besides, to belong to a connection.

    Its key is the connection's for good, and no client ever sees it: so a login, a logout or
    a rotated SECRET_KEY gives it no new one, which nobody would find again.

    ``found``: whether the last load has found it; None where the engine does not tell.
    """

    found: bool | None = None

    def __init__(self, session_key: str) -> None:
        super().__init__(session_key)
        self._own_key = session_key
        self._stored: bool | None = None  # None: it was not looked for yet.

    @property
    def is_loaded(self) -> bool:
        return hasattr(self, "_session_cache")

    # What cannot be saved is refused on the line that sets it, not at the consumer's end.

    def __setitem__(self, key: str, value: object) -> None:
        self._check({key: value})
        super().__setitem__(key, value)

    def update(self, dict_: Mapping[str, object]) -> None:  # type: ignore[override]
        values = dict(dict_)
        self._check(values)
        super().update(values)

    async def aset(self, key: str, value: object) -> None:
        self._check({key: value})
        await super().aset(key, value)

    async def aupdate(self, dict_: Mapping[str, object]) -> None:  # type: ignore[override]
        values = dict(dict_)
        self._check(values)
        await super().aupdate(values)

    def encode(self, session_dict: dict[str, object]) -> str:
        try:
            return super().encode(session_dict)
        except TypeError:
            self._check(session_dict)  # Something inside a value was changed after it was set.
            raise

    def _check(self, values: Mapping[str, object]) -> None:
        """Raise TypeError, with the key, for a value that SESSION_SERIALIZER does not take.

        A cache takes whatever its backend does.
        """
        if isinstance(self, cache.SessionStore):
            return
        for key, value in values.items():
            if type(value) in _ALWAYS_SAVED:
                continue
            try:
                self.serializer().dumps({key: value})
            except TypeError as error:
                raise TypeError(
                    f"channel_session[{key!r}] cannot be saved: {error}. A channel session holds "
                    f"what SESSION_SERIALIZER ({settings.SESSION_SERIALIZER}) takes, as Django's "
                    "sessions do. For a UUID, a Decimal or a datetime, save its str()."
                ) from error

    def open(self) -> None:
        """Read it, and make it if it is new.

        Raises ConsumeLater if somebody else just did, and SessionUnavailable while the layer has
        no answer: the consumer has not begun.
        """
        try:
            self.keys()
            if not self._is_stored():
                self.save(must_create=True)
        except CreateError as error:
            raise ConsumeLater from error
        except (BrokerUnavailable, BrokerRefused) as error:
            raise SessionUnavailable(f"A channel session cannot be read. {error}") from error

    def load(self) -> dict[str, Any]:
        data: dict[str, Any] = super().load()
        # Django's engines forget the key of what they do not find.
        self._session_key = self._own_key
        if data:
            self._stored = True
        elif self.found is not None:
            self._stored = self.found
        return data

    def create(self) -> None:
        self._session_key = self._own_key
        try:
            self.save(must_create=True)
        except CreateError:
            # Another consumer of this connection made it meanwhile; the last to save counts.
            self._stored = True
            self.save()
        self.modified = True

    def save(self, must_create: bool = False) -> None:
        if not must_create and self.session_key is not None and not self._is_stored():
            return self.create()
        self._check_lease()
        super().save(must_create)
        self._stored = True

    def delete(self, session_key: str | None = None) -> None:
        self._check_lease()
        super().delete(session_key)

    def cycle_key(self) -> None:
        self.modified = True

    def _check_lease(self) -> None:
        """A delivery that is somebody else's by now saves nothing. Raises Fenced.

        Sessions in the layer need no look: they are saved by the commit, which is refused.
        """
        if not isinstance(self, layer_sessions.SessionStore):
            check_lease()

    def _is_stored(self) -> bool:
        if self._stored is None:
            self._stored = self.exists(self._own_key)
        return self._stored

    # An engine's own would go past the above.

    async def aload(self) -> dict[str, Any]:
        return await sync_to_async(self.load)()

    async def acreate(self) -> None:
        await sync_to_async(self.create)()

    async def asave(self, must_create: bool = False) -> None:
        await sync_to_async(self.save)(must_create)

    async def acycle_key(self) -> None:
        self.cycle_key()


def session_of(
    reply_channel: str, *, channel_layer: object = None, is_ending: bool = False
) -> ChannelSession:
    """The session of the connection behind the channel of this name, not yet read.

    ``channel_layer``: that of the message; one kept in the layer is kept in this. ``is_ending``:
    the connection is over, or will be soon.
    """
    # The formula of Channels 1.x, so that both find the same session.
    digest = hashlib.sha1(reply_channel.encode(), usedforsecurity=False).hexdigest()
    store = _store(_CHANNEL_ENGINE, setting(_CHANNEL_ENGINE) or DEFAULTS[_CHANNEL_ENGINE])
    if issubclass(store, signed_cookies.SessionStore):
        raise ValueError(
            f"{_CHANNEL_ENGINE} keeps its sessions in a cookie, and a WebSocket cannot set one: "
            "take it out, for sessions in the channel layer, or choose another engine, as "
            f'{_CHANNEL_ENGINE} = "django.contrib.sessions.backends.cache".'
        )
    session = _belonging(store)("chn" + digest[:29])
    if isinstance(session, layer_sessions.SessionStore):
        session.channel_layer, session.is_ending = channel_layer, is_ending
    return session


@functools.cache
def _belonging(store: type) -> type[ChannelSession]:
    # Named like the engine's: the name is part of the salt that its data is signed with.
    made = type(store.__name__, (ChannelSession, store), {"__qualname__": store.__qualname__})
    return cast(type[ChannelSession], made)


def http_session_of(key: str | None) -> Any:
    """The browser's session of this key, not yet read; None without one."""
    return _store("SESSION_ENGINE", settings.SESSION_ENGINE)(key) if key else None


def _store(name: str, engine: str) -> Any:
    """The class of an engine; ``name``: of the setting that says which."""
    try:
        return import_module(engine).SessionStore
    except (ImportError, AttributeError) as error:
        raise ImproperlyConfigured(
            f"{name} is {engine!r}, which cannot be used: {error}. It is the dotted path of a "
            'module with a SessionStore, as "django.contrib.sessions.backends.db".'
        ) from error
