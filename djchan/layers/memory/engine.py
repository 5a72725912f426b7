"""Every operation of a layer, as a state machine in memory. No I/O, no threads, no clock.

From ``layers.memory.links``, which holds the lock and knows the time; on to ``queues``,
``bells``, ``registry`` and ``groups``, the parts of the state. The life of a delivery is
drawn in ``layers.operations``; what it sends is in ``effects``; who is to be woken after an
operation is in ``signals``.

The same words as the scripts of ``layers.redis``, and one test text for both
(``tests/layers/test_engine_contract.py``).
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from djchan.layers.memory.bells import Bells, Signal
from djchan.layers.memory.effects import Effects
from djchan.layers.memory.groups import Groups
from djchan.layers.memory.queues import Delivery, Queues
from djchan.layers.memory.registry import Process, Registry, parse_id
from djchan.layers.operations import (
    STARTED,
    Beat,
    Beats,
    Claim,
    Claimed,
    Closing,
    Commit,
    CommitResult,
    Connected,
    Counters,
    DeadLetters,
    Flush,
    GiveUp,
    Leased,
    Leave,
    Length,
    Members,
    Operation,
    Outcome,
    Part,
    Pop,
    Reap,
    Register,
    Release,
    Resume,
    Ring,
    Send,
    SendResult,
    Sent,
)


class MemoryState:
    """One layer. ``perform`` takes one operation and the time, ms since the epoch.

    Wait is not for here, and Pop does not block: the shell waits for a signal.
    """

    def __init__(self) -> None:
        self.signals: set[Signal] = set()
        self.bells = Bells(self.signals)
        self.queues = Queues(self.bells)
        self.registry = Registry(self.signals)
        self.groups = Groups()
        self.counters: Counter[str] = Counter()
        self._effects = Effects(self.queues, self.registry, self.groups, counters=self.counters)
        # Not reset by Flush: a token of before must not fit a lease of after.
        self._token = 0
        self._moves: dict[type, Callable[[Any, int], Any]] = {
            Beat: self._beat,
            Claim: self._claim,
            Closing: self._closing,
            Commit: self._commit,
            Connected: lambda operation, now: None,
            Counters: lambda operation, now: dict(self.counters),
            DeadLetters: lambda letters, now: self.queues.dead_letters(*letters),
            Flush: self._flush,
            GiveUp: self._give_up,
            Leave: self._leave,
            Length: self._length,
            Members: self._members,
            Part: self._part,
            Pop: self._pop,
            Reap: self._reap,
            Register: self._register,
            Release: self._release,
            Resume: self._resume,
            Ring: self._ring,
            Send: self._send,
        }

    def perform(self, operation: Operation, now: int) -> Any:
        """Apply ``operation``; its answer is as its docstring says."""
        return self._moves[type(operation)](operation, now)

    def read(self, process: str, cursor: str, *, trim: bool) -> list[tuple[str, bytes]]:
        """Entries of the inbox after ``cursor``; with ``trim``, those before are dropped."""
        known = self.registry.interface(process)
        return known.read(parse_id(cursor), trim=trim) if known is not None else []

    # -------------------------------------------------------------- processes

    def _register(self, operation: Register, now: int) -> int | None:
        if self.registry.is_dead(operation.process):
            return None
        self.registry.register(
            operation.process, operation.kind, operation.info, channels=operation.channels
        )
        return now

    def _resume(self, operation: Resume, now: int) -> int | None:
        if self.registry.is_dead(operation.process):
            return None
        process = self.registry.register(operation.process, "interface", operation.info)
        cursor = parse_id(operation.cursor)
        process.start_ids_above(cursor)
        for connection, floor in operation.floors:
            process.floors[connection] = max(process.floors.get(connection, 0), floor)
        for group in operation.groups:
            self.groups.add(group, operation.process, cursor)
            process.groups.add(group)
        return now

    def _beat(self, operation: Beat, now: int) -> Beats | None:
        process = self.registry.processes.get(operation.process)
        if process is None:
            return None
        process.beat += 1
        process.clients = operation.clients
        everybody = self.registry.processes.items()
        return Beats(now, {name: (each.beat, each.kind, each.clients) for name, each in everybody})

    def _reap(self, operation: Reap, now: int) -> bool:
        process = self.registry.processes.get(operation.process)
        goodbye = operation.beat is None
        if process is None or not (goodbye or operation.beat == process.beat):
            return False
        self.registry.bury(operation.process)
        for bell in process.bells:
            self.bells.drop(bell)
        for group in process.groups:
            self.groups.remove(group, operation.process)
        for delivery in reversed(process.leases.values()):
            if not goodbye:
                delivery.attempt += 1
            self.queues.put_back(delivery)
        self.queues.ring_again(process.channels)
        if not goodbye:
            self.counters["reaped"] += 1
        return True

    def _closing(self, operation: Closing, now: int) -> None:
        process = self.registry.processes.get(operation.worker)
        if process is not None:
            self.registry.close(operation.worker)
            process.bells.update(operation.bells)
        for bell in operation.bells:
            self.bells.ring(bell)
        if process is not None:
            self.queues.ring_again(process.channels)

    def _leave(self, operation: Leave, now: int) -> None:
        process = self.registry.processes.get(operation.process)
        cursor = parse_id(operation.cursor)
        for group in operation.groups:
            if self.groups.leave(group, operation.process, cursor) and process is not None:
                process.groups.discard(group)

    def _ring(self, operation: Ring, now: int) -> None:
        for bell in operation.bells:
            self.bells.ring(bell)

    # ------------------------------------------------------------- deliveries

    def _send(self, operation: Send, now: int) -> Sent | None:
        process: Process | None = None
        if operation.process:
            process = self.registry.processes.get(operation.process)
            if process is None:
                self.counters["gone"] += 1
                return None
            number, answered = process.answered.get(operation.link, (0, ()))
            if operation.number <= number:
                return Sent(answered)
        results: tuple[SendResult, ...]
        if operation.fence is not None and self._lease(*operation.fence) is None:
            self.counters["fenced"] += 1
            results = tuple(["fenced" for _ in operation.effects])
        else:
            results = tuple(
                [self._effects.apply(e, now, admission=True) for e in operation.effects]
            )
        if process is not None:
            process.answered[operation.link] = (operation.number, results)
            process.cut.update(operation.cut)
            for connection in operation.forget:
                process.floors.pop(connection, None)
                process.cut.discard(connection)
        return Sent(results)

    def _claim(self, operation: Claim, now: int) -> Claimed:
        worker = self.registry.processes.get(operation.worker)
        leased: list[Leased] = []
        if worker is not None and not worker.closing:
            self.queues.promote(now)
            self.bells.forget(operation.bell)
            for channel in operation.channels:
                while len(leased) < operation.count:
                    delivery = self.queues.take(channel)
                    if delivery is None:
                        break
                    self._token += 1
                    worker.leases[self._token] = delivery
                    done = STARTED if delivery.started else delivery.done
                    leased.append(
                        Leased(self._token, delivery.attempt, done, channel, delivery.payload)
                    )
            if leased:
                self.counters["claimed"] += len(leased)
            elif operation.bell:
                self.bells.note(operation.bell, operation.channels)
                worker.bells.add(operation.bell)
        return Claimed(now, self.queues.next_due(), worker is not None, tuple(leased))

    def _commit(self, operation: Commit, now: int) -> tuple[CommitResult, ...]:
        worker = self.registry.processes.get(operation.worker)
        if worker is None:
            self.counters["fenced"] += len(operation.outcomes)
            return tuple(["fenced" for _ in operation.outcomes])
        if operation.number <= worker.answered.get(operation.link, (0, ()))[0]:
            return tuple(["already" for _ in operation.outcomes])
        worker.answered[operation.link] = (operation.number, ())
        return tuple([self._settle(worker, outcome, now) for outcome in operation.outcomes])

    def _settle(self, worker: Process, outcome: Outcome, now: int) -> CommitResult:
        delivery = worker.leases.pop(outcome.token, None)
        if delivery is None:
            self.counters["fenced"] += 1
            return "fenced"
        if outcome.address is not None and self.registry.is_answered(outcome.address):
            self.counters["superseded"] += 1
            return "superseded"
        for effect in outcome.effects:
            self._effects.apply(effect, now, admission=False)
        if outcome.later is not None:
            delivery.payload = outcome.later.payload
            delivery.done = outcome.later.done
            self.queues.delay(delivery, now + outcome.later.delay)
        elif outcome.address is not None:
            self._effects.answer(outcome.address, outcome.answer, now)
        return "done"

    def _give_up(self, operation: GiveUp, now: int) -> CommitResult:
        delivery = self._lease(operation.worker, operation.token)
        if delivery is None:
            self.counters["fenced"] += 1
            return "fenced"
        del self.registry.processes[operation.worker].leases[operation.token]
        if operation.address is not None and self.registry.is_answered(operation.address):
            self.counters["superseded"] += 1
            return "superseded"
        self.counters[f"giveup:{operation.reason}"] += 1
        if operation.bury:
            self.queues.bury(delivery, operation.reason, now)
            self._effects.count("dead", delivery.channel)
        if operation.address is not None:
            self._effects.answer(operation.address, operation.answer, now)
        return "done"

    def _release(self, operation: Release, now: int) -> int:
        worker = self.registry.processes.get(operation.worker)
        if worker is None:
            return 0
        released = 0
        # Tokens grow with each claim, so the last claimed goes to the head first.
        for token in sorted(set(operation.tokens), reverse=True):
            delivery = worker.leases.pop(token, None)
            if delivery is not None:
                self.queues.put_back(delivery)
                released += 1
        return released

    def _part(self, operation: Part, now: int) -> SendResult:
        delivery = self._lease(operation.worker, operation.token)
        if delivery is None:
            self.counters["fenced"] += 1
            return "fenced"
        home = self.registry.interface(operation.process)
        if home is not None and operation.connection in home.cut:
            self.counters["gone"] += 1
            return "gone"
        told = self._effects.tell(operation.process, operation.entry, now)
        if told == "ok":
            delivery.started = True
        return told

    def _pop(self, operation: Pop, now: int) -> tuple[str, bytes] | None:
        self.queues.promote(now)
        self.queues.expire(now)
        for channel in operation.channels:
            delivery = self.queues.take(channel)
            if delivery is not None:
                return channel, delivery.payload
        return None

    def _lease(self, worker: str, token: int) -> Delivery | None:
        process = self.registry.processes.get(worker)
        return process.leases.get(token) if process is not None else None

    # ------------------------------------------------------------- inspection

    def _length(self, operation: Length, now: int) -> int:
        self.queues.expire(now)
        return self.queues.size(operation.channel)

    def _members(self, operation: Members, now: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        processes = self.groups.processes(operation.group)
        return tuple(sorted(processes)), tuple(sorted(self.groups.channels(operation.group)))

    def _flush(self, operation: Flush, now: int) -> None:
        self.bells.ring_all()  # Whoever waits has to find out that it is not known any more.
        for part in (self.queues, self.registry, self.groups, self.counters):
            part.clear()
