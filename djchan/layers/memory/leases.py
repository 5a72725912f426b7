"""Who holds which delivery: claimed, held, given back, given up by death. No I/O happens here.

From ``layers.memory.engine``; ``layers.memory.settling`` ends what is leased here. ::

    queues ──claim (one suspect per worker, and only one)──► leased ──take──► settled
       ▲                                                       │
       └── release (as it was), reclaim after a crash ◄────────┘

A claim with a number is remembered by its link, so that a lost answer can be asked for
again, and told from what the worker has forgotten.
"""

from collections import Counter

from djchan import names
from djchan.layers.memory.bells import Bells
from djchan.layers.memory.queue import Delivery
from djchan.layers.memory.queues import Queues
from djchan.layers.memory.records import Records
from djchan.layers.memory.registry import Process, Registry
from djchan.layers.operations import Claim, Claimed, Held, Leased, Release


class Leases:
    def __init__(
        self,
        queues: Queues,
        registry: Registry,
        bells: Bells,
        *,
        records: Records,
        counters: Counter[str],
    ) -> None:
        self._queues = queues
        self._registry = registry
        self._bells = bells
        self._records = records
        self._counters = counters
        # Not reset by Flush: a token of before must not fit a lease of after.
        self._token = 0
        self.copies_until = 0  # ms: an interface has sent again what may be here already.

    def claim(self, operation: Claim, now: int) -> Claimed:
        worker = self._registry.processes.get(operation.worker)
        leased: tuple[Leased, ...] = ()
        if worker is not None and not worker.closing:
            self._queues.promote(now)
            self._bells.forget(operation.bell)
            number, tokens = worker.claims.get(operation.link, (0, range(0)))
            if operation.again and operation.number <= number:
                if operation.number == number:
                    leased = _leased(worker, tokens)
                if not leased:
                    # It was given back meanwhile. Nothing was looked at, so look again.
                    self._bells.ring(operation.bell)
            else:
                leased = self._lease(worker, operation, now)
        return Claimed(now, self._queues.next_due(), worker is not None, leased)

    def get(self, worker: str, token: int) -> Delivery | None:
        process = self._registry.processes.get(worker)
        return process.leases.get(token) if process is not None else None

    def end(self, worker: Process, token: int) -> Delivery:
        """Take a delivery that is leased to ``worker`` off it: it has ended, or goes elsewhere."""
        delivery = worker.leases.pop(token)
        if token == worker.suspect:
            worker.suspect = 0
            self._queues.ring_for_odd()
        return delivery

    def release(self, operation: Release, now: int) -> int:
        worker = self._registry.processes.get(operation.worker)
        return self._give_back(worker, operation.tokens) if worker is not None else 0

    def hold(self, operation: Held, now: int) -> int | None:
        worker = self._registry.processes.get(operation.worker)
        if worker is None:
            return None
        kept = set(operation.tokens)
        answered = dict(operation.claims)
        for link, (number, tokens) in worker.claims.items():
            late = number - answered.get(link, 0)
            if late > 1:
                # It claims faster than it tells: what claims before the last one got is not noted.
                return -1
            if late == 1:
                kept.update(tokens)
        return self._give_back(worker, [token for token in worker.leases if token not in kept])

    def reclaim(self, worker: Process, *, crashed: bool) -> None:
        """Put back all that was leased to a worker that is buried."""
        for delivery in reversed(worker.leases.values()):
            if crashed:
                delivery.attempt += 1
            self.put_back(delivery)

    def _lease(self, worker: Process, operation: Claim, now: int) -> tuple[Leased, ...]:
        taken: list[Delivery] = []
        suspect: Delivery | None = None
        if worker.suspect not in worker.leases:
            suspect = self._queues.take_suspect(operation.channels)
            if suspect is not None:
                taken.append(suspect)
        for channel in operation.channels:
            if len(taken) == operation.count:
                break
            self._queues.move_up(channel, operation.count - len(taken))
            taken += self._queues.take(channel, operation.count - len(taken))
        for delivery in taken:
            self._counters[names.counter("taken", delivery.channel)] += delivery.frames
        dropped = self._drop_copies(taken, all_of_them=now < self.copies_until)
        if not taken and dropped:
            # It has not seen all that waits.
            self._bells.ring(operation.bell)
            return ()
        if not taken:
            if operation.bell:
                self._bells.note(operation.bell, operation.channels)
                worker.bells.add(operation.bell)
            return ()
        first = max(self._token, operation.above, now * 1000) + 1
        self._token = first + len(taken) - 1
        tokens = range(first, first + len(taken))
        worker.leases.update(zip(tokens, taken, strict=True))
        if suspect is taken[0]:
            worker.suspect = first
        if operation.link:
            worker.claims[operation.link] = (operation.number, tokens)
        # Others may take the next suspect, or what is parked and nobody was rung for; and wait
        # for what is due, if this one was to.
        self._queues.ring_for_odd()
        self._queues.ring_for_due()
        return _leased(worker, tokens)

    def _drop_copies(self, taken: list[Delivery], *, all_of_them: bool) -> int:
        """Drop what was answered, or belongs to a connection that is over: its commit would be
        refused. Usually only suspects are looked at."""
        copies = [
            each
            for each in taken
            if (all_of_them or each.is_suspect) and self._registry.is_over(each.owner, each.seq)
        ]
        for copy in copies:
            taken.remove(copy)
            self._counters["superseded"] += 1
            self._records.settle(copy)
        return len(copies)

    def _give_back(self, worker: Process, tokens: list[int] | tuple[int, ...]) -> int:
        # Tokens grow with each claim, so the last claimed goes to the head first.
        given = sorted(worker.leases.keys() & set(tokens), reverse=True)
        for token in given:
            self.put_back(self.end(worker, token))
        return len(given)

    def put_back(self, delivery: Delivery) -> None:
        """Queue what was leased, at the head of its channel."""
        self._counters[names.counter("taken", delivery.channel)] -= delivery.frames
        self._queues.put_back(delivery)


def _leased(worker: Process, tokens: range) -> tuple[Leased, ...]:
    """Those of ``tokens`` that the worker still has."""
    return tuple(
        [
            Leased(token, each.attempt, each.begun, each.name, each.payload, each.source)
            for token in tokens
            if (each := worker.leases.get(token)) is not None
        ]
    )
