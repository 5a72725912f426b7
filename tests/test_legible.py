"""What clients wrote, as text: cut, escaped, aligned."""

import json

import pytest

from djchan import legible


@pytest.mark.parametrize(
    "given", ["\x1b[2Jgone", b"\x1b[2J\x00", {"k\x1b": "\u202eevil"}, ["\r\n"]]
)
def test_nothing_in_a_value_steers_a_terminal(given):
    assert legible.value(given).isprintable()


def test_a_long_value_is_cut_and_says_how_long_it_was():
    assert legible.value("x" * 5000, 10) == "'xxxxxxxxxx'… (5,000 characters)"
    assert legible.value(b"x" * 5000, 10) == "b'xxxxxxxxxx'… (5,000 bytes)"
    assert legible.value(list(range(1000)), 10).startswith("[0, 1, 2, …"[:10])
    assert len(legible.value({"a": ["x" * 5000]}, 50)) < 90


def test_headers_are_cut_and_secrets_are_not_shown():
    headers = [[b"Cookie", b"sessionid=abc"], ["authorization", "Bearer abc"]]
    headers += [[b"x-%d" % n, b"v" * 500] for n in range(30)]
    lines = legible.content({"path": "/a", "headers": headers})

    assert lines[:4] == [
        ("path", "'/a'"),
        ("headers", "32"),
        ("  Cookie", "(not shown)"),
        ("  authorization", "(not shown)"),
    ]
    assert lines[-1] == ("  …", f"{32 - legible.HEADERS} more")
    assert "abc" not in str(lines)
    assert max(len(text) for _, text in lines) < 120


@pytest.mark.parametrize("headers", ["text", {"a": "b"}, [["one"]], [1, 2], None])
def test_what_are_no_headers_is_a_value(headers):
    assert legible.content({"headers": headers}) == [("headers", repr(headers))]


def test_a_key_is_escaped_too():
    ((key, _),) = legible.content({"a\x1b": 1})
    assert key.isprintable()
    assert legible.glance({"a\x1b": 1}).isprintable()


def test_a_glance_leaves_out_what_all_messages_have():
    message = {"reply_channel": "websocket.send.P!c", "path": "/a", "headers": [], "text": "hi"}
    assert legible.glance(message) == "path='/a', text='hi'"
    assert len(legible.glance({"text": "x" * 500})) == 60


def test_plain_values_are_json_and_whole():
    value = {"bytes": b"\xff", "list": [b"a", 1, None, "x"], "dict": {"a": 1.5}}
    assert json.loads(json.dumps(legible.plain(value))) == {
        "bytes": {"base64": "/w=="},
        "list": [{"base64": "YQ=="}, 1, None, "x"],
        "dict": {"a": 1.5},
    }


@pytest.mark.parametrize(
    ("seconds", "text"), [(-3, "0 s"), (59, "59 s"), (60, "1 min"), (7300, "2 h"), (90000, "1 d")]
)
def test_ages(seconds, text):
    assert legible.ago(seconds) == text


def test_a_table_is_aligned():
    assert legible.table(("A", "LONG", "C"), [("xyz", "1", "end"), ("x", "12345", "")]) == [
        "A    LONG   C",
        "xyz  1      end",
        "x    12345",
    ]
