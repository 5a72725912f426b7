"""What happens when Django starts: checks and bindings are registered, Channels 4 learns of us.

From ``django.setup()``; on to ``djchan.checks``, ``djchan.binding`` and ``channels.layers``.
Channels 4 refuses an entry of CHANNEL_LAYERS with a ROUTING, so each of those is given to its
table under its alias; a test that overrides CHANNEL_LAYERS empties that table, and it is filled
again. An entry that lacks its ROUTING is given to it, too: it raises at its first use what the
system check says (E003), and Daphne, which runs no checks, logs that at its start.
"""

import logging
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from channels.layers import channel_layers as channels4_layers
from django.apps import AppConfig
from django.core import checks
from django.core.signals import setting_changed

from djchan.asgi import channel_layers, check_entry
from djchan.binding.base import BindingMetaclass
from djchan.checks import TAG, check_app_order, check_brokers, check_layers
from djchan.deploy_checks import DEPLOY_CHECKS
from djchan.exceptions import InvalidChannelLayer
from djchan.interface.reactor import when_running
from djchan.log import escaping
from djchan.logging_setup import setup_logging
from djchan.reload import wait_after_errors

logger = escaping(logging.getLogger(__name__))


class ChannelsConfig(AppConfig):
    name = "djchan"
    label = "djchan"
    verbose_name = "djchan"

    def __init__(self, app_name: str, app_module: ModuleType | None) -> None:
        super().__init__(app_name, app_module)
        wait_after_errors()  # Django imports the models of all apps next.

    def ready(self) -> None:
        checks.register(check_layers, TAG)
        checks.register(check_app_order, TAG)
        checks.register(check_brokers, TAG, deploy=True)
        for check in DEPLOY_CHECKS:
            checks.register(check, TAG, deploy=True)
        setup_logging()
        tell_channels4()
        # After Channels 4's own receiver, which was connected when it was imported above.
        setting_changed.connect(_tell_again, dispatch_uid="djchan.apps.tell_channels4")
        # The project's asgi.py may set up Django, and with it logging, again.
        when_running(setup_logging)
        when_running(log_unusable_entries)
        BindingMetaclass.register_all()


class Channels4Alias:
    """What Channels 4 knows under an alias: the layer that has that alias now.

    Nothing is built before it is used, and a layer that a test puts in its place counts.
    """

    def __init__(self, alias: str) -> None:
        self._alias = alias

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(channel_layers[self._alias].channels4, name)

    def __repr__(self) -> str:
        return f"<Channels4Alias {self._alias}>"


def tell_channels4() -> None:
    """Give Channels 4 a layer for every alias that is djchan's."""
    for alias, _ in _entries_of_djchan():
        # It behaves like a layer of theirs.
        channels4_layers.set(alias, Channels4Alias(alias))  # pyright: ignore[reportArgumentType]


def log_unusable_entries() -> None:
    """Log what the system checks say of entries that lack something."""
    for alias, entry in _entries_of_djchan():
        try:
            check_entry(alias, entry)
        except InvalidChannelLayer as error:
            logger.error("%s", error)


def _entries_of_djchan() -> Iterator[tuple[str, dict[str, Any]]]:
    """The entries of CHANNEL_LAYERS that have a ROUTING, or a BACKEND that needs one."""
    try:
        configs = channel_layers.configs
    except InvalidChannelLayer:
        return  # A system check says so, in a better place than django.setup().
    for alias, entry in configs.items():
        if isinstance(entry, dict) and (
            "ROUTING" in entry or str(entry.get("BACKEND")).startswith("djchan.layers.")
        ):
            yield alias, entry


def _tell_again(*, setting: str, **kwargs: Any) -> None:
    if setting == "CHANNEL_LAYERS":
        tell_channels4()
