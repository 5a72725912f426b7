"""Bytes to sealed bytes and back, for a layer with ``symmetric_encryption_keys``. No I/O.

``layers.sealed`` calls this with what is about to leave the process for the store, or has just
come from it, and with the *place* it has there. A value is sealed with AES-256 in GCM mode, and
its place is the associated data: the same bytes do not open anywhere else.

AES-GCM rather than Fernet, which asgi_redis used: Fernet takes no associated data, needs a
third more bytes, and is six to twenty times slower. What GCM asks for is that no key ever seals
two values under one nonce. So no configured key seals anything itself: each process draws a
random salt, derives a key of its own from it (HKDF-SHA256), and takes a new salt long before
random nonces of 96 bits could meet. A child of a fork has its parent's salt, and random nonces.

::

    \\xc1 \\x02 | kind, 1 byte | salt, 16 bytes | nonce, 12 bytes | ciphertext | tag, 16 bytes

A configured key is a text of any length, of which the SHA-256 is used, as in asgi_redis. The
first key seals and all of them open, so keys can be changed while messages are on their way. A
seal has no age: how long a message is good is its expiry.

Fernet tokens are still opened, wherever they are, so that nothing is lost by the change from
a version that wrote them. Nothing writes them, and the next release will not read them.
"""

import functools
import hashlib
import itertools
import os
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from djchan.exceptions import InvalidChannelLayer
from djchan.layers import codec

_SALT, _NONCE, _TAG = 16, 12, 16
_KIND = len(codec.SEAL)
_HEADER = _KIND + 1 + _SALT + _NONCE
# Values sealed under one salt. Of so many random nonces two are equal with a chance of 2^-37.
_PER_SALT = 2**30
_SALTS = 1024  # Derived keys that are remembered: one for each process that seals.
_FERNET = b"gAAAA"


class Place(NamedTuple):
    """Where a sealed value belongs. ``kind``: one ASCII character; ``name``: of that kind."""

    kind: str
    name: str = ""


class Seal:
    """``keys``: the value of ``symmetric_encryption_keys``. ``layer``: the name that the layer
    has in its store. Raises InvalidChannelLayer."""

    def __init__(self, keys: Any, *, layer: str = "") -> None:
        secrets = [hashlib.sha256(_bytes(key)).digest() for key in _checked(keys)]
        self._fernet = MultiFernet([Fernet(urlsafe_b64encode(secret)) for secret in secrets])
        self._secrets = secrets
        # The length first: no other layer and name give the same bytes.
        self._layer = f"{len(layer)}:{layer}".encode()
        self._derived = functools.lru_cache(maxsize=_SALTS)(_derive)
        self._numbers = itertools.count()
        self._salt = os.urandom(_SALT)

    def seal(self, data: bytes, place: Place) -> bytes:
        if next(self._numbers) % _PER_SALT == _PER_SALT - 1:
            self._salt = os.urandom(_SALT)
        salt = self._salt
        header = codec.SEAL + place.kind.encode() + salt + os.urandom(_NONCE)
        cipher = self._derived(self._secrets[0], salt)
        return header + cipher.encrypt(header[-_NONCE:], data, self._context(place))

    def open(self, data: bytes, *places: Place) -> bytes:
        """What ``seal`` was given for one of ``places``, which are of different kinds.

        For anything else: bytes that no decoder takes, and that say why (``codec.SEALED``).
        """
        if data.startswith(_FERNET):
            try:
                return self._fernet.decrypt(data)
            except InvalidToken:
                return codec.SEALED + data
        if data.startswith(codec.SEAL) and len(data) >= _HEADER + _TAG:
            kind = data[_KIND : _KIND + 1].decode("latin-1")
            for place in places:
                if place.kind == kind:
                    return self._opened(data, self._context(place))
        return codec.SEALED + data

    def size(self, data: bytes) -> int:
        """Bytes of ``data`` when it is sealed."""
        return _HEADER + len(data) + _TAG

    def _opened(self, data: bytes, context: bytes) -> bytes:
        salt = data[_KIND + 1 : _HEADER - _NONCE]
        nonce, sealed = data[_HEADER - _NONCE : _HEADER], data[_HEADER:]
        for secret in self._secrets:
            try:
                return self._derived(secret, salt).decrypt(nonce, sealed, context)
            except InvalidTag:
                continue
        return codec.SEALED + data

    def _context(self, place: Place) -> bytes:
        return b"%b%b%b" % (self._layer, place.kind.encode(), place.name.encode())


def _derive(secret: bytes, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt, b"djchan sealed values, 1").derive(secret))


def _bytes(key: str | bytes) -> bytes:
    return key.encode() if isinstance(key, str) else key


def _checked(keys: Any) -> Sequence[str | bytes]:
    # The value stays out of the words: they end in logs.
    if isinstance(keys, str | bytes) or not isinstance(keys, Sequence):
        raise InvalidChannelLayer(
            "symmetric_encryption_keys in the layer's CONFIG is a list of texts, not one "
            f"{type(keys).__name__}: [key], and later [new_key, key]."
        )
    if not keys or not all(isinstance(key, str | bytes) and key for key in keys):
        raise InvalidChannelLayer(
            "symmetric_encryption_keys in the layer's CONFIG is empty, or has an empty key or one "
            "that is not text: give it at least one key, or take the option out."
        )
    return keys
