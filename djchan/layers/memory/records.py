"""The last delivery of each connection, for the day its process dies. No I/O happens here.

From ``layers.memory.effects`` (Record) and ``layers.memory.engine`` (Reap); on to ``queues``.

::

    Record ──► kept by its process ── Push(last), forget ──► gone
                    │ Reap
                    ├─ its connection has a delivery here ──► orphan ── that has ended ──┐
                    └─ it has none ──────────────────────────────────────────────────────┴► queued
"""

import itertools
from collections import Counter

from djchan.layers.memory.queue import Delivery
from djchan.layers.memory.queues import Queues
from djchan.layers.memory.registry import Process, Registry
from djchan.layers.operations import Record


def last_delivery(record: Record) -> Delivery:
    owner = record.process, record.connection
    return Delivery(record.channel, record.payload, owner=owner)


class Records:
    def __init__(self, queues: Queues, registry: Registry, *, counters: Counter[str]) -> None:
        self._queues = queues
        self._registry = registry
        self._counters = counters
        self._orphans: dict[str, dict[str, Delivery]] = {}  # Process -> connection -> its last.

    def clear(self) -> None:
        self._orphans.clear()

    def keep(self, record: Record) -> bool:
        """False: that process is gone."""
        home = self._registry.interface(record.process)
        if home is None:
            return False
        home.records[record.connection] = last_delivery(record)
        return True

    def drop(self, process: str, connection: str) -> None:
        home = self._registry.interface(process)
        if home is not None:
            home.records.pop(connection, None)

    def bequeath(self, process: str, buried: Process) -> None:
        """Queue the records of a process that was just buried, or keep them as orphans."""
        if not buried.records and not buried.floors:
            return
        self._registry.leave_floors(process, dict(buried.floors))
        # A copy of an answered delivery commits nothing, so nothing waits for its end.
        busy = {
            each.owner[1]
            for each in itertools.chain(self._queues.numbered(), self._registry.leased())
            if each.owner is not None
            and each.owner[0] == process
            and not self._registry.is_over(each.owner, each.seq)
        }
        for connection in buried.floors.keys() - busy:
            self._registry.drop_floor(process, connection)
        for connection, last in buried.records.items():
            if connection in busy:
                self._orphans.setdefault(process, {})[connection] = last
            else:
                self._queue(last)

    def settle(self, ended: Delivery) -> None:
        """A delivery has ended; if its process is dead, what was kept because of it goes: its
        floor, and the orphan that waited for it, which is queued. A copy of an answered delivery
        keeps nothing: a later delivery may still wait or run."""
        if ended.owner is None or self._registry.interface(ended.owner[0]) is not None:
            return
        if self._registry.is_over(ended.owner, ended.seq):
            return
        process, connection = ended.owner
        self._registry.drop_floor(process, connection)
        orphans = self._orphans.get(process, {})
        last = orphans.pop(connection, None)
        if last is not None:
            if not orphans:
                del self._orphans[process]
            self._queue(last)

    def _queue(self, last: Delivery) -> None:
        if self._registry.was_served(last.channel):
            self._queues.append(last)
        else:
            self._counters[f"unserved:{last.channel}"] += 1
