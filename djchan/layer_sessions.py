"""Channel sessions that are kept in the channel layer: no database, nothing to clean up.

From ``djchan.session_engines``, for the connection behind a reply channel; on to the layer of
its message, which keeps one value for each, whichever workers come and go::

    load ───────────────────► recall: kept for as long again     one round trip
    save ───────────────────► keep, if it is there still         one round trip
    save(must_create=True) ─► keep, if nothing is there          one round trip

This is an engine as Django's, and the default of CHANNEL_SESSION_ENGINE. The data are in
Django's own form: signed, and made by SESSION_SERIALIZER.
"""

from typing import Any, Literal

from django.conf import settings
from django.contrib.sessions.backends.base import (
    VALID_KEY_CHARS,
    CreateError,
    SessionBase,
    UpdateError,
)
from django.utils.crypto import get_random_string

from djchan import DEFAULT_CHANNEL_LAYER
from djchan.asgi import configured_layer
from djchan.exceptions import MessageTooLarge
from djchan.layers.base import BaseChannelLayer

# Seconds that a session outlives its connection: work that the connection has left behind
# on custom channels may want it.
AFTERLIFE = 3600


class SessionStore(SessionBase):
    """A session in ``channel_layer`` (what is no layer, as None: the default one).

    ``is_ending``: its connection is over, or will be soon. ``found``: whether the last load
    has found it; None before.
    """

    channel_layer: Any = None
    is_ending = False
    found: bool | None = None

    def load(self) -> dict[str, Any]:
        layer, key = self._layer(), self.session_key
        value = layer.recall(key, ttl=self._seconds(layer)) if key else None
        self.found = value is not None
        if value is None:
            self._session_key = None
            return {}
        expires, _, data = value.partition(b" ")
        # What cannot be read is an empty session, as with Django's engines.
        if not expires.isdigit() or 0 < int(expires) <= layer.now():
            return {}
        decoded: dict[str, Any] = self.decode(data.decode("latin-1"))
        return decoded

    def save(self, must_create: bool = False) -> None:
        if self.session_key is None:
            return self.create()
        layer, key = self._layer(), self.session_key
        data = self._get_session(no_load=must_create)  # type: ignore[attr-defined]  # No stub.
        value = f"{self._expires(data, layer.now())} {self.encode(data)}".encode()
        must: Literal["create", "exist"] = "create" if must_create else "exist"
        seconds = self._seconds(layer)
        try:
            kept = layer.keep(key, value, ttl=seconds, must=must)
            if not kept and must_create and layer.recall(key) is None:
                # It is there, and encrypted with a key of the layer's that is gone.
                kept = layer.keep(key, value, ttl=seconds)
        except MessageTooLarge as error:
            raise MessageTooLarge(
                f"This channel session cannot be saved. {error} Keep large data elsewhere and "
                "their key in the session, or set CHANNEL_SESSION_ENGINE to an engine of Django's."
            ) from error
        if not kept:
            raise CreateError if must_create else UpdateError

    def exists(self, session_key: str) -> bool:
        return bool(session_key) and self._layer().recall(session_key) is not None

    def create(self) -> None:
        while True:
            self._session_key = get_random_string(32, VALID_KEY_CHARS)
            try:
                self.save(must_create=True)
            except CreateError:
                continue
            self.modified = True
            return

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key is not None:
            self._layer().drop(key)

    @classmethod
    def clear_expired(cls) -> None:
        """The layer does it."""

    def _layer(self) -> BaseChannelLayer:
        layer = self.channel_layer
        for known in (layer, getattr(layer, "channel_layer", None)):
            if isinstance(known, BaseChannelLayer):
                return known
        return configured_layer(DEFAULT_CHANNEL_LAYER).channel_layer

    def _seconds(self, layer: BaseChannelLayer) -> int:
        """For how long it is kept from now on: while its connection may live, and longer."""
        if self.is_ending:
            return AFTERLIFE
        return (layer.group_expiry or settings.SESSION_COOKIE_AGE) + AFTERLIFE

    def _expires(self, data: dict[str, Any], now: int) -> int:
        """When set_expiry() lets it end (ms, the layer's clock); 0: it does not."""
        expiry = data.get("_session_expiry")
        return now + int(1000 * self.get_expiry_age(expiry=expiry)) if expiry else 0
