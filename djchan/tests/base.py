"""``djchan.test.base`` by its name in early Channels 1.x.

From a project's tests; on to ``djchan.test.base``.
"""

from djchan.test.base import (
    ChannelTestCase,
    ChannelTestCaseMixin,
    Client,
    TransactionChannelTestCase,
    apply_routes,
)

__all__ = [
    "ChannelTestCase",
    "ChannelTestCaseMixin",
    "Client",
    "TransactionChannelTestCase",
    "apply_routes",
]
