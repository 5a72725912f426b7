"""The layer inside one process: for ``runserver``, tests, and sites of one process.

From settings (``djchan.asgi``) and tests; on to ``layers.memory``. Its interfaces and
workers are threads and event loops of one interpreter, which share this object.
"""

from typing import Any

from djchan.layers.base import BaseChannelLayer
from djchan.layers.memory.links import MemoryEngine


class InMemoryChannelLayer(BaseChannelLayer):
    """A channel layer of its own; takes the options of ``BaseChannelLayer``.

    Unlike the one of asgiref 1.x it minds ``channel_capacity``, refuses what could not
    travel over Redis either, and its default capacity is that of every layer.
    """

    def __init__(self, **options: Any) -> None:
        self._memory = MemoryEngine(self.now)
        super().__init__(engine=self._memory, **options)

    def set_clock(self, now: int) -> None:
        """Nothing: its clock is this process's."""

    def move_clock(self, milliseconds: float) -> None:
        """Let so much time have passed: what is delayed is due earlier. For tests."""
        self._clock_offset += milliseconds

    def begin_test(self) -> None:
        """Be empty, at the present time; not while workers of this process serve it."""
        if not self._memory.has_workers():
            self.flush()
            self._clock_offset = 0.0


ChannelLayer = InMemoryChannelLayer  # The name in asgiref.inmemory, of 1.x settings files.
