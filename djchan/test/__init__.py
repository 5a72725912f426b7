"""What a project tests its consumers with. The names are loaded at their first use.

``ChaosLayer``: a channel layer that makes faults, by seed (``test.chaos``).
``work_off``: run what waits, in this thread, until nothing does (``test.work``).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from djchan.test.chaos import ChaosLayer
    from djchan.test.work import work_off

__all__ = ["ChaosLayer", "work_off"]

_HOMES = {
    "ChaosLayer": "djchan.test.chaos",
    "work_off": "djchan.test.work",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
