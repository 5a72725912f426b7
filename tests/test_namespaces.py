"""The names of Channels 1.x that docs/reference/names.md promises, by their path."""

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from djchan import Channel, Group, channel_layers, include, route
from djchan.delay.worker import Worker as DelayWorker
from djchan.generic.base import BaseConsumer
from djchan.generic.websockets import WebsocketConsumer, WebsocketMultiplexer
from djchan.handler import AsgiRequest, ViewConsumer
from djchan.message import Message
from djchan.routing import Router
from djchan.security.websockets import allowed_hosts_only
from djchan.staticfiles import StaticFilesHandler
from djchan.test import Client, WSClient
from djchan.worker import Worker

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "names.md"


def names_of_the_page() -> list[tuple[str, str, str]]:
    """(module, name, member) of each line; without a member for the name itself."""
    found = []
    for part in PAGE.read_text().split("\n## ")[1:]:
        module = part.partition("\n")[0].strip("`")
        for line in re.findall("^- (.*)$", part, re.MULTILINE):
            name, *members = re.findall("`(.*?)`", line)
            found += [(module, name, member) for member in ("", *members)]
    return found


NAMES = names_of_the_page()


class Silent(BaseConsumer):
    method_mapping: ClassVar[dict[str, str]] = {"x": "handle"}

    def handle(self, message: Any) -> None:
        pass


def say(channel: str = "x") -> Message:
    content = {"reply_channel": "r", "path": "/", "method": "GET", "order": 0}
    return Message(content, channel, "a layer")


# What has members that its class does not have.
MADE: dict[str, Callable[[], Any]] = {
    "AsgiRequest": lambda: AsgiRequest(say()),
    "BaseConsumer": lambda: Silent(say()),
    "BaseOriginValidator": lambda: allowed_hosts_only(print),
    "Channel": lambda: Channel("x"),
    "ChannelLayerWrapper": lambda: channel_layers["default"],
    "Client": Client,
    "Group": lambda: Group("x"),
    "Include": lambda: include([]),
    "Message": say,
    "Route": lambda: route("x", print),
    "Router": lambda: Router([]),
    "StaticFilesHandler": StaticFilesHandler,
    "ViewConsumer": ViewConsumer,
    "WSClient": WSClient,
    "WebsocketConsumer": lambda: WebsocketConsumer(say("websocket.disconnect")),
    "WebsocketMultiplexer": lambda: WebsocketMultiplexer("stream", Channel("x")),
    "djchan.delay.worker.Worker": lambda: DelayWorker(channel_layers["default"]),
    "djchan.worker.Worker": lambda: Worker(channel_layers["default"]),
}


@pytest.mark.filterwarnings("ignore:djchan.tests is:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:djchan.test.HttpClient is:DeprecationWarning")
@pytest.mark.parametrize(("module", "name", "member"), NAMES)
def test_name(module, name, member):
    found = getattr(importlib.import_module(module), name)
    assert found is not None
    if member and not hasattr(found, member):
        make = MADE.get(f"{module}.{name}") or MADE[name]
        # Not hasattr: an AttributeError from inside of a property is to be seen.
        getattr(make(), member)


def test_the_page_has_them_all():
    modules = {module for module, _, _ in NAMES}
    assert {"djchan", "djchan.tests.base", "djchan.binding.websockets"} <= modules
    assert len(modules) == 36
    assert len(NAMES) > 350


def test_what_projects_use_though_no_page_named_it():
    from djchan import auth, sessions
    from djchan.binding import base
    from djchan.generic import BaseConsumer as exported

    assert auth.channel_session is sessions.channel_session
    assert base.BindingMetaclass is type(base.Binding)
    assert exported is BaseConsumer


def test_djchan_tests_is_djchan_test_and_says_so():
    code = (
        "import warnings; warnings.simplefilter('error');"
        "import djchan.test; from djchan.test import Client;"
        "warnings.simplefilter('always')\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    from djchan.tests import *\n"
        "    from djchan.tests.base import ChannelTestCase as again\n"
        "assert again is ChannelTestCase is djchan.test.ChannelTestCase\n"
        "assert Client is djchan.test.Client\n"
        "print([str(each.message) for each in caught])"
    )
    assert run(code) == "['djchan.tests is djchan.test now: use that name.']\n"


def run(code):
    env = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_root_needs_neither_settings_nor_django():
    code = "import djchan, sys; print(djchan.__version__, 'django' in sys.modules)"
    assert run(code) == "2.0.0.dev0 False\n"


def test_the_wire_half_does_not_import_django():
    code = (
        "import sys, djchan.interface.application, djchan.layers.redis, djchan.layers.inmemory;"
        "print('django' in sys.modules)"
    )
    assert run(code) == "False\n"


def test_its_public_names_can_be_imported_before_the_settings():
    code = "from djchan import Channel, Group, channel_layers, include, route, route_class"
    assert run(code) == ""


def test_there_is_no_other_name():
    import djchan

    assert set(djchan.__all__) <= set(dir(djchan))
    with pytest.raises(AttributeError, match="Chanel"):
        djchan.Chanel  # noqa: B018
