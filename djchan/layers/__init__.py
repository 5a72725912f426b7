"""Channel layers: one contract, over one process's memory or over Redis.

``djchan.layers.get_channel_layer`` is Channels 4's function of that name, for a project that
replaced ``channels`` by ``djchan`` in all of its imports; it is loaded when it is asked for,
since nothing in this package may need Django.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:

    def get_channel_layer(alias: str = "default") -> Any: ...

else:

    def __getattr__(name: str) -> Any:
        if name == "get_channel_layer":
            return import_module("channels.layers").get_channel_layer
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
