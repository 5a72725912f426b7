"""Channel sessions that are kept in the channel layer: no database, nothing to clean up.

From ``djchan.session_engines``, for the connection behind a reply channel; on to the layer of
its message, which keeps one value for each, whichever workers come and go::

    load ──► recall: kept for as long again                      one round trip
    save ──► in a consumer: part of the commit, with what it sent, or not at all
             elsewhere: keep, if it is what was loaded still     one round trip

This is an engine as Django's, and the default of CHANNEL_SESSION_ENGINE. The data are in
Django's own form: signed, and made by SESSION_SERIALIZER. A consumer whose delivery was handed
to another worker saves nothing, as its commit is refused; a save that belongs to no delivery
compares versions instead.
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

from djchan import DEFAULT_CHANNEL_LAYER, outbox
from djchan.asgi import configured_layer
from djchan.exceptions import MessageTooLarge
from djchan.layers.base import BaseChannelLayer
from djchan.layers.operations import Drop, Keep, Kept

# Seconds that a session outlives its connection: work that the connection has left behind
# on custom channels may want it.
AFTERLIFE = 3600


class SessionChanged(UpdateError):
    """Somebody else saved this session after it was loaded; nothing was saved here."""


class SessionStore(SessionBase):
    """A session in ``channel_layer`` (what is no layer, as None: the default one).

    ``is_ending``: its connection is over, or will be soon. ``found``: whether the last load
    has found it; None before.
    """

    channel_layer: Any = None
    is_ending = False
    found: bool | None = None
    _version = 0  # Of what was loaded, or saved since; 0: not known.

    def load(self) -> dict[str, Any]:
        layer, key = self._layer(), self.session_key
        kept = self._read(layer, key, ttl=self._seconds(layer)) if key else None
        self.found = kept is not None
        if kept is None:
            self._session_key = None
            return {}
        self._version = kept.version
        expires, _, data = kept.value.partition(b" ")
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
        version = 0 if must_create else self._version
        running = outbox.of_delivery(layer)
        try:
            effect = layer.keep_effect(
                key, value, ttl=self._seconds(layer), must=must, version=version
            )
        except MessageTooLarge as error:
            raise MessageTooLarge(
                f"This channel session cannot be saved. {error} Keep large data elsewhere and "
                "their key in the session, or set CHANNEL_SESSION_ENGINE to an engine of Django's."
            ) from error
        if running is None:
            self._keep(layer, effect)
            return
        before = running.uncommitted.get(key)
        if must_create and isinstance(before, Keep):
            raise CreateError
        if not must_create and isinstance(before, Drop):
            raise UpdateError
        # Its lease is what the commit is held to. A version could not be: what the frames before
        # have saved gets its own by the same commit.
        running.keep(effect._replace(version=0))

    def _keep(self, layer: BaseChannelLayer, effect: Keep) -> None:
        """Save it now, outside a delivery."""
        saved = layer.repeat(effect)
        if not saved and effect.must == "create" and layer.recall(effect.key) is None:
            # It is there, and encrypted with a key of the layer's that is gone.
            saved = layer.repeat(effect._replace(must=""))
        if not saved and effect.version:
            there = layer.recall_version(effect.key)
            if there is not None and there.value != effect.value:
                raise SessionChanged(
                    "This channel session was saved by somebody else after it was loaded here: "
                    "nothing was saved. Load it again, change it, and save that."
                )
            # The same is there: the answer to our own save was lost.
            saved = 0 if there is None else there.version
        if not saved:
            raise CreateError if effect.must == "create" else UpdateError
        self._version = saved

    def exists(self, session_key: str) -> bool:
        return bool(session_key) and self._read(self._layer(), session_key) is not None

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
        if key is None:
            return
        layer = self._layer()
        running = outbox.of_delivery(layer)
        if running is None:
            layer.drop(key)
        else:
            running.keep(Drop(key))

    @classmethod
    def clear_expired(cls) -> None:
        """The layer does it."""

    def _read(self, layer: BaseChannelLayer, key: str, *, ttl: float = 0) -> Kept | None:
        """The value under ``key``, including uncommitted changes of this delivery's frames."""
        running = outbox.of_delivery(layer)
        effect = None if running is None else running.uncommitted.get(key)
        if effect is None:
            return layer.recall_version(key, ttl=ttl)
        return Kept(effect.value, 0) if isinstance(effect, Keep) else None

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
