"""Request targets with and without a host, as scopes of any server have them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djchan.interface import targets


@given(st.binary(max_size=20).map(lambda rest: b"/" + rest))
def test_a_target_that_begins_with_a_slash_is_left_as_it_is(target: bytes) -> None:
    assert targets.split(target) == (None, target)


@pytest.mark.parametrize(
    ("target", "host", "rest"),
    [
        (b"http://host/path?a=/b", b"host", b"/path?a=/b"),
        (b"HTTPS://user@host:1//path", b"user@host:1", b"//path"),
        (b"ws://host", b"host", b"/"),
        (b"wss://host?a", b"host", b"/?a"),
        (b"http://a%2fb/path", b"a%2fb", b"/path"),
        (b"http:///path", b"", b"/path"),
        (b"ftp://host/path", None, b"ftp://host/path"),
        (b"http:/path", None, b"http:/path"),
        (b"*", None, b"*"),
    ],
)
def test_the_host_of_a_target_ends_before_its_path(
    target: bytes, host: bytes | None, rest: bytes
) -> None:
    assert targets.split(target) == (host, rest)


def scope(path: str, raw_path: bytes, root_path: str = "") -> dict[str, Any]:
    return {
        "type": "http",
        "path": path,
        "raw_path": raw_path,
        "root_path": root_path,
        "headers": [(b"host", b"other"), (b"a", b"1"), (b"host", b"third")],
    }


@pytest.mark.parametrize("root_path", ["", "/app"])
def test_the_host_of_the_target_takes_the_place_of_all_host_headers(root_path: str) -> None:
    raw_path = b"http://a%2fb/%E2%82%AC/"
    before = scope(root_path + "http://a/b/\u20ac/", root_path.encode() + raw_path, root_path)
    after = targets.origin_form(before)
    assert after["path"] == f"{root_path}/\u20ac/"
    assert after["raw_path"] == root_path.encode() + b"/%E2%82%AC/"
    assert after["headers"] == [(b"host", b"a%2fb"), (b"a", b"1")]


@pytest.mark.parametrize("root_path", ["", "/app"])
@pytest.mark.parametrize("path", ["/path", "*", "host:443"])
def test_a_scope_whose_target_has_no_host_is_left_as_it_is(path: str, root_path: str) -> None:
    before = scope(root_path + path, (root_path + path).encode(), root_path)
    assert targets.origin_form(before) is before


def test_a_server_without_raw_paths_is_served_too() -> None:
    before = {"type": "http", "path": "http://host/path", "headers": []}
    assert targets.origin_form(before)["path"] == "/path"
