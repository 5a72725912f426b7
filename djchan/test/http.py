"""``HttpClient``: Channels 1.x's older name of ``WSClient``.

From a project's tests; on to ``test.websocket``.
"""

import warnings

from djchan.test.websocket import WSClient

warnings.warn(
    "djchan.test.HttpClient is djchan.test.WSClient now: use that name.",
    DeprecationWarning,
    stacklevel=2,
)

HttpClient = WSClient
