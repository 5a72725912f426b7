"""What the tests of a channel layer stand on: the layer, another over the same store, threads.

From ``test.layer_messages`` and ``test.layer_limits``; on to the layer under test, by the
names of Channels 1.x alone, so that a layer needs nothing of djchan's to be tested.
"""

import threading
import time
import unittest
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

Got = tuple[str | None, dict[str, Any] | None]

PATIENCE = 20.0  # Seconds for what must happen.


class LayerCase(unittest.TestCase):
    """See ``test.conformance.ConformanceTestCase`` for the attributes."""

    # The abstract class is not collected; those made of it are.
    __test__ = False

    channel_layer: ClassVar[Any] = None
    expiry_delay: ClassVar[float | None] = None
    capacity_limit: ClassVar[int | None] = None
    receive_tries: ClassVar[int] = 1
    group_expiry_delay: ClassVar[float | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__test__ = cls.__dict__.get("__test__", True)

    def setUp(self) -> None:
        super().setUp()
        if self.channel_layer is None:
            # unittest does not ask __test__.
            self.skipTest("an abstract class: give yours a channel_layer")
        if self.expiry_delay is None:
            self.fail("Give the class an expiry_delay: seconds, a little above the layer's expiry.")
        if "flush" in self.channel_layer.extensions:
            self.channel_layer.flush()

    def make_layer(self, **options: Any) -> Any:
        """Another layer with these options over the same store; None: cannot be had.

        For tests of ``channel_capacity`` and ``symmetric_encryption_keys``, which are skipped
        when this is not overridden.
        """
        return None

    # ------------------------------------------------------------------ words

    @property
    def room(self) -> int:
        """Messages that a channel takes for sure."""
        return self.capacity_limit or 20

    def needs(self, extension: str) -> None:
        """Skip the test on a layer that does not have it."""
        if extension not in self.channel_layer.extensions:
            self.skipTest(f"the layer has no extension {extension!r}")

    def needs_capacity(self) -> int:
        if self.capacity_limit is None:
            self.skipTest("the class has no capacity_limit")
        return self.capacity_limit

    def other_layer(self, **options: Any) -> Any:
        layer = self.make_layer(**options)
        if layer is None:
            self.skipTest(f"make_layer makes no layer with {', '.join(options)}")
        return layer

    def receive(self, channels: Iterable[str], layer: Any = None) -> Got:
        """Ask ``receive_tries`` times: a layer of several stores may look at one each time."""
        layer = self.channel_layer if layer is None else layer
        got: Got = None, None
        for _ in range(self.receive_tries):
            got = layer.receive(list(channels))
            if got[0] is not None:
                break
        return got

    def drained(self, channel: str) -> list[Got]:
        """All that is on the channel, in order."""
        found = []
        while (got := self.receive([channel]))[0] is not None:
            found.append(got)
        return found

    def assert_empty(self, *channels: str) -> None:
        self.assertEqual(self.receive(channels), (None, None))

    def fill(self, channel: str, number: int, layer: Any = None) -> None:
        for index in range(number):
            (layer or self.channel_layer).send(channel, {"n": index})

    def wait_for_expiry(self) -> None:
        assert self.expiry_delay is not None
        # Nothing shows that a message has expired but its absence.
        time.sleep(self.expiry_delay)

    def in_threads(self, *works: Callable[[], None]) -> None:
        """Run them at once; an error of one of them is the test's."""
        errors: list[BaseException] = []

        def run(work: Callable[[], None]) -> None:
            try:
                work()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=run, args=(work,), daemon=True) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        if errors:
            raise errors[0]
        self.assertFalse(any(thread.is_alive() for thread in threads), "A thread does not end.")
