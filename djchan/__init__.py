"""Django Channels 1.x's worker architecture on today's Django, Daphne and Redis.

The seven public names of Channels 1.x live here and are loaded at first use, so that
``import djchan`` needs neither settings nor Django.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from djchan.asgi import channel_layers
    from djchan.channel import Channel, Group
    from djchan.routing import include, route, route_class

__version__ = "2.0.0.dev0"

DEFAULT_CHANNEL_LAYER = "default"

# Of Channels 1.x; Django finds the AppConfig by itself.
default_app_config = "djchan.apps.ChannelsConfig"

__all__ = [
    "DEFAULT_CHANNEL_LAYER",
    "Channel",
    "Group",
    "__version__",
    "channel_layers",
    "include",
    "route",
    "route_class",
]

_HOMES = {
    "channel_layers": "djchan.asgi",
    "Channel": "djchan.channel",
    "Group": "djchan.channel",
    "include": "djchan.routing",
    "route": "djchan.routing",
    "route_class": "djchan.routing",
}


if not TYPE_CHECKING:  # Which would take it for every name.

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
