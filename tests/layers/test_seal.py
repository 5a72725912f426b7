"""Keys and places to seals: what opens what and where, and what is said about wrong keys."""

import base64
import hashlib
import os
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hypothesis import assume, given
from hypothesis import strategies as st

from djchan.exceptions import InvalidChannelLayer, UndecodableEnvelope
from djchan.layers import codec, seal
from djchan.layers.seal import Place, Seal

DATA = codec.encode({"secret": "blue"})
HERE = Place("m", "here")
PLACES = st.builds(Place, st.sampled_from("mgetbk"), st.text(max_size=5))


def fernet(key: bytes) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(key).digest()))


def test_what_is_sealed_can_be_opened_and_not_be_read():
    seal = Seal(["key"])
    sealed = seal.seal(DATA, HERE)

    assert seal.open(sealed, HERE) == DATA
    assert b"blue" not in sealed and seal.seal(DATA, HERE) != sealed


@given(PLACES, PLACES)
def test_it_opens_in_its_own_place_only(place: Place, other: Place):
    seal = Seal(["key"])
    sealed = seal.seal(DATA, place)

    assert seal.open(sealed, place) == DATA
    assume(place != other)
    assert seal.open(sealed, other).startswith(codec.SEALED)
    # Which kind it says it is makes no difference.
    forged = sealed.replace(codec.SEAL + place.kind.encode(), codec.SEAL + other.kind.encode(), 1)
    assume(forged != sealed or place.name != other.name)
    assert seal.open(forged, other).startswith(codec.SEALED)


@given(st.text(max_size=5), st.text(max_size=5), PLACES)
def test_it_opens_in_its_own_layer_only(layer: str, other: str, place: Place):
    assume(layer != other)
    sealed = Seal(["key"], layer=layer).seal(DATA, place)

    assert Seal(["key"], layer=layer).open(sealed, place) == DATA
    assert Seal(["key"], layer=other).open(sealed, place).startswith(codec.SEALED)
    if place.name.startswith(other[len(layer) :]):
        shifted = place._replace(name=place.name[len(other) - len(layer) :])
        assert Seal(["key"], layer=other).open(sealed, shifted).startswith(codec.SEALED)


def test_of_several_places_it_takes_the_one_of_its_kind():
    seal = Seal(["key"])
    sealed = seal.seal(DATA, Place("g"))

    assert seal.open(sealed, HERE, Place("g")) == DATA
    assert seal.open(sealed, HERE).startswith(codec.SEALED)
    assert seal.open(sealed).startswith(codec.SEALED)


def test_the_first_key_seals_and_all_open():
    old, both, turned = Seal(["old"]), Seal(["old", "new"]), Seal(["new", "old"])

    assert both.open(old.seal(DATA, HERE), HERE) == DATA
    assert old.open(both.seal(DATA, HERE), HERE) == DATA
    assert turned.open(old.seal(DATA, HERE), HERE) == DATA
    assert both.open(turned.seal(DATA, HERE), HERE) == DATA
    assert old.open(turned.seal(DATA, HERE), HERE) != DATA


def test_no_nonce_comes_twice_and_a_salt_ends_before_one_could(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(seal, "_PER_SALT", 10)
    one = Seal(["key"])
    headers = [one.seal(DATA, HERE)[:31] for _ in range(100)]

    assert len(set(headers)) == 100
    assert len({header[3:19] for header in headers}) == 11
    assert one.open(one.seal(DATA, HERE), HERE) == DATA
    assert Seal(["key"]).seal(DATA, HERE)[3:19] != one.seal(DATA, HERE)[3:19]


def test_derived_keys_are_bounded():
    one = Seal(["key"])
    for _ in range(seal._SALTS + 10):
        one.open(codec.SEAL + b"m" + os.urandom(60), HERE)

    assert one._derived.cache_info().currsize == seal._SALTS


def test_fernet_tokens_of_before_are_opened_wherever_they_are():
    for keys in (["test", "old"], (b"test",), ["old", "test"]):
        assert Seal(keys).open(fernet(b"test").encrypt(DATA), HERE) == DATA


def test_a_seal_has_no_age():
    assert Seal(["key"]).open(fernet(b"key").encrypt_at_time(DATA, 0), HERE) == DATA


@pytest.mark.parametrize(
    "data",
    [
        DATA,
        b"",
        b"gAAAA",
        codec.SEAL,
        codec.SEAL + b"m" + bytes(43),
        Seal(["another"]).seal(DATA, HERE),
        fernet(b"another").encrypt(DATA),
    ],
    ids=["plain", "empty", "begins as a token", "begins as sealed", "too short", "key", "token"],
)
def test_what_no_key_opens_says_so_wherever_it_is_decoded(data: bytes):
    opened = Seal(["key"]).open(data, HERE)

    for decode in (codec.decode, codec.decode_envelope):
        with pytest.raises(UndecodableEnvelope, match="is not sealed with any of symmetric_enc"):
            decode(opened)


@given(st.data())
def test_a_changed_byte_is_noticed(data: st.DataObject):
    seal = Seal(["key"])
    sealed = bytearray(seal.seal(DATA, HERE))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))

    assert seal.open(bytes(sealed), HERE).startswith(codec.SEALED)


@pytest.mark.parametrize(
    "sealed",
    [Seal(["key"]).seal(DATA, HERE), fernet(b"key").encrypt(DATA)],
    ids=["sealed", "token"],
)
def test_a_layer_without_keys_says_what_it_lacks(sealed: bytes):
    for decode in (codec.decode, codec.decode_envelope):
        with pytest.raises(UndecodableEnvelope, match="CONFIG has no symmetric_encryption_keys"):
            decode(sealed)


def test_how_large_it_is_is_known_without_sealing():
    seal = Seal(["key"])

    for length in (*range(100), 1000, 65536):
        assert seal.size(bytes(length)) == len(seal.seal(bytes(length), HERE))


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
