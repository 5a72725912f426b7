"""What the three kinds of consumers say to the group, and whom they refuse."""

import json
import os

import pytest
from asgiref.sync import async_to_sync
from channels.testing import WebsocketCommunicator
from django.utils.module_loading import import_string

from realtime import asgi, settings
from realtime.together.lines import LENGTH, said
from tests.realtime.site import SOCKET, socket

PATH = "/ws/together/outside/"


class TestOutside:
    def test_joins(self, sent):
        socket("connect", PATH)
        assert [call[:3] for call in sent] == [
            ("send", SOCKET, {"accept": True}),
            ("add", "together", SOCKET),
        ]

    def test_says_it_to_both_worlds_in_one_message(self, sent):
        socket("receive", PATH, text=" hello ")
        ((verb, group, message, _),) = sent
        assert (verb, group, message["type"]) == ("group_send", "together", "together.said")
        line = {"where": "outside", "process": os.getpid(), "text": "hello"}
        assert json.loads(message["text"]) == line

    @pytest.mark.parametrize("frame", [{"text": " "}, {"bytes": b"x"}, {"text": "x" * 501}])
    def test_what_is_no_line_is_refused_to_its_sender_alone(self, sent, frame):
        socket("receive", PATH, **frame)
        assert [call[:2] for call in sent] == [("send", SOCKET)]
        assert "refused" in json.loads(sent[0].what["text"])

    def test_leaves(self, sent):
        socket("disconnect", PATH, code=1001)
        assert [call[:3] for call in sent] == [("discard", "together", SOCKET)]


def test_a_line_has_a_limit():
    assert json.loads(said("json", "x" * LENGTH)["text"])["text"] == "x" * LENGTH
    with pytest.raises(ValueError, match="501 characters; 500 are allowed"):
        said("json", "x" * 501)


# Channels 4's consumers look after the database's connections at each message.
@pytest.mark.django_db
class TestInside:
    """Run as the server runs them, by what it is given to run; no worker is there."""

    @pytest.fixture(autouse=True)
    def over_a_layer_in_memory(self, settings):
        settings.CHANNEL_LAYERS = {
            "default": {
                "BACKEND": "djchan.layers.inmemory.InMemoryChannelLayer",
                "ROUTING": "realtime.routing.channel_routing",
            }
        }

    @async_to_sync
    async def ask(self, path: str, *frames: str, origin: bytes = b"http://localhost"):
        """What comes back; None where the socket is refused."""
        ours = [(b"origin", origin)] if origin else []
        client = WebsocketCommunicator(asgi.application, path, headers=ours)
        connected, _ = await client.connect(timeout=5)
        if not connected:
            return None
        answers = []
        for frame in frames:
            await client.send_to(text_data=frame)
            answers.append(json.loads(await client.receive_from(timeout=5)))
        await client.disconnect()
        return answers

    def test_text(self):
        (answer,) = self.ask("/ws/together/inside/", "hello")
        assert answer == {"where": "inside", "process": os.getpid(), "text": "hello"}

    def test_json(self):
        (answer,) = self.ask("/ws/together/json/", '{"text": "hello"}')
        assert answer == {"where": "json", "process": os.getpid(), "text": "hello"}

    @pytest.mark.parametrize("name", ["inside", "json"])
    def test_what_is_no_line_is_refused_and_the_socket_stays(self, name):
        good = "fine" if name == "inside" else '{"text": "fine"}'
        bad = [" ", "x" * 600] if name == "inside" else ["no JSON", "[1]", '{"text": 1}']
        bad.append("[" * 100_000)
        *refusals, answer = self.ask(f"/ws/together/{name}/", *bad, good)
        assert [list(refusal) for refusal in refusals] == [["refused"]] * len(bad)
        assert answer["text"] == "fine"

    @pytest.mark.parametrize("name", ["inside", "json"])
    @pytest.mark.parametrize("origin", [b"http://evil.example", b""])
    def test_a_page_of_another_site_is_not_let_in(self, name, origin):
        assert self.ask(f"/ws/together/{name}/", "hello", origin=origin) is None


def test_everything_else_goes_to_the_layer():
    assert asgi.application.app is asgi.channel_layer
    assert asgi.application.fallback is asgi.other_sockets
    assert asgi.other_sockets.routes[-1].callback is asgi.channel_layer
    assert import_string(settings.ASGI_APPLICATION) is asgi.application
