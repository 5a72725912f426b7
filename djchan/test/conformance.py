"""Whether a channel layer keeps Channels 1.x's contract: tests for authors of layers.

From the tests of a layer, as a base class; on to ``test.layer_messages`` and
``test.layer_limits``, which ask the layer, by the names of the 1.x face::

    class MyLayerTests(ConformanceTestCase):
        channel_layer = MyLayer(expiry=1, capacity=5)
        expiry_delay = 1.1
        capacity_limit = 5

        def make_layer(self, **options):
            return MyLayer(expiry=1, **options)

unittest and pytest both run it. It talks to the layer as consumers, workers and interface
servers of a 1.x project do, looks at nothing behind it, and empties it before each test.
"""

from djchan.test.layer_limits import LimitTests
from djchan.test.layer_messages import MessageTests


class ConformanceTestCase(MessageTests, LimitTests):
    """Set in a subclass:

    ``channel_layer``: the layer. ``expiry_delay``: seconds after which a message that nobody
    took has expired. ``capacity_limit``: its capacity, for which it should be small; None skips
    the tests of it. ``receive_tries``: how often to ask a layer of several stores before a
    channel counts as empty. ``group_expiry_delay``: seconds after which a channel that was not
    added again is no member any more; None: membership has no age limit.
    ``make_layer(**options)``: see LayerCase.
    """

    __test__ = False
