"""Socket views: one coroutine per WebSocket, inside the interface process, and no queue.

From ``djchan.urls``, which finds the view of a path; on to the view, with a ``Socket``::

    server ──► application ──► run ──► your view ◄──► socket ──► server
                                                      ├── state     what may be called now
                                                      ├── backlog   frames that nobody took yet
                                                      └── content   frames to values and back

Nothing here crosses the channel layer: what a view does, it does in the process that holds the
sockets, and its sockets end with that process.
"""

from djchan.sockets.socket import Socket

__all__ = ["Socket"]
