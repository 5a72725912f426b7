"""What Daphne would believe of a request: its path, and what its access log would write of it.

With Daphne's own classes around it: test_bounds.
"""

import io

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
