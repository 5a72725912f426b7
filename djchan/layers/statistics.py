"""How much is on a layer, and how much was: the statistics of Channels 1.x.

From projects and the monitors that they run; on to a link.
"""

from collections.abc import Mapping

from djchan import names
from djchan.exceptions import UndecodableEnvelope
from djchan.layers import codec
from djchan.layers.calls import Calls
from djchan.layers.operations import Connected, Counters, Length, Oldest, Usage, Used, Waiting


class Statistics(Calls):
    """The part of a layer that counts."""

    def global_statistics(self) -> dict[str, int]:
        """``messages_count``: that are or were on the layer's channels; ``channel_full_count``:
        sends that were refused. Since the layer was flushed, or began."""
        counters, waiting = self._repeat(Counters(), Waiting())
        return {
            "messages_count": _total(counters, "taken:") + sum(waiting.values()),
            "channel_full_count": _total(counters, "full:"),
        }

    def waiting(self) -> dict[str, int]:
        """How many messages wait, by channel, where some do."""
        waiting: dict[str, int] = self._repeat(Waiting())[0]
        return waiting

    def usage(self) -> Used:
        """Bytes that wait, are parked, are delayed, and are dead letters, each by channel."""
        used: Used = self._perform(Usage())
        return used

    def sees_connections(self) -> bool:
        """Whether processes can see, at the broker, which others are connected."""
        (connected,) = self._repeat(Connected("", "1"))
        return connected is not None

    def channel_statistics(self, channel: str) -> dict[str, int]:
        """The same of one channel, with ``messages_pending``: that wait; ``messages_max_age``:
        seconds that the first of them has waited. Process-local channels are counted by prefix,
        single-reader channels too, but for those that wait."""
        queue = names.non_local(names.check_channel(channel))
        counters, pending, oldest = self._repeat(Counters(), Length(queue), Oldest(queue))
        return {
            "messages_count": counters.get(names.counter("taken", queue), 0) + pending,
            "messages_pending": pending,
            "messages_max_age": self._age(oldest),
            "channel_full_count": counters.get(names.counter("full", queue), 0),
        }

    def _age(self, payload: bytes | None) -> int:
        """Whole seconds since the delivery ``payload`` was made; 0 for what is none."""
        try:
            created = 0 if payload is None else codec.decode_envelope(payload).created
        except UndecodableEnvelope:
            created = 0
        return max(0, self.now() - created) // 1000 if created else 0


def _total(counters: Mapping[str, int], prefix: str) -> int:
    return sum(value for name, value in counters.items() if name.startswith(prefix))
