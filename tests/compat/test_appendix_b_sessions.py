"""Appendix B of the contract, line 6: sessions and users, by every way there is.

See test_appendix_b.py for the other lines.
"""

import json
from typing import Any

import pytest
from websockets.sync.client import ClientConnection

from tests.compat.conftest import Site
from tests.compat.talk import hear, with_cookie
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(60)


# ------------------------------------------------------------------------ 6. sessions

Seen = dict[str, Any]


def seen(user: str | None, count: int | None, http: str | None) -> Seen:
    return {"user": user, "count": count, "http": http}


# At connect, and at the two frames after it. A frame has no cookie.
SEEN: dict[str, list[Seen]] = {
    "channel_session": [seen(None, n, None) for n in (1, 2, 3)],
    "http_session": [seen(None, None, "ann's"), *[seen(None, None, None)] * 2],
    "channel_and_http_session": [seen(None, n, "ann's") for n in (1, 2, 3)],
    "channel_session_user": [seen("", n, None) for n in (1, 2, 3)],
    "http_session_user": [seen("ann", None, "ann's"), *[seen("", None, None)] * 2],
    "channel_session_user_from_http": [
        seen("ann", 1, "ann's"),
        seen("ann", 2, None),
        seen("ann", 3, None),
    ],
    "channel_and_http_session_user_from_http": [seen("ann", n, "ann's") for n in (1, 2, 3)],
}
# The attribute of a class-based consumer that does the same.
SEEN["strict_ordering"] = SEEN["channel_session"]
SEEN["http_user"] = SEEN["channel_session_user_from_http"]
SEEN["http_user_and_session"] = SEEN["channel_and_http_session_user_from_http"]
DECORATORS = list(SEEN)[:7]
ATTRIBUTES = [name for name in SEEN if name.startswith(("strict", "http_user", "channel_session"))]
ATTRIBUTES.remove("channel_session_user_from_http")


@pytest.mark.parametrize("decorator", DECORATORS)
def test_b06_sessions_by_decorators_of_functions(site: Site, decorator: str) -> None:
    with with_cookie(site, f"/who/{decorator}/") as client:
        assert three(client) == SEEN[decorator]


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_b06_sessions_of_class_based_consumers(site: Site, attribute: str) -> None:
    with with_cookie(site, f"/class/{attribute}/") as client:
        assert three(client) == SEEN[attribute]


def three(client: ClientConnection) -> list[Seen]:
    """What its consumers saw at connect, and at two frames."""
    found = [hear(client)]
    for _ in range(2):
        client.send("who am I?")
        found.append(hear(client))
    return found


def test_b06_sessions_of_multiplexed_class_based_consumers(site: Site) -> None:
    with with_cookie(site, "/streams/") as client:
        found: dict[str, list[Seen]] = {name: [] for name in ATTRIBUTES}
        for _ in ATTRIBUTES:
            frame = hear(client)
            found[frame["stream"]].append(frame["payload"])
        for name in ATTRIBUTES * 2:
            client.send(json.dumps({"stream": name, "payload": {}}))
            frame = hear(client)
            found[frame["stream"]].append(frame["payload"])
    for name in ("channel_session", "http_user", "http_user_and_session"):
        assert found[name] == SEEN[name], name
    # They share one message at connect, and one session: whom another stream has copied into
    # it, these see.
    for name in ("channel_session_user", "strict_ordering"):
        assert [each["count"] for each in found[name]] == [1, 2, 3]
    assert found["channel_session_user"][2]["user"] == "ann"


def test_b06_sessions_password_change(site: Site) -> None:
    with with_cookie(site, "/who/channel_session_user_from_http/", "bob") as client:
        assert three(client)[2] == seen("bob", 3, None)
        site.layer.send("password", {"user": "bob"})
        wait_for(lambda: site.marked("password bob"), timeout=10, what="the new password")
        # Logged out, and nothing is left of what the session had.
        client.send("who am I?")
        assert hear(client) == seen("", 1, None)
        client.send("who am I?")
        assert hear(client)["user"] == ""


@pytest.mark.parametrize("path", ["/who/channel_session_user_from_http/", "/class/http_user/"])
def test_b06_sessions_secret_key_fallbacks(site: Site, path: str) -> None:
    # He logged in when SECRET_KEY was another. Django gives such a session a new key at once;
    # that of the connection keeps its own, or it would not be found again.
    with with_cookie(site, path, "old") as client:
        assert [(each["user"], each["count"]) for each in three(client)] == [
            ("old", 1),
            ("old", 2),
            ("old", 3),
        ]
