"""Which channels have a worker, as far as this process was told. No I/O happens here.

From the results of sends with ``if_served``; on to the connections, which ask how long a
frame for a channel that nobody serves now should wait.

::

    unknown ──ok──► served ──unserved──► away ──longer than ``away``──► unknown
       └──unserved──► maybe never ──longer than ``unknown``──► never (dropped at once)

A project that has no consumer for websocket.disconnect must not pile those messages up; one
whose workers just restart must not lose them.
"""

_PAUSE = 1.0


class Served:
    """``unknown``, ``away``: seconds to wait for a channel never, or once, served."""

    def __init__(self, *, unknown: float, away: float) -> None:
        self._unknown = unknown
        self._away = away
        self._served: set[str] = set()
        self._missing: dict[str, tuple[float, float]] = {}  # channel -> first, last unserved

    def known(self, channel: str) -> bool:
        return channel in self._served

    def ok(self, channel: str) -> None:
        self._served.add(channel)
        self._missing.pop(channel, None)

    def unserved(self, channel: str, now: float) -> bool:
        """Nobody served it at ``now``. Answers whether it is worth to wait and ask again."""
        first, last = self._missing.get(channel, (now, now))
        if now - last > self._unknown + _PAUSE:
            first = now  # That was another time.
        self._missing[channel] = (first, now)
        if now - first < (self._away if channel in self._served else self._unknown):
            return True
        self._served.discard(channel)
        return False

    def hopeless(self, channel: str, now: float) -> bool:
        """Not served a second ago: not worth to ask for something that may be left out."""
        missing = self._missing.get(channel)
        return missing is not None and now - missing[1] < _PAUSE
