"""Every name of Channels 1.x that this version has, by its path with the new root."""

import importlib
import os
import subprocess
import sys

import pytest

NAMES = {
    "djchan": "__version__ DEFAULT_CHANNEL_LAYER channel_layers Channel Group route route_class "
    "include",
    "djchan.apps": "ChannelsConfig",
    "djchan.asgi": "InvalidChannelLayerError ChannelLayerManager ChannelLayerWrapper "
    "channel_layers get_channel_layer get_asgi_application channel_layer",
    "djchan.channel": "Channel Group",
    "djchan.exceptions": "ConsumeLater ResponseLater RequestTimeout RequestAborted "
    "DenyConnection ChannelSocketException WebsocketCloseException "
    "SendNotAvailableOnDemultiplexer",
    "djchan.handler": "AsgiRequest AsgiHandler ViewConsumer",
    "djchan.log": "setup_logger handler",
    "djchan.management.commands.runserver": "Command",
    "djchan.management.commands.runworker": "Command",
    "djchan.message": "Message PendingMessageStore pending_message_store",
    "djchan.routing": "Router Route RouteClass Include route route_class include null_consumer "
    "connect_consumer",
    "djchan.security.websockets": "BaseOriginValidator AllowedHostsOnlyOriginValidator "
    "allowed_hosts_only",
    "djchan.signals": "consumer_started consumer_finished worker_ready worker_process_ready",
    "djchan.staticfiles": "StaticFilesHandler StaticFilesConsumer",
    "djchan.utils": "name_that_thing",
    "djchan.worker": "Worker WorkerGroup",
}


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module in NAMES for name in NAMES[module].split()]
)
def test_name(module, name):
    assert getattr(importlib.import_module(module), name) is not None


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
