"""What takes the place of configured layers while tests run (``djchan.test_mode``).

Two wrappers with the same BACKEND and CONFIG are one store in production: the ``channel_layer`` of
an asgi.py that a test imports, say, and what the manager made anew when a test had overridden
CHANNEL_LAYERS. So they have one layer in memory, too.
"""

import threading
import weakref
from collections.abc import Callable, Mapping

from djchan import forks
from djchan.layers.base import BaseChannelLayer
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.test_mode import TEST_CONFIG, test_mode


class MemoryStandIn:
    """A layer in memory, which is emptied when a test begins.

    ``configured``: the layer that it stands in for; itself, where that is in memory.
    """

    def __init__(self, configured: BaseChannelLayer) -> None:
        self._configured = configured
        self._layer: BaseChannelLayer | None = None
        self._test: int | None = None  # The one that used it last.
        self._lock = threading.Lock()  # While it is emptied, nobody sends.
        forks.give_back_in_child(self)

    def get(self) -> BaseChannelLayer:
        test = test_mode.test()
        if self._layer is None or test != self._test:
            with self._lock:
                if self._layer is None:
                    self._layer = self._make()
                if test != self._test:
                    getattr(self._layer, "begin_test", self._layer.flush)()
                    self._test = test
        return self._layer

    def give_back(self) -> None:
        """In a forked child: a thread that held the lock is not here."""
        self._lock = threading.Lock()

    def _make(self) -> BaseChannelLayer:
        if self._configured.engine.local_only:
            return self._configured
        # A layer with a behavior of its own says how that is had in memory.
        make = getattr(self._configured, "in_memory", InMemoryChannelLayer)
        layer: BaseChannelLayer = make()
        layer.follow(self._configured)
        return layer


class StandIns:
    """Those of the layers that a manager has made, while anybody has them."""

    def __init__(self) -> None:
        self._found: weakref.WeakKeyDictionary[MemoryStandIn, tuple[object, object]] = (
            weakref.WeakKeyDictionary()
        )

    def of(self, entry: Mapping[str, object], configured: BaseChannelLayer) -> MemoryStandIn:
        """The one for an entry of CHANNEL_LAYERS, whose layer is ``configured``."""
        if configured.engine.local_only:
            return MemoryStandIn(configured)
        store = entry["BACKEND"], entry.get("CONFIG") or {}
        for stand_in, other in tuple(self._found.items()):
            if store == other:
                return stand_in
        made = MemoryStandIn(configured)
        self._found[made] = store
        return made


class TestLayers:
    """The layers of one wrapper while tests run.

    ``of_test_config``: makes the layer of TEST_CONFIG; None: the entry has none.
    """

    __test__ = False  # For pytest, which would collect it for its name.

    def __init__(
        self,
        in_memory: MemoryStandIn,
        of_test_config: Callable[[], BaseChannelLayer] | None,
    ) -> None:
        self._in_memory = in_memory
        self._of_test_config = of_test_config
        self._real: BaseChannelLayer | None = None

    def get(self, which: str) -> BaseChannelLayer:
        """The layer of TEST_CONFIG; without one, or with MEMORY, the one in memory.

        Raises InvalidChannelLayerError.
        """
        if which != TEST_CONFIG or self._of_test_config is None:
            return self._in_memory.get()
        if self._real is None:
            self._real = self._of_test_config()
        return self._real
