"""How a lease ends for good: Commit and GiveUp, in memory. No I/O happens here.

From ``layers.memory.engine``; what a run has sent is applied by ``effects``. The looks come
in this order, and only the last changes more than the lease::

    its number ─► the fence ─► the interface stale? ─► the floor ─► effects, answer, the end
     already       fenced       stale (leased still)    superseded   done, parked
"""

from collections import Counter

from djchan.layers.memory.effects import Effects
from djchan.layers.memory.leases import Leases
from djchan.layers.memory.queue import Delivery
from djchan.layers.memory.queues import Queues
from djchan.layers.memory.records import Records
from djchan.layers.memory.registry import Process, Registry
from djchan.layers.operations import STARTED, Address, Commit, CommitResult, GiveUp, Outcome


class Settling:
    def __init__(
        self,
        leases: Leases,
        queues: Queues,
        registry: Registry,
        *,
        effects: Effects,
        records: Records,
        counters: Counter[str],
    ) -> None:
        self._leases = leases
        self._queues = queues
        self._registry = registry
        self._effects = effects
        self._records = records
        self._counters = counters

    def commit(self, operation: Commit, now: int) -> tuple[CommitResult, ...]:
        worker = self._registry.processes.get(operation.worker)
        if worker is None:
            self._counters["fenced"] += len(operation.outcomes)
            return tuple(["fenced" for _ in operation.outcomes])
        number, answered = worker.answered.get(operation.link, (0, ()))
        if operation.number <= number:
            if operation.number == number and answered:
                return tuple(answered)
            return tuple(["already" for _ in operation.outcomes])
        results: tuple[CommitResult, ...]
        results = tuple([self._settle(worker, outcome, now) for outcome in operation.outcomes])
        # What was stale is said again with a new number, but not before its answer is known.
        kept = results if "stale" in results else ()
        worker.answered[operation.link] = (operation.number, kept)
        return results

    def give_up(self, operation: GiveUp, now: int) -> CommitResult:
        delivery = self._leases.get(operation.worker, operation.token)
        if delivery is None:
            self._counters["fenced"] += 1
            return "fenced"
        worker = self._registry.processes[operation.worker]
        address, token, since = operation.address, operation.token, operation.since
        if address is not None and self._registry.is_stale(address.process):
            self._counters["stale"] += 1
            return "stale"
        over = address is not None and self._registry.is_answered(address)
        if not over:
            if address is not None and self._is_behind(worker, token, address, since):
                return "superseded"
            if self._has_lost(worker, token, since):
                return "fenced"
        self._end(worker, token, delivery)
        if over:
            self._counters["superseded"] += 1
            return "superseded"
        self._counters[f"giveup:{operation.reason}"] += 1
        if operation.bury:
            self._effects.bury(delivery, operation.reason, now)
        if operation.address is not None:
            self._effects.answer(operation.address, operation.answer, now)
        return "done"

    def _settle(self, worker: Process, outcome: Outcome, now: int) -> CommitResult:
        token, effects, address, answer, later, progress, since = outcome
        delivery = worker.leases.get(token)
        if delivery is None:
            self._counters["fenced"] += 1
            return "fenced"
        if address is not None and self._registry.is_stale(address.process):
            self._counters["stale"] += 1
            return "stale"
        if address is not None:
            if self._registry.is_answered(address):
                # Nothing follows: a later one of its connection may be out.
                self._leases.end(worker, token)
                self._counters["superseded"] += 1
                return "superseded"
            if self._is_behind(worker, token, address, since):
                return "superseded"
        if self._has_lost(worker, token, since):
            return "fenced"
        parked = [self._effects.commit(effect, now) for effect in effects]
        frames = progress if later is None else later.done
        if address is not None and frames:
            self._effects.answer(address, answer, now, frames=frames)
        if progress:
            delivery.done = progress
            delivery.attempt = min(delivery.attempt, 2)
        elif later is not None:
            self._leases.end(worker, token)
            delivery.payload = later.payload
            delivery.done = later.done
            if later.delay:
                self._queues.delay(delivery, now + later.delay)
            else:
                self._leases.put_back(delivery)
        else:
            if address is not None:
                self._effects.answer(address, answer, now)
            self._end(worker, token, delivery)
        return "parked" if any(parked) else "done"

    def _is_behind(self, worker: Process, token: int, address: Address, since: int) -> bool:
        """Whether another copy of it is ahead, and has its end still to come."""
        frames = self._registry.frames(address)
        if since >= frames:
            return False
        delivery = self._leases.end(worker, token)
        if self._registry.interface(address.process) is None:
            # Nobody sends the rest of it any more, so it is this copy's to run.
            delivery.done = frames
            self._leases.put_back(delivery)
        self._counters["superseded"] += 1
        return True

    def _has_lost(self, worker: Process, token: int, since: int) -> bool:
        """Whether the layer has lost what was done before: it is run again from there."""
        delivery = worker.leases[token]
        if not since or delivery.begun in (since, STARTED):
            return False
        self._leases.put_back(self._leases.end(worker, token))
        self._counters["fenced"] += 1
        return True

    def _end(self, worker: Process, token: int, delivery: Delivery) -> None:
        self._leases.end(worker, token)
        self._records.settle(delivery)
