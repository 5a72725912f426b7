"""The names of Channels 1.x, and which of them a dotted path means.

Channels 2 and later have the same import root:
what only they have is not ours to rename, and tells their projects from those of 1.x.
"""

import re

OLD, NEW = "channels", "djchan"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*\Z", re.ASCII)

# The public names of the package itself.
_ROOT_NAMES = _words(
    "Channel DEFAULT_CHANNEL_LAYER Group __version__ channel_layers default_app_config include "
    "route route_class"
)

# Its modules, without the root.
_MODULES = _words(
    """
    apps asgi auth binding binding.base binding.websockets channel delay delay.apps
    delay.management delay.management.commands delay.management.commands.rundelay delay.migrations
    delay.models delay.worker exceptions generic generic.base generic.websockets handler log
    management management.commands management.commands.runserver management.commands.runworker
    message routing security security.websockets sessions signals staticfiles test test.base
    test.http test.liveserver test.websocket tests tests.base tests.http utils
    worker
    """
)

# What Channels 2 and later have and 1.x had not: modules, and names in modules of both.
_LATER_MODULES = _words(
    "consumer db generic.http generic.websocket http layers middleware security.websocket testing"
)
_LATER_NAMES = {
    "auth": _words("AuthMiddleware AuthMiddlewareStack UserLazyObject get_user login logout"),
    "exceptions": _words("AcceptConnection InvalidChannelLayerError MessageTooLarge StopConsumer"),
    "routing": _words("ChannelNameRouter ProtocolTypeRouter URLRouter get_default_application"),
    "sessions": _words("CookieMiddleware SessionMiddleware SessionMiddlewareStack"),
    "utils": _words("await_many_dispatch"),
}
# Modules whose other names do not tell which Channels is meant.
_OF_BOTH = _words(
    "apps exceptions management management.commands management.commands.runserver "
    "management.commands.runworker staticfiles utils worker"
)

# What has another place here as well; djchan.tests is there, but warns.
_MOVED = {"channels.tests": "djchan.test"}

# App labels: what migrations and get_model() say.
LABELS = {"channels.delay": "djchan_delay"}


def successor(dotted: str) -> str | None:
    """What a dotted path of Channels 1.x is called here; None if 1.x has no such path."""
    if dotted == OLD:
        return NEW
    module, attribute = _split(dotted)
    if module is None or is_later(dotted):
        return None
    if not module and attribute not in _ROOT_NAMES:
        return None
    for before, after in _MOVED.items():
        if dotted == before or dotted.startswith(f"{before}."):
            return after + dotted.removeprefix(before)
    return NEW + dotted.removeprefix(OLD)


def is_later(dotted: str) -> bool:
    """Whether only Channels 2 and later have this path."""
    parts = dotted.split(".")
    if parts[0] != OLD or len(parts) < 2:
        return False
    if any(".".join(parts[1:end]) in _LATER_MODULES for end in (2, 3)):
        return True
    module, attribute = _split(dotted)
    return attribute in _LATER_NAMES.get(module or "", ())


def is_of_1x(dotted: str) -> bool:
    """Whether only Channels 1.x has this path."""
    module, _ = _split(dotted)
    return dotted != OLD and successor(dotted) is not None and module not in _OF_BOTH


def _split(dotted: str) -> tuple[str | None, str]:
    """The module of 1.x that a path begins with, without the root, and the name in it."""
    parts = dotted.split(".")
    if parts[0] != OLD:
        return None, ""
    for end in range(len(parts), 1, -1):
        module = ".".join(parts[1:end])
        if module in _MODULES:
            return module, parts[end] if end < len(parts) else ""
    return "", parts[1] if len(parts) > 1 else ""
