"""``use_test_config``: the layers of TEST_CONFIG, for a test of several processes.

The wrappers of the layers ask ``djchan.test_mode``, here and in the processes that the test
starts.
"""

from contextlib import ExitStack

from djchan.asgi import channel_layers, no_test_config
from djchan.test.contexts import TestContext
from djchan.test_mode import TEST_CONFIG, test_mode


class use_test_config(TestContext):
    """Within, each alias of CHANNEL_LAYERS that has a TEST_CONFIG is its layer, which is emptied.

    For a ``with``, a test, or a class of tests. Workers and servers that a test starts as
    processes within use it too. Tests of one TEST_CONFIG cannot run in parallel.

    Raises InvalidChannelLayerError when there is no TEST_CONFIG.
    """

    def __init__(self) -> None:
        self._undo: list[ExitStack] = []

    def enter(self) -> None:
        """Let the layers be those of TEST_CONFIG."""
        real = [
            alias
            for alias, entry in channel_layers.configs.items()
            if {"ROUTING", TEST_CONFIG} <= entry.keys()
        ]
        if not real:
            raise no_test_config(*channel_layers.configs)
        with ExitStack() as undo:
            undo.enter_context(test_mode.using(TEST_CONFIG))
            for alias in real:
                before = channel_layers.set(alias, channel_layers.make_backend(alias))
                undo.callback(channel_layers.set, alias, before)
                layer = channel_layers[alias].channel_layer
                undo.callback(layer.close)
                layer.flush()
            self._undo.append(undo.pop_all())

    def exit(self, *exc: object) -> None:
        """Let them be what they were."""
        self._undo.pop().close()
