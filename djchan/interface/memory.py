"""When to run a full garbage collection, and how to give its memory back.

``application`` collects rarely while it serves, since a full collection holds up every socket.
What belongs to a connection is freed without one; what a library leaves in a cycle would stay,
so a process that has grown collects all the same.
"""

import ctypes
import gc
import os
from pathlib import Path

_LIBC = ctypes.CDLL(None)
_STATM = Path("/proc/self/statm")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SHARE = 4  # A process that holds much already has to grow by a quarter of it.


class Growth:
    """Whether the process has grown since the last collection. ``step``: bytes, at least."""

    def __init__(self, step: int) -> None:
        self._step = step
        self._least: int | None = None

    def has_grown(self, resident: int) -> bool:
        if self._least is None or resident < self._least:
            self._least = resident
        return resident - self._least >= max(self._step, self._least // _SHARE)

    def collected(self, resident: int) -> None:
        """Measure growth from now on."""
        self._least = resident


def resident() -> int | None:
    """Bytes of memory that this process has; None where the system has no /proc."""
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE
    except OSError:
        return None


def collect() -> None:
    """Collect, and return the allocator's free memory to the system."""
    gc.collect()
    trim = getattr(_LIBC, "malloc_trim", None)  # glibc's.
    if trim is not None:
        trim(0)
