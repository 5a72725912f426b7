"""What events look like, and what a client had seen."""

import json

import pytest

from realtime.ticker import feed
from realtime.ticker.models import Headline


def test_an_event_ends_with_a_blank_line_and_has_no_other():
    nasty = "a\n\ndata: b\r\rid: 99\u2028 🐎"
    text = feed.events([Headline(pk=7, text=nasty)]).decode()
    first, data, *rest = text.split("\n")
    assert (first, rest) == ("id: 7", ["", ""])
    assert "\r" not in text
    assert json.loads(data.removeprefix("data: ")) == {"text": nasty}


def test_nothing_missed_is_nothing_sent():
    assert feed.events([]) == b""


@pytest.mark.parametrize(
    ("query", "header", "id"),
    [
        (b"", None, 0),
        (b"after=7", None, 7),
        (b"after=7", b"9", 9),
        (b"after=7", b"", 0),
        (b"after=-7", None, 0),
        (b"after=x&after=8", None, 0),
        (b"after=" + b"9" * 5000, None, 0),
        (b"after=%D9%A3", None, 0),
        (b"", b"\xff", 0),
    ],
)
def test_what_a_client_had_seen(query, header, id):
    headers = [] if header is None else [[b"last-event-id", header]]
    assert feed.seen({"query_string": query, "headers": headers}) == id
