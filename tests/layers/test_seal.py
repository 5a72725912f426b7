"""Keys to seals: what opens what, and what is said about wrong keys."""

import base64
import hashlib
from typing import Any

import pytest
from cryptography.fernet import Fernet

from djchan.exceptions import InvalidChannelLayer, UndecodableEnvelope
from djchan.layers import codec
from djchan.layers.seal import Seal

DATA = codec.encode({"secret": "blue"})


def test_what_is_sealed_can_be_opened_and_not_be_read():
    seal = Seal(["key"])
    sealed = seal.seal(DATA)

    assert seal.open(sealed) == DATA
    assert b"blue" not in sealed and seal.seal(DATA) != sealed


def test_the_first_key_seals_and_all_open():
    old, both, turned = Seal(["old"]), Seal(["old", "new"]), Seal(["new", "old"])

    assert both.open(old.seal(DATA)) == old.open(both.seal(DATA)) == DATA
    assert turned.open(old.seal(DATA)) == both.open(turned.seal(DATA)) == DATA
    assert old.open(turned.seal(DATA)) != DATA


def test_a_key_is_what_it_was_in_asgi_redis():
    fernet = Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"test").digest()))

    for keys in (["test", "old"], (b"test",)):
        assert fernet.decrypt(Seal(keys).seal(DATA)) == DATA


def test_a_seal_has_no_age():
    fernet = Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"key").digest()))

    assert Seal(["key"]).open(fernet.encrypt_at_time(DATA, 0)) == DATA


@pytest.mark.parametrize(
    "data",
    [DATA, b"", b"gAAAA", Seal(["another"]).seal(DATA)],
    ids=["plain", "empty", "begins as sealed", "sealed with another key"],
)
def test_what_no_key_opens_says_so_wherever_it_is_decoded(data: bytes):
    opened = Seal(["key"]).open(data)

    for decode in (codec.decode, codec.decode_envelope):
        with pytest.raises(UndecodableEnvelope, match="is not sealed with any of symmetric_enc"):
            decode(opened)


def test_a_changed_byte_is_noticed():
    seal = Seal(["key"])
    sealed = bytearray(seal.seal(DATA))
    sealed[40] ^= 1

    assert seal.open(bytes(sealed)).startswith(codec.SEALED)


def test_a_layer_without_keys_says_what_it_lacks():
    for decode in (codec.decode, codec.decode_envelope):
        with pytest.raises(UndecodableEnvelope, match="CONFIG has no symmetric_encryption_keys"):
            decode(Seal(["key"]).seal(DATA))


def test_how_large_it_is_is_known_without_sealing():
    seal = Seal(["key"])

    for length in (*range(100), 1000, 65536):
        assert seal.size(bytes(length)) == len(seal.seal(bytes(length)))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("hunter2", r"is a list of texts, not one str: \[key\]"),
        (b"hunter2", "is a list of texts, not one bytes"),
        ({"hunter2"}, "is a list of texts, not one set"),
        (5, "is a list of texts, not one int"),
        ([], "is empty, or has an empty key"),
        (["hunter2", ""], "is empty, or has an empty key"),
        ([None], "or one that is not text"),
    ],
)
def test_wrong_keys_are_refused_without_being_told(keys: Any, words: str):
    with pytest.raises(InvalidChannelLayer, match=words) as caught:
        Seal(keys)
    assert "hunter2" not in str(caught.value)
