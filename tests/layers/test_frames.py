"""djchan.layers.frames: what a message to a reply channel may hold."""

import pytest

from djchan.layers import frames


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"text": "a"},
        {"text": "a", "bytes": b""},
        {"text": "", "bytes": b"a"},
        {"text": None, "bytes": memoryview(b"a")},
    ],
)
def test_right_frames(message):
    assert frames.wrong_frame(message) == ""


@pytest.mark.parametrize("text", [{"a": 1}, [1], 7, 1.5, True, b"a"], ids=str)
def test_the_text_of_a_frame_is_text(text):
    wrong = frames.wrong_frame({"text": text})

    assert f"not {type(text).__name__}" in wrong
    assert ("json.dumps()" in wrong) == isinstance(text, dict | list)


@pytest.mark.parametrize("code", [None, False, 0, True, 1000, 3000, 4999])
def test_right_codes(code):
    assert frames.wrong_code(code) == ""


@pytest.mark.parametrize("code", [1, 999, 1001, 1011, 2999, 5000, 3000.0, "3000", "x" * 1000])
def test_wrong_codes_are_named_and_cut(code):
    wrong = frames.wrong_code(code)

    assert wrong.startswith(f"{code!r:.80} is no close code")
    assert len(wrong) < 200


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        ({"status": 200, "content": b"a"}, False),
        ({"content": bytearray(b"a"), "more_content": True}, False),
        ({}, False),
        ({"content": "a"}, True),
        ({"status": True}, True),
        ({"status": 600}, True),
    ],
    ids=str,
)
def test_parts_of_a_response(part, wrong):
    assert bool(frames.wrong_part(part)) is wrong
