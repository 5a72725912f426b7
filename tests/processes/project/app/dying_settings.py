"""The project, in a worker that dies as soon as it has read the first chunk of a body."""

import os
import signal
from typing import Any

from app.settings import *  # noqa: F403
from djchan.layers.bodies import Readers


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


Readers.last = die  # type: ignore[method-assign]
