"""``djchan.test`` by its name in early Channels 1.x, which projects still import.

From a project's tests; on to ``djchan.test``.
"""

import warnings
from typing import Any

from djchan import test

__all__ = list(test.__all__)

warnings.warn("djchan.tests is djchan.test now: use that name.", DeprecationWarning, stacklevel=2)


def __getattr__(name: str) -> Any:
    # Loaded at their first use there, so here too.
    return getattr(test, name)
