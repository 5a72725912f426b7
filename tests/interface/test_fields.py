import pytest
from hypothesis import given
from hypothesis import strategies as st

from djchan.interface.fields import end_to_end

CONNECTIONS = [
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
]


@pytest.mark.parametrize("name", CONNECTIONS)
def test_fields_of_one_connection_are_not_sent(name):
    given = [("A", "1"), (name, "x"), (name.lower(), "y"), ("Set-Cookie", "a=b")]
    assert end_to_end(given, 200) == [(b"A", b"1"), (b"Set-Cookie", b"a=b")]


def test_a_426_names_the_protocol_to_upgrade_to():
    given = {"Connection": "Upgrade", "Upgrade": "websocket"}
    assert end_to_end(given, 426) == [(b"Upgrade", b"websocket")]


def test_nor_what_connection_names():
    given = {"Connection": "close, X-Hop ,", "x-hop": "1", "X-Other": "2"}
    assert end_to_end(given, 200) == [(b"X-Other", b"2")]


def test_connection_takes_nothing_that_the_content_needs():
    needed = {"Content-Length": "1", "Content-Type": "a/b", "Content-Encoding": "gzip"}
    assert dict(end_to_end({"Connection": ", ".join(needed), **needed}, 200)) == {
        name.encode(): value.encode() for name, value in needed.items()
    }


TEXT = st.text(st.characters(max_codepoint=0x2FF), max_size=8)


@given(st.lists(st.tuples(TEXT | st.sampled_from(CONNECTIONS), TEXT), max_size=4))
def test_what_is_sent_is_always_a_header_line(pairs):
    try:
        sent = end_to_end(pairs, 200)
    except ValueError:
        return
    for name, value in sent:
        assert name and not set(name) & set(b" \t\r\n:\0")
        assert not set(value) & set(b"\r\n\0\x1b\x7f")
        assert name.lower() not in {hop.lower().encode() for hop in CONNECTIONS}
