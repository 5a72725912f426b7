"""Connections to Redis that break in the middle of things: nothing hangs, and nothing is lost."""

import hashlib
import json
import os
import threading
import urllib.request
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from djchan.layers.redis import RedisChannelLayer
from tests.processes.conftest import Project
from tests.support.processes import Process
from tests.support.servers import Server, any_kind
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(60)

MIB = 1024 * 1024
SECONDS = 15.0  # For what takes two or three on a machine with nothing else to do.


def cut(broker: Server) -> int:
    """Close every connection to Redis but this one; how many there were."""
    answer = broker.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert answer.startswith(b":"), answer
    return int(answer[1:])


def open_url(server: Process, path: str, body: bytes | None = None) -> Any:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", data=body)
    return urllib.request.urlopen(request, timeout=SECONDS)


def test_an_upload_that_is_being_read_arrives_whole(project: Project) -> None:
    project.env["LAYER_INTERFACE"] = json.dumps({"http_inline_body": 64 * 1024})
    server = project.daphne()
    project.worker()
    body = os.urandom(20 * MIB)
    answers: list[str] = []

    def upload() -> None:
        with open_url(server, "/upload/", body) as response:
            answers.append(response.read().decode())

    thread = threading.Thread(target=upload)
    thread.start()
    wait_for(
        lambda: project.broker.command("KEYS", "*http.request.body*") != b"*0\r\n",
        timeout=SECONDS,
        what="a piece of the body is in Redis",
    )
    assert cut(project.broker) >= 2
    for _ in range(4):
        thread.join(0.1)
        cut(project.broker)
    thread.join(SECONDS)
    assert answers == [hashlib.sha256(body).hexdigest()]


def test_a_response_that_streams_goes_on_without_a_gap(project: Project) -> None:
    server = project.daphne()
    project.worker()
    with open_url(server, "/stream/") as response:
        for number in range(200):
            assert response.readline() == b"part %d\n" % number
            if number % 50 == 20:
                assert cut(project.broker) >= 2


@pytest.mark.parametrize("view", ["forward", "aforward"])
def test_a_send_over_an_idle_connection_to_another_layer_arrives(
    project: Project, start_server: Callable[..., Server], view: str
) -> None:
    other = start_server(any_kind())
    project.env.update(DJANGO_SETTINGS_MODULE="app.two_layers_settings", OTHER_REDIS_URL=other.url)
    server = project.daphne()
    project.worker("--threads", "1")
    for text in ("first", "second", "third"):
        with open_url(server, f"/{view}/{text}/") as response:
            assert response.read() == b"sent"
        assert cut(other) >= 1
    with closing(RedisChannelLayer(hosts=[other.url])) as layer:
        texts = [layer.receive(["there"])[1]["text"] for _ in range(3)]
        assert (texts, layer.receive(["there"])) == (["first", "second", "third"], (None, None))
