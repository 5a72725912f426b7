"""``djchan.test`` by its name in early Channels 1.x, which projects still import.

From a project's tests; on to ``djchan.test``.
"""

import warnings
from typing import TYPE_CHECKING, Any

from djchan import test

if TYPE_CHECKING:
    from djchan.test import *  # noqa: F403

__all__: list[str] = []
__all__ += test.__all__

warnings.warn("djchan.tests is djchan.test now: use that name.", DeprecationWarning, stacklevel=2)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        # Loaded at their first use there, so here too.
        return getattr(test, name)
