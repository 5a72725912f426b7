"""Which dotted paths are Channels 1.x's, and which are a later Channels'."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

import djchan
from djchan.upgrade import names
from djchan.upgrade.names import is_later, is_of_1x, successor

PAGE = Path(djchan.__file__).parents[1] / "docs/reference/names.md"


@pytest.mark.parametrize(
    "dotted",
    [
        "channels.Group",
        "channels.asgi",
        "channels.asgi.get_channel_layer",
        "channels.binding.websockets.WebsocketBinding",
        "channels.delay",
        "channels.generic.websockets",
        "channels.management.commands.runserver.Command.server_cls",
        "channels.sessions.channel_session.load",
        "channels.test.ChannelTestCase",
    ],
)
def test_a_name_of_1x(dotted: str):
    assert successor(dotted) == "djchan" + dotted.removeprefix("channels")
    assert not is_later(dotted)


@pytest.mark.parametrize(
    "dotted",
    [
        "channels.auth.AuthMiddlewareStack",
        "channels.consumer.AsyncConsumer",
        "channels.db",
        "channels.generic.websocket.WebsocketConsumer",
        "channels.layers.InMemoryChannelLayer",
        "channels.routing.ProtocolTypeRouter",
        "channels.security.websocket",
        "channels.testing",
    ],
)
def test_a_name_of_a_later_channels(dotted: str):
    assert successor(dotted) is None
    assert is_later(dotted)


@pytest.mark.parametrize(
    "dotted", ["channels.views", "channels.models.Channel", "mychannels.Group"]
)
def test_a_name_of_neither(dotted: str):
    assert successor(dotted) is None
    assert not is_later(dotted)


def test_the_root_alone():
    assert successor("channels") == "djchan"
    assert not is_of_1x("channels")


@pytest.mark.parametrize("dotted", ["channels.exceptions.DenyConnection", "channels.worker.Worker"])
def test_what_both_have_does_not_tell_which_it_is(dotted: str):
    assert successor(dotted)
    assert not is_of_1x(dotted)
    assert not is_later(dotted)


@pytest.mark.parametrize("name", ["", ".base", ".http", ".WSClient", ".base.ChannelTestCase"])
def test_the_old_place_of_the_test_tools_is_left(name: str):
    assert successor(f"channels.tests{name}") == f"djchan.test{name}"


def test_every_module_is_here():
    here = [successor(f"channels.{name}") or "" for name in sorted(names._MODULES)]

    assert [name for name in here if find_spec(name) is None] == []


def test_every_documented_name_is_rewritten():
    here = re.split(r"^## `djchan", PAGE.read_text().split("\n## Names that")[0], flags=re.M)[1:]
    for part in here:
        module = "channels" + part.partition("`")[0]
        for name in re.findall(r"^- `(\w+)`", part, re.M):
            assert successor(f"{module}.{name}"), f"{module}.{name}"
