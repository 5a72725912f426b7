"""Bytes to sealed bytes and back, for a layer with ``symmetric_encryption_keys``. No I/O.

From ``layers.sealed``, with what is about to leave this process for the store, or just came
from it; on to cryptography's Fernet (AES in CBC mode, and an HMAC), from the extra
``djchan[crypto]``.

A key is a text of any length, whose SHA-256 is the key of Fernet, as in asgi_redis. The first
one seals and all of them open, so that keys can be changed while messages are on their way. A
seal has no age: how long a message is good is its expiry, and nothing else.
"""

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from djchan.exceptions import InvalidChannelLayer
from djchan.layers import codec

# What stands in a Fernet token besides the ciphertext: version, time, IV, HMAC.
_AROUND = 1 + 8 + 16 + 32
_BLOCK = 16


class Seal:
    """``keys``: the value of ``symmetric_encryption_keys``. Raises InvalidChannelLayer."""

    def __init__(self, keys: Any) -> None:
        self._fernet = MultiFernet([_fernet(key) for key in _checked(keys)])

    def seal(self, data: bytes) -> bytes:
        return self._fernet.encrypt(data)

    def open(self, data: bytes) -> bytes:
        """What ``seal`` was given; of what none of the keys opens, something that no decoder
        takes, and that says why (``codec.SEALED``)."""
        try:
            return self._fernet.decrypt(data)
        except InvalidToken:
            return codec.SEALED + data

    def size(self, data: bytes) -> int:
        """Bytes of ``data`` when it is sealed."""
        sealed = _AROUND + (len(data) // _BLOCK + 1) * _BLOCK
        return (sealed + 2) // 3 * 4


def _fernet(key: str | bytes) -> Fernet:
    secret = key.encode() if isinstance(key, str) else key
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(secret).digest()))


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
