"""Every operation of a layer, as a state machine in memory. No I/O, no threads, no clock.

From ``layers.memory.links``, which holds the lock and knows the time; on to the parts of the
state: ``registry`` (who), ``queues``, ``leases`` and ``settling`` (a delivery's life, drawn in
``layers.operations``), ``effects`` (what it sends), ``groups``, ``records``, ``letters`` and
``kept``. Who is to be woken after an operation is in ``signals``.

The same words as the scripts of ``layers.redis``, and one test text for both
(``tests/layers/test_engine_contract.py`` and ``contract/`` beside it).
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from djchan import names
from djchan.layers.memory.answers import Answers
from djchan.layers.memory.bells import Bells, Signal
from djchan.layers.memory.effects import Effects
from djchan.layers.memory.groups import Groups
from djchan.layers.memory.inbox import parse_id
from djchan.layers.memory.kept import KeptValues
from djchan.layers.memory.leases import Leases
from djchan.layers.memory.letters import Letters
from djchan.layers.memory.queue import Delivery
from djchan.layers.memory.queues import Queues
from djchan.layers.memory.records import Records, last_delivery
from djchan.layers.memory.registry import Process, Registry
from djchan.layers.memory.settling import Settling
from djchan.layers.operations import (
    COPIES,
    Beat,
    Beats,
    Claim,
    Closing,
    Commit,
    Connected,
    Counters,
    DeadChannels,
    DeadLetter,
    DeadLetters,
    Discard,
    Drop,
    Flush,
    GiveUp,
    Held,
    History,
    IsLeased,
    Keep,
    Leave,
    Length,
    Members,
    Oldest,
    Operation,
    Part,
    Pop,
    Reap,
    Recall,
    Redrive,
    Register,
    Release,
    Resume,
    Ring,
    Room,
    Send,
    SendResult,
    Sent,
    Usage,
    Used,
    Waiting,
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
        self.kept = KeptValues()
        self.answers = Answers()
        self.counters: Counter[str] = Counter()
        self.letters = Letters(self.counters)
        self.records = Records(self.queues, self.registry, counters=self.counters)
        self.leases = Leases(
            self.queues,
            self.registry,
            self.bells,
            records=self.records,
            counters=self.counters,
        )
        self._effects = Effects(
            self.queues,
            self.registry,
            self.groups,
            ring=self.bells.ring,
            letters=self.letters,
            records=self.records,
            kept=self.kept,
            counters=self.counters,
        )
        settling = Settling(
            self.leases,
            self.queues,
            self.registry,
            effects=self._effects,
            records=self.records,
            counters=self.counters,
        )
        self._moves: dict[type, Callable[[Any, int], Any]] = {
            Beat: self._beat,
            Claim: self.leases.claim,
            Closing: self._closing,
            Commit: settling.commit,
            Connected: self._connected,
            Counters: self._counters,
            DeadChannels: self._dead_channels,
            DeadLetters: self._dead_letters,
            Discard: self._discard,
            Drop: self.kept.drop,
            Flush: self._flush,
            GiveUp: settling.give_up,
            Held: self.leases.hold,
            History: self._history,
            IsLeased: self._is_leased,
            Keep: self.kept.keep,
            Leave: self._leave,
            Length: self._length,
            Members: self._members,
            Oldest: self._oldest,
            Part: self._part,
            Pop: self._pop,
            Reap: self._reap,
            Recall: self.kept.recall,
            Redrive: self._redrive,
            Register: self._register,
            Release: self.leases.release,
            Resume: self._resume,
            Ring: self._ring,
            Room: self._room,
            Send: self._send,
            Usage: self._usage,
            Waiting: self._waiting,
        }

    def perform(self, operation: Operation, now: int) -> Any:
        """Apply ``operation``; its answer is as its docstring says."""
        return self._moves[type(operation)](operation, now)

    def read(self, process: str, cursor: str, *, trim: bool) -> list[tuple[str, bytes]]:
        """Entries of the inbox after ``cursor``; with ``trim``, those before are dropped."""
        known = self.registry.interface(process)
        return known.inbox.read(parse_id(cursor), trim=trim) if known is not None else []

    # -------------------------------------------------------------- processes

    def _register(self, operation: Register, now: int) -> int | None:
        process, kind, info, channels, inbox, dead_bytes = operation
        if self.registry.is_dead(process):
            return None
        self.registry.register(process, kind, info, channels=channels, inbox=inbox)
        self.letters.limit = dead_bytes or self.letters.limit
        return now

    def _history(self, operation: History, now: int) -> bool:
        begins = self.registry.begin(operation.run)
        if begins:
            self.counters["histories"] += 1
            # A worker that was idle then may be busy now, and would be woken in vain.
            self.bells.ring_all()
        return begins

    def _connected(self, operation: Connected, now: int) -> None:
        return None

    def _resume(self, operation: Resume, now: int) -> int | None:
        name, link = operation.process, operation.link
        if self.registry.is_dead(name):
            return None
        process = self.registry.register(name, "interface", operation.info)
        self.registry.refresh(name)
        if self.queues.stored or any(each.leases for each in self.registry.processes.values()):
            self.leases.copies_until = now + COPIES
        cursor = parse_id(operation.cursor)
        process.inbox.resume(cursor, operation.read, operation.inbox)
        process.floors = {
            connection: max(process.floors.get(connection, (0, 0)), (seq, frames))
            for connection, seq, frames in operation.floors
        }
        process.records = {each.connection: last_delivery(each) for each in operation.records}
        others = tuple(process.groups.difference(operation.groups))
        self._leave(Leave(name, others, operation.cursor), now)
        for group in operation.groups:
            self.groups.add(group, name, cursor)
            process.groups.add(group)
        if process.number(link) < operation.number:
            process.answered[link] = (operation.number, ())
        return now

    def _beat(self, operation: Beat, now: int) -> Beats | None:
        process = self.registry.processes.get(operation.process)
        if process is None or self.registry.is_stale(operation.process):
            return None
        if process.beat < operation.beat or process.number(operation.link) < operation.number:
            return None
        process.beat += 1
        process.clients = operation.clients
        process.inbox.confirm(operation.read)
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
        for connection in tuple(process.listening):
            self._effects.wake(process, connection)
        for group in process.groups:
            self.groups.remove(group, operation.process)
        self.leases.reclaim(process, crashed=not goodbye)
        self.records.bequeath(operation.process, process)
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
        name, link = operation.process, operation.link
        process: Process | None = None
        applied, answer = self.answers.find("" if name else link, operation.number, now)
        if applied:
            return None if answer is None else Sent(answer)
        if name:
            process = self.registry.processes.get(name)
            if process is None or self.registry.is_stale(name):
                return None
            number = process.number(link)
            if operation.number <= number:
                return Sent(process.answered[link][1])
            if operation.number > number + 1:
                return None
            for connection in operation.begin:
                process.floors.setdefault(connection, (0, 0))
        results: tuple[SendResult, ...]
        if operation.fence is not None and self.leases.get(*operation.fence) is None:
            self.counters["fenced"] += 1
            results = tuple(["fenced" for _ in operation.effects])
        else:
            results = tuple([self._effects.admit(effect, now) for effect in operation.effects])
        if process is not None:
            process.answered[link] = (operation.number, results)
            process.cut.update(operation.cut)
            for connection in operation.cut:
                self._effects.wake(process, connection)
            for connection in operation.forget:
                process.floors.pop(connection, None)
                process.records.pop(connection, None)
                process.cut.discard(connection)
                process.granted.pop(connection, None)
                self._effects.wake(process, connection)
        else:
            self.answers.note(link, operation.number, results, now)
        return Sent(results)

    def _is_leased(self, operation: IsLeased, now: int) -> bool:
        return self.leases.get(*operation) is not None

    def _part(self, operation: Part, now: int) -> SendResult | None:
        applied, answer = self.answers.find(operation.link, operation.number, now)
        if applied:
            return "ok" if answer == "ok" else None
        delivery = self.leases.get(operation.worker, operation.token)
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
            self.answers.note(operation.link, operation.number, told, now)
        return told

    def _room(self, operation: Room, now: int) -> tuple[int | None, ...]:
        self.bells.drop(operation.wakeup)  # What was rung is heard.
        return tuple([self._granted(*stream, operation.wakeup) for stream in operation.streams])

    def _granted(self, process: str, connection: str, wakeup: str) -> int | None:
        home = self.registry.interface(process)
        if home is None or connection in home.cut or connection not in home.floors:
            return None
        home.listening[connection] = wakeup
        return home.granted.get(connection, 0)

    def _pop(self, operation: Pop, now: int) -> tuple[str, bytes] | None:
        applied, answer = self.answers.find(operation.link, operation.number, now)
        if applied:
            popped: tuple[str, bytes] | None = answer
            return popped
        self.queues.promote(now)
        self.queues.expire(now)
        for channel in operation.channels:
            raw = self.queues.vanishes(channel)
            self.queues.move_up(channel, 1)
            suspect = self.queues.take_suspect((channel,))
            for delivery in self.queues.take(channel, 1) if suspect is None else (suspect,):
                self.records.settle(delivery)
                if not raw:
                    self.counters[names.counter("taken", channel)] += delivery.frames
                popped = delivery.name, delivery.payload
                self.answers.note(operation.link, operation.number, popped, now)
                return popped
        return None

    def _redrive(self, operation: Redrive, now: int) -> bool:
        dead = self.letters.take(operation.channel, operation.id)
        if dead is not None:
            self.queues.append(Delivery(operation.channel, operation.payload, dead.frames))
        return dead is not None

    def _discard(self, operation: Discard, now: int) -> bool:
        return self.letters.take(operation.channel, operation.id) is not None

    # ------------------------------------------------------------- inspection

    def _counters(self, operation: Counters, now: int) -> dict[str, int]:
        return dict(self.counters)

    def _dead_channels(self, operation: DeadChannels, now: int) -> dict[str, int]:
        return self.letters.channels()

    def _dead_letters(self, operation: DeadLetters, now: int) -> list[DeadLetter]:
        return self.letters.list(*operation)

    def _length(self, operation: Length, now: int) -> int:
        self.queues.expire(now)
        return self.queues.size(operation.channel)

    def _waiting(self, operation: Waiting, now: int) -> dict[str, int]:
        self.queues.expire(now)
        return self.queues.sizes()

    def _usage(self, operation: Usage, now: int) -> Used:
        self.queues.expire(now)
        return Used(*self.queues.usage(), self.letters.sizes())

    def _oldest(self, operation: Oldest, now: int) -> bytes | None:
        self.queues.expire(now)
        delivery = self.queues.oldest(operation.channel)
        return None if delivery is None else delivery.payload

    def _members(self, operation: Members, now: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        processes = self.groups.processes(operation.group)
        return tuple(sorted(processes)), tuple(sorted(self.groups.channels(operation.group)))

    def _flush(self, operation: Flush, now: int) -> None:
        self.bells.ring_all()  # Whoever waits has to find out that it is not known any more.
        parts = (self.queues, self.registry, self.groups, self.letters, self.records)
        for part in (*parts, self.kept, self.answers, self.counters):
            part.clear()
