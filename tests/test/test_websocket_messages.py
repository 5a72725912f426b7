"""``WSClient`` hands consumers what the interface does: compared with a real Daphne's messages."""

import ast
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from djchan import route
from djchan.test import ChannelTestCase, WSClient, apply_routes
from tests.support.processes import Processes
from tests.support.servers import Server
from tests.support.waiting import wait_for

PROJECT = Path(__file__).parent / "suite"
# /a b/é/, and a query string that is not all ASCII.
PATH, QUERY = "/a%20b/%C3%A9/", "q=1&q=%C3%A9&empty="

pytestmark = pytest.mark.timeout(60)

Sent = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def of_daphne(own_broker: Server, processes: Processes, tmp_path: Path) -> Sent:
    """The messages of one connection: connect, a text, bytes, disconnect."""
    marks = tmp_path / "marks"
    env = {
        "DJANGO_SETTINGS_MODULE": "suite.settings",
        "REDIS_URL": own_broker.url,
        "TEST_REDIS_URL": "",
        "FOLDER": str(tmp_path),
        "MARKS": str(marks),
    }
    daphne = processes.daphne("suite.asgi:channel_layer", env=env, cwd=PROJECT)
    processes.runworker(env=env, cwd=PROJECT).wait_printed(r"djchan worker \S+ is ready")
    url = f"ws://127.0.0.1:{daphne.port}{PATH}?{QUERY}"
    headers = {"Cookie": "color=blue", "X-Twice": "1"}
    with connect(url, additional_headers=headers, open_timeout=10) as client:
        for frame in ("text", b"bytes"):
            client.send(frame)
            assert client.recv(timeout=10) == "noted"
    wait_for(lambda: "websocket.disconnect" in marks.read_text(), timeout=10, what="the disconnect")
    return [ast.literal_eval(line) for line in marks.read_text().splitlines()]


def of_client() -> Sent:
    """The same of a WSClient, as its consumers get them."""
    found: Sent = []

    def note(message: Any) -> None:
        found.append((message.channel.name, message.content))
        if message.channel.name == "websocket.connect":
            message.reply_channel.send({"accept": True})

    client = WSClient(ordered=True)
    client.set_cookie("color", "blue")
    client.set_header("X-Twice", b"1")
    client._sends_session = False  # Nobody has logged in there.
    names = ["websocket.connect", "websocket.receive", "websocket.disconnect"]
    with apply_routes([route(name, note) for name in names]):
        client.send_and_consume("websocket.connect", path=f"{PATH}?{QUERY}")
        client.send_and_consume("websocket.receive", text="text", path=PATH)
        client.send_and_consume("websocket.receive", {"bytes": b"bytes"}, path=PATH)
        client.send_and_consume("websocket.disconnect", path=PATH)
    return found


def shape(value: Any) -> Any:
    """Of which kinds a value is made."""
    if isinstance(value, list):
        return [shape(each) for each in value]
    return type(value)


class TestMessages(ChannelTestCase):
    @pytest.fixture(autouse=True)
    def _of_daphne(self, of_daphne: Sent) -> None:
        self.of_daphne = of_daphne

    def test_each_is_that_of_a_daphne(self) -> None:
        mine = of_client()
        self.assertEqual(
            [channel for channel, _ in mine], [channel for channel, _ in self.of_daphne]
        )
        for (channel, ours), (_, theirs) in zip(mine, self.of_daphne, strict=True):
            with self.subTest(channel, order=theirs["order"]):
                headers = dict(ours.pop("headers", ())), dict(theirs.pop("headers", ()))
                self.assertEqual(ours.keys(), theirs.keys())
                # What is that client's own, and of the handshake.
                for key in ("reply_channel", "client", "server"):
                    self.assertEqual(shape(ours.pop(key, None)), shape(theirs.pop(key, None)))
                self.assertEqual(ours, theirs)
                for name in headers[0].keys() - {b"host"}:
                    self.assertEqual(headers[0][name], headers[1][name])
                self.assertEqual(b"host" in headers[0], b"host" in headers[1])
