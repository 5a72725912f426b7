"""What Daphne would believe of a request: its path, and what its access log would write of it.

With Daphne's own classes around it: test_bounds.
"""

import io
import re

import pytest
from daphne.access import AccessLogGenerator
from hypothesis import given
from hypothesis import strategies as st

from djchan.interface import trust


@given(st.text(st.characters(codec="ascii", exclude_characters="?"), max_size=30))
def test_a_path_that_begins_with_a_slash_is_taken_as_it_is(rest):
    assert trust.handshake_path(f"/{rest}") == f"/{rest}"
    assert trust.handshake_path(f"/{rest}?//x/") == f"/{rest}"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("http://host/ws/?a", "/ws/"),
        ("WSS://user@host:1/ws/", "/ws/"),
        ("ws://host", "/"),
        ("ws://host?a", "/"),
        ("ws/", None),
        ("x:/ws/", None),
        ("http:/ws/", None),
        ("*", None),
        ("", None),
        ("/ü", None),
    ],
)
def test_a_target_is_a_path_or_has_scheme_and_host_before_it(target, path):
    assert trust.handshake_path(target) == path


@given(st.text(), st.text())
def test_the_access_log_has_no_line_and_no_quote_of_a_client(path, client):
    stream = io.StringIO()

    class Server:
        action_logger = staticmethod(AccessLogGenerator(stream))

    trust.escape_logs(Server)
    trust.escape_logs(Server)  # Once is enough.
    details = {"path": path, "client": client, "method": "GET", "status": 200, "size": None}
    Server.action_logger("http", "complete", details)
    line = stream.getvalue()
    assert line.endswith("\n") and line[:-1].isprintable()
    assert line.count('"') == 2


def test_the_access_log_has_no_token_of_a_query():
    stream = io.StringIO()

    class Server:
        action_logger = staticmethod(AccessLogGenerator(stream))

    trust.escape_logs(Server, re.compile("token|key", re.IGNORECASE))
    for path in ("/a/?n=1&access_token=s3cret&b=2", "/?session_key=s3cret", "/?Tok%65n=s3cret"):
        details = {"path": path, "client": "c", "method": "GET", "status": 200, "size": 5}
        Server.action_logger("http", "complete", details)
        Server.action_logger("websocket", "connecting", details)
    lines = stream.getvalue()
    assert "s3cret" not in lines and lines.count("(not shown)") == 6
    assert "GET /a/?n=1&access_token=(not shown)&b=2" in lines
