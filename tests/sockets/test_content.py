"""Frames as values and back, and what is neither."""

import datetime
import decimal
import json
import uuid

import pytest
from django.utils.functional import lazystr
from hypothesis import given
from hypothesis import strategies as st

from djchan.exceptions import InvalidJSON, InvalidSocketValue, UnexpectedFrame
from djchan.sockets import content

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


class TestContent:
    @given(JSON)
    def test_json_there_and_back(self, value):
        text = content.to_json("send_json()", value)
        assert content.json_of("receive_json()", text) == value
        assert content.json_of("receive_jsonb()", text.encode()) == value

    def test_json_as_django_writes_it(self):
        told = {
            "date": datetime.date(2026, 1, 2),
            "price": decimal.Decimal("1.10"),
            "id": uuid.UUID(int=1),
            "lazy": lazystr("later"),
        }
        assert json.loads(content.to_json("send_json()", told)) == {
            "date": "2026-01-02",
            "price": "1.10",
            "id": str(uuid.UUID(int=1)),
            "lazy": "later",
        }

    @pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), float("inf"), {(1,): 2}])
    def test_what_json_cannot_hold(self, value):
        with pytest.raises(InvalidSocketValue, match=r"send_json\(\): this value cannot be JSON"):
            content.to_json("send_json()", value)

    def test_what_holds_itself(self):
        value = []
        value.append(value)
        with pytest.raises(InvalidSocketValue):
            content.to_json("send_json()", value)

    @pytest.mark.parametrize(
        ("frame", "mistake"),
        [
            ("{secret", "at character 1"),
            ("", "at character 0"),
            ("NaN", "NaN is not in JSON"),
            ("[Infinity]", "Infinity is not in JSON"),
            ("[-1e999]", "out of range"),
            ("[" * 100_000, "nested too deeply"),
            ("1" * 10_000, "limit"),
            (b"\xff\xfe1\x00", "no UTF-8 at byte 0"),
            (b'{"a": "\xed\xa0\x80"}', "no UTF-8"),
        ],
        ids=lambda given: repr(given)[:20],
    )
    def test_what_is_no_json(self, frame, mistake):
        with pytest.raises(InvalidJSON, match=mistake) as caught:
            content.json_of("receive_json()", frame)
        assert "secret" not in str(caught.value), "it goes to logs"
        assert len(str(caught.value)) < 300

    def test_the_other_kind_of_frame(self):
        assert content.text_of("receive_text()", "a") == "a"
        assert content.bytes_of("receive_bytes()", b"a") == b"a"
        with pytest.raises(
            UnexpectedFrame, match=r"receive_text\(\) met a binary frame of 2 bytes"
        ):
            content.text_of("receive_text()", b"ab")
        with pytest.raises(UnexpectedFrame, match=r"receive_bytes\(\) met a text frame of 1 char"):
            content.bytes_of("receive_bytes()", "a")
