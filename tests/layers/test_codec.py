"""Messages, envelopes and inbox entries as bytes, and back."""

import datetime
import decimal
import enum
import math
from typing import Any

import msgspec
import pytest
from django.utils.safestring import mark_safe
from hypothesis import example, given
from hypothesis import strategies as st

from djchan.exceptions import InvalidMessage, MessageTooLarge, UndecodableEnvelope
from djchan.layers import codec

# msgpack holds text as UTF-8, which has no lone surrogates.
texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | texts
    | st.binary()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=25,
)
messages = st.dictionaries(texts, values, max_size=8)


class Size(enum.IntEnum):
    SMALL = 3


class Color(enum.StrEnum):
    RED = "red"


class Mixed(str, enum.Enum):  # noqa: UP042  (its str() is its name, unlike StrEnum's)
    RED = "red"


class Text(str):
    def __str__(self) -> str:
        return self


class Bytes(bytes):
    pass


class Float(float):
    pass


class Table(dict[str, Any]):
    pass


class TestMessages:
    @given(messages)
    def test_round_trip(self, message: dict[str, Any]):
        decoded = codec.decode(codec.encode(message))

        assert decoded == message
        # 1 == True == 1.0: what came back must be of the same kinds, too.
        assert repr(decoded) == repr(message)

    def test_not_a_number_travels(self):
        assert math.isnan(codec.decode(codec.encode({"n": math.nan}))["n"])

    def test_bytes_and_text_stay_apart(self):
        decoded = codec.decode(codec.encode({"text": "a", "bytes": b"a"}))

        assert decoded == {"text": "a", "bytes": b"a"}

    @given(st.lists(scalars, max_size=5))
    def test_tuples_come_back_as_lists(self, items: list[Any]):
        assert codec.decode(codec.encode({"k": tuple(items)})) == {"k": items}

    @pytest.mark.parametrize(
        ("given_", "kept"),
        [
            (mark_safe("<b>"), "<b>"),
            (Text("plain"), "plain"),
            (Color.RED, "red"),
            (Mixed.RED, "red"),
            (Size.SMALL, 3),
            (Bytes(b"x"), b"x"),
            (bytearray(b"x"), b"x"),
            (memoryview(b"x"), b"x"),
            (Float(1.5), 1.5),
            (Table(a=1), {"a": 1}),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_subclasses_travel_as_what_they_are_at_heart(self, given_: Any, kept: Any):
        decoded = codec.decode(codec.encode({"k": given_}))["k"]

        assert decoded == kept
        assert type(decoded) is type(kept)

    def test_a_key_may_be_a_subclass_of_text(self):
        assert codec.decode(codec.encode({Mixed.RED: 1, mark_safe("b"): 2})) == {"red": 1, "b": 2}

    @pytest.mark.parametrize(
        "value",
        [
            decimal.Decimal("1.5"),
            datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
            {1, 2},
            pytest.param(object(), id="an object"),
            1j,
            2**64,
            -(2**63) - 1,
            {1: "a key that is not text"},
            {b"k": 1},
            "\ud800",
        ],
        ids=repr,
    )
    def test_what_cannot_travel_is_refused_in_words(self, value: Any):
        with pytest.raises(InvalidMessage, match="This message cannot be sent: ") as caught:
            codec.encode({"deep": [{"down": value}]})

        assert isinstance(caught.value, TypeError)
        assert "A message holds dicts with text keys" in str(caught.value)

    def test_a_message_that_holds_itself_is_refused(self):
        message: dict[str, Any] = {}
        message["self"] = message

        with pytest.raises(InvalidMessage):
            codec.encode(message)

    def test_encoding_is_a_copy(self):
        message = {"list": [1]}
        encoded = codec.encode(message)

        message["list"].append(2)

        assert codec.decode(encoded) == {"list": [1]}

    def test_the_limit_is_in_bytes_of_the_encoded_message(self):
        size = len(codec.encode({"text": "é" * 50}))

        assert codec.encode({"text": "é" * 50}, size)
        with pytest.raises(MessageTooLarge) as caught:
            codec.encode({"text": "é" * 50}, size - 1)

        assert str(size) in str(caught.value) and str(size - 1) in str(caught.value)
        assert "max_message_size" in str(caught.value)

    def test_two_mebibytes_by_default(self):
        with pytest.raises(MessageTooLarge, match="2097152"):
            codec.encode({"bytes": bytes(2 * 1024 * 1024)})

    def test_garbage_nested_without_end_is_undecodable(self):
        with pytest.raises(UndecodableEnvelope):
            codec.decode(b"\x91" * 100_000)


def envelope(**changes: Any) -> codec.Envelope:
    fields: dict[str, Any] = {
        "version": codec.VERSION,
        "id": "id1",
        "channel": "websocket.receive",
        "created": 1000,
        "expires": 0,
        "process": "",
        "connection": "",
        "seq": 0,
        "common": msgspec.Raw(codec.encode({"path": "/"})),
        "frames": [msgspec.Raw(codec.encode({"text": "a"}))],
    }
    return codec.Envelope(**{**fields, **changes})


class TestEnvelopes:
    @given(messages, st.lists(messages, max_size=4), texts, st.integers(0, 2**53))
    def test_round_trip(
        self, common: dict[str, Any], frames: list[dict[str, Any]], name: str, number: int
    ):
        sent = envelope(
            id=name,
            created=number,
            expires=number,
            seq=number,
            common=msgspec.Raw(codec.encode(common)),
            frames=[msgspec.Raw(codec.encode(frame)) for frame in frames],
        )

        got = codec.decode_envelope(codec.encode_envelope(sent))

        assert (got.id, got.created, got.expires, got.seq) == (name, number, number, number)
        assert codec.decode(got.common) == common
        assert [codec.decode(frame) for frame in got.frames] == frames

    def test_a_newer_version_may_have_added_fields_at_the_end(self):
        fields = codec.decode(codec.encode_envelope(envelope()))
        newer = codec.encode([codec.VERSION + 1, *fields[1:], "new", {"and": "more"}])

        got = codec.decode_envelope(newer)

        assert (got.version, got.id, got.channel) == (2, "id1", "websocket.receive")
        assert codec.decode(got.frames[0]) == {"text": "a"}

    def test_two_versions_ahead_is_refused_with_the_remedy(self):
        data = codec.encode_envelope(envelope(version=codec.VERSION + 2))

        with pytest.raises(UndecodableEnvelope, match="version 3; this worker reads up to 2"):
            codec.decode_envelope(data)

    def test_an_older_version_is_read(self):
        data = codec.encode_envelope(envelope(version=codec.VERSION - 1))

        assert codec.decode_envelope(data).id == "id1"

    def test_missing_fields_are_garbage_while_there_is_no_older_version(self):
        fields = codec.decode(codec.encode_envelope(envelope()))

        with pytest.raises(UndecodableEnvelope, match="This delivery cannot be read"):
            codec.decode_envelope(codec.encode(fields[:-2]))

    def test_one_without_its_count_of_runs_has_not_run(self):
        fields = codec.decode(codec.encode_envelope(envelope()))
        assert codec.decode_envelope(codec.encode(fields[:-1])) == envelope()

    def test_sent_again_it_says_that_it_may_have_run(self):
        again = codec.send_again(codec.send_again(codec.encode_envelope(envelope())))
        assert codec.decode_envelope(again) == msgspec.structs.replace(envelope(), runs=2)

    @given(st.binary(max_size=200))
    @example(b"")
    @example(b"\x90")
    @example(b"\xc1")
    @example(b"\x91" * 5000)
    @example(codec.encode({"a": "map"}))
    def test_garbage_is_undecodable_and_nothing_else(self, data: bytes):
        try:
            codec.decode_envelope(data)
        except UndecodableEnvelope as error:
            assert str(error).startswith("This delivery ")

    @pytest.mark.parametrize("cut", range(1, 40, 3))
    def test_a_cut_envelope_is_undecodable(self, cut: int):
        data = codec.encode_envelope(envelope())

        with pytest.raises(UndecodableEnvelope):
            codec.decode_envelope(data[:-cut])


class TestEntries:
    @given(st.lists(messages, max_size=3))
    def test_what_was_encoded_before_is_put_in_as_it_is(self, replies: list[dict[str, Any]]):
        raw = [msgspec.Raw(codec.encode(reply)) for reply in replies]

        entry = codec.encode_entry(codec.ANSWER, "c1", 7, raw, codec.DONE)

        assert codec.decode(entry) == [codec.ANSWER, "c1", 7, replies, ""]

    def test_the_kinds_differ(self):
        kinds = [codec.ANSWER, codec.REPLY, codec.GROUP, codec.ADD, codec.DISCARD, codec.PART]

        assert len(set(kinds)) == len(kinds)


class TestIds:
    def test_of_a_message_of_its_own(self):
        assert codec.message_id(envelope(), {"text": "a"}) == "id1"

    def test_of_a_frame_of_a_socket(self):
        socket = envelope(process="P", connection="c1", seq=4)

        assert codec.message_id(socket, {"text": "a", "order": 9}) == "P.c1.9"
        # Of an HTTP request, which has one frame and no order.
        assert codec.message_id(socket, {}) == "P.c1.0"
