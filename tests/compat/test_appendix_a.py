"""Appendix A of the contract: how projects of Channels 1.x were written, on a real socket.

The patterns are those of liveblog, multichat and databinding; the project that has them is in
``project/``.
"""

import json
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.compat.conftest import Site
from tests.compat.talk import code_of, hear, request, with_cookie
from tests.processes.conftest import socket
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(60)


def get(site: Site, path: str) -> str:
    with request(site.server, "GET", path) as response:
        return response.read().decode()


def test_the_asgi_file_has_a_channel_layer_and_daphne_serves_it(site: Site) -> None:
    # site.server is `daphne asgi:channel_layer`, with `channel_layer = get_channel_layer()`.
    assert get(site, "/who/") == "nobody"


WSGI = """
import io
from wsgiref.util import setup_testing_defaults
from django.core.wsgi import get_wsgi_application
from liveblog.models import Liveblog, Post
Post.objects.create(liveblog=Liveblog.objects.get(slug="news"), body="from a shell")
environ = {"PATH_INFO": "/post/news/from-wsgi/"}
setup_testing_defaults(environ)
body = b"".join(get_wsgi_application()(environ, lambda status, headers: None))
assert body == b"posted", body
"""


def test_a_group_is_sent_to_in_the_save_of_a_model_wherever_it_runs(site: Site) -> None:
    with socket(site.server, "/liveblog/news/stream/") as client:
        assert get(site, "/post/news/from-a-worker/") == "posted"
        assert hear(client) == {"post": "from-a-worker"}
        site.shell(WSGI)
        assert [hear(client), hear(client)] == [{"post": "from a shell"}, {"post": "from-wsgi"}]


def test_a_bad_slug_is_told_and_closed(site: Site) -> None:
    with socket(site.server, "/liveblog/nothing/stream/") as client:
        assert hear(client) == {"error": "bad_slug"}
        assert code_of(client) == 1000


def test_a_connect_consumer_that_answers_nothing_accepts_nothing(site: Site) -> None:
    with pytest.raises(InvalidStatus) as refused, socket(site.server, "/silent/"):
        pass
    assert refused.value.response.status_code == 403


def chat(site: Site, user: str = "") -> Any:
    if user:
        return with_cookie(site, "/chat/stream/", user)
    return socket(site.server, "/chat/stream/")


def test_what_a_client_sent_goes_on_with_its_reply_channel(site: Site) -> None:
    with chat(site, "ann") as ann, chat(site) as other:
        for client in (ann, other):
            client.send(json.dumps({"command": "join", "room": "hall"}))
            assert hear(client) == {"join": "hall"}
        # A channel of its own, behind an include and routes by command: the session of the
        # connection and its user are there.
        ann.send(json.dumps({"command": "send", "room": "hall", "text": "hello"}))
        assert hear(ann) == hear(other) == {"from": "ann", "text": "hello"}
        other.send(json.dumps({"command": "send", "room": "hall", "text": "hi"}))
        assert hear(ann) == hear(other) == {"from": "nobody", "text": "hi"}


@pytest.mark.parametrize("command", [5, None, ["join"], {"join": 1}, True])
def test_a_command_that_is_no_text_ends_no_worker(site: Site, command: object) -> None:
    with chat(site) as client:
        client.send(json.dumps({"command": command, "room": "hall"}))
        client.send(json.dumps({"command": "join", "room": "garden"}))
        assert hear(client) == {"join": "garden"}
    site.runworker.wait_printed(r"on chat\.receive>: no route matches \(command=")
    assert site.runworker.running()


def test_an_include_by_its_path_and_its_prefix(site: Site) -> None:
    # include("multichat.routing.websocket_routing", path=r"^/chat/stream")
    for path in ("/chat/stream", "/chat/stream/", "/chat/streams/of/anything"):
        with socket(site.server, path) as client:
            client.send(json.dumps({"command": "join", "room": "yard"}))
            assert hear(client) == {"join": "yard"}


def test_decorators_of_the_projects_own_take_a_message_alone(site: Site) -> None:
    with chat(site) as client:
        client.send(json.dumps({"command": "join", "room": "closed"}))
        assert hear(client) == {"error": "ROOM_CLOSED"}
        client.send(json.dumps({"command": "send", "room": "attic", "text": "hello"}))
        assert hear(client) == {"error": "ROOM_ACCESS_DENIED"}


def test_a_demultiplexer_whose_connection_groups_takes_no_kwargs(site: Site) -> None:
    with socket(site.server, "/streams/") as client:
        streams = {hear(client)["stream"] for _ in range(5)}
        assert streams == {
            "channel_session",
            "channel_session_user",
            "http_user",
            "http_user_and_session",
            "strict_ordering",
        }
        # And it is in that group.
        site.layer.send_group("streams", {"text": json.dumps({"to": "all"})})
        assert hear(client) == {"to": "all"}


def test_a_disconnect_leaves_the_groups(site: Site) -> None:
    with chat(site) as client:
        client.send(json.dumps({"command": "join", "room": "cellar"}))
        assert hear(client) == {"join": "cellar"}
        assert site.layer.group_channels("cellar")
    wait_for(lambda: not site.layer.group_channels("cellar"), timeout=10, what="nobody is in it")
