"""``ChannelTestCase``: Django's test cases, with a channel layer of their own for each test.

From a project's tests; on to ``djchan.asgi.channel_layers``, where a layer in memory stands
under each alias while a test runs::

    setUpClass ──► run(): fresh layers ──► setUp ──► test ──► tearDown, cleanups ──► as before

The layers are exchanged in ``run()``, around all of that: a project that overrides ``setUp``
need not call ours, and Django's own hook of Channels 1.x's days is one for the class now.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import TestResult

from django.test import TestCase, TransactionTestCase

from djchan import DEFAULT_CHANNEL_LAYER
from djchan.asgi import ChannelLayerWrapper, channel_layers
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.message import Message
from djchan.test.client import Client, next_message
from djchan.test.routes import apply_routes

__all__ = [
    "ChannelTestCase",
    "ChannelTestCaseMixin",
    "Client",
    "TransactionChannelTestCase",
    "apply_routes",
]

# Of asgiref 1.x's layer in memory: projects' tests fill a channel with ten messages.
CAPACITY = 10

if TYPE_CHECKING:
    _Case = TransactionTestCase  # What the mixin is used with.
else:
    _Case = object


class ChannelTestCaseMixin(_Case):
    """Replaces each layer of ``test_channel_aliases`` by a new one, for the time of a test.

    Each has the routes of the layer that it stands for, and no default ones.
    """

    test_channel_aliases: Sequence[str] = [DEFAULT_CHANNEL_LAYER]

    def run(self, result: TestResult | None = None) -> TestResult | None:
        with _fresh(self.test_channel_aliases):
            ran: TestResult | None = super().run(result)
        return ran

    def debug(self) -> None:
        with _fresh(self.test_channel_aliases):
            super().debug()

    def get_next_message(
        self, channel: str, alias: str = DEFAULT_CHANNEL_LAYER, require: bool = False
    ) -> Message | None:
        """Take the next message off ``channel``; None, or with ``require`` a failure, without."""
        message = next_message(channel_layers[alias], channel)
        if message is None and require:
            self.fail(f"Expected a message on the channel {channel!r} ({alias}), but got none.")
        return message


class ChannelTestCase(ChannelTestCaseMixin, TestCase):
    """Django's ``TestCase`` with a layer of its own for each test."""


class TransactionChannelTestCase(ChannelTestCaseMixin, TransactionTestCase):
    """Django's ``TransactionTestCase`` with a layer of its own for each test."""


@contextmanager
def _fresh(aliases: Sequence[str]) -> Iterator[None]:
    """A layer in memory under each alias inside; afterwards what was there before."""
    before: list[tuple[str, Any]] = []
    fresh: list[ChannelLayerWrapper] = []
    try:
        for alias in aliases:
            real = channel_layers[alias]
            wrapper = ChannelLayerWrapper(
                InMemoryChannelLayer(capacity=CAPACITY),
                alias,
                copy.copy(real.routing),
                worker_options=real.worker_options,
            )
            before.append((alias, channel_layers.set(alias, wrapper)))
            fresh.append(wrapper)
        yield
    finally:
        for alias, was in reversed(before):
            channel_layers.set(alias, was)
        for wrapper in fresh:
            wrapper.channel_layer.close()
