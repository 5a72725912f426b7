"""What a Send or a Commit does to channels, groups and inboxes, in memory. No I/O here.

From ``layers.memory.engine`` and ``layers.memory.settling``, which have checked numbers,
leases and floors; on to ``queues``, ``registry``, ``groups``, ``letters`` and ``records``.
Nothing in here can fail, so a Commit is whole.
"""

from collections import Counter
from collections.abc import Callable
from typing import Literal, assert_never

from djchan import names
from djchan.layers import codec
from djchan.layers.memory.groups import Groups
from djchan.layers.memory.kept import KeptValues
from djchan.layers.memory.letters import Letters
from djchan.layers.memory.queue import Delivery, Full, QueueLimits
from djchan.layers.memory.queues import Queues
from djchan.layers.memory.records import Records
from djchan.layers.memory.registry import Process, Registry
from djchan.layers.operations import (
    Address,
    Body,
    Delay,
    Drop,
    Effect,
    EndBody,
    Grant,
    GroupAdd,
    GroupAddChannel,
    GroupDiscard,
    GroupDiscardChannel,
    GroupSend,
    Keep,
    Push,
    Record,
    SendResult,
    Tell,
)

MOST_PARKED = 10  # Times a Push's limit.

_Applied = SendResult | Literal["parked"]


class Effects:
    def __init__(
        self,
        queues: Queues,
        registry: Registry,
        groups: Groups,
        *,
        ring: Callable[[str], None],
        letters: Letters,
        records: Records,
        kept: KeptValues,
        counters: Counter[str],
    ) -> None:
        self._ring = ring
        self._queues = queues
        self._registry = registry
        self._groups = groups
        self._letters = letters
        self._records = records
        self._kept = kept
        self._counters = counters

    def admit(self, effect: Effect, now: int) -> SendResult:
        """Apply an effect that is sent directly: it meets the capacity of its channel."""
        result = self._apply(effect, now, admission=True)
        assert result != "parked"
        return result

    def commit(self, effect: Effect, now: int) -> bool:
        """Apply an effect of a run; whether it found its channel over the limit."""
        return self._apply(effect, now, admission=False) == "parked"

    def tell(self, process: str, entry: bytes, now: int) -> SendResult:
        return self._gone() if self._registry.tell(process, entry, now) is None else "ok"

    def answer(self, address: Address, entry: bytes, now: int, *, frames: int = 0) -> None:
        """``frames``: that many of it alone are answered."""
        if not self._registry.answer(address, entry, now, frames=frames):
            self._gone()

    def bury(self, delivery: Delivery, reason: str, now: int) -> None:
        """Keep what will not be run as a dead letter of its channel."""
        self._letters.bury(delivery, reason, now)
        self.count("dead", delivery.channel)

    def count(self, what: str, channel: str) -> None:
        self._counters[names.counter(what, channel)] += 1

    def _apply(self, effect: Effect, now: int, *, admission: bool) -> _Applied:
        match effect:
            case Push():
                return self._push(effect, now, admission=admission)
            case Tell():
                return self._tell(effect, now, admission=admission)
            case GroupDiscard():
                return self.tell(effect.process, effect.entry, now)
            case GroupSend():
                self._group_send(effect, now)
            case GroupAdd():
                return self._group_add(effect, now)
            case GroupAddChannel():
                until = now + effect.ttl if effect.ttl else 0
                limits = QueueLimits(effect.capacity, effect.max_bytes, effect.total)
                self._groups.add_channel(effect.group, effect.channel, limits, until)
            case GroupDiscardChannel():
                self._groups.discard_channel(effect.group, effect.channel)
            case Delay():
                return self._delay(effect, now, admission=admission)
            case Body():
                self._queues.expire(now)
                limits = QueueLimits(effect.capacity)
                if admission and self._refuses(effect.channel, limits, now):
                    return "full"
                body = Delivery(effect.channel, effect.payload)
                self._queues.append_expiring(body, now + effect.ttl)
            case Grant():
                return self._grant(effect)
            case EndBody():
                while self._queues.take(effect.channel, 100):
                    pass
            case Record():
                if not self._records.keep(effect):
                    return self._gone()
            case Keep():
                if not self._kept.keep(effect, now):
                    self._counters["unkept"] += 1
                    return "gone"
            case Drop():
                self._kept.drop(effect, now)
            case _:
                assert_never(effect)
        return "ok"

    def _gone(self) -> SendResult:
        self._counters["gone"] += 1
        return "gone"

    def _grant(self, effect: Grant) -> SendResult:
        home = self._registry.interface(effect.process)
        if home is None or effect.connection not in home.floors:
            return "gone"
        home.granted[effect.connection] = effect.total
        self.wake(home, effect.connection)
        return "ok"

    def wake(self, home: Process, connection: str) -> None:
        """Ring the bell of whoever sends parts to this connection, if it listens."""
        waiting = home.listening.pop(connection, None)
        if waiting is not None:
            self._ring(waiting)

    def _push(self, effect: Push, now: int, *, admission: bool) -> _Applied:
        (
            channel, payload, capacity, frames, if_served, expires,
            keep, owner, last, limit, done, max_bytes, total, source, seq,
        ) = effect  # fmt: skip
        if if_served and not self._registry.is_served(channel):
            return "unserved"
        delivery = Delivery(
            *(channel, payload, frames),
            expires=expires,
            keep=keep,
            owner=owner,
            source=source,
            seq=seq,
        )
        delivery.done = done
        channel = delivery.channel
        limits = QueueLimits(capacity if admission else limit, max_bytes, total)
        full = self._refuses(channel, limits, now, source=source) if admission else None
        if full:
            return full
        if last and owner is not None:
            self._records.drop(*owner)
        if not admission and any(limits):
            bounded = limits.messages or limits.bytes
            behind = bounded and self._queues.parked(channel)
            if behind or self._queues.reached(channel, limits):
                if self._queues.has_room_beside(channel, limits, most=MOST_PARKED):
                    self._queues.park(delivery)
                    self.count("parked", channel)
                else:
                    self.bury(delivery, "overflow", now)
                return "parked"
        self._queues.append(delivery)
        return "ok"

    def _delay(self, effect: Delay, now: int, *, admission: bool) -> _Applied:
        channel, payload, delay, expires, keep, max_bytes, total = effect
        delivery = Delivery(channel, payload, expires=expires, keep=keep)
        limits = QueueLimits(0, max_bytes, total if admission else 2 * total)
        full = self._queues.delays_too_much(delivery.channel, limits)
        if full is None:
            self._queues.delay(delivery, now + delay)
            return "ok"
        if admission:
            return self._refused(delivery.channel, full)
        self.bury(delivery, "overflow", now)
        return "parked"

    def _tell(self, effect: Tell, now: int, *, admission: bool) -> SendResult:
        home = self._registry.interface(effect.process)
        if home is None:
            return self._gone()
        if admission and not home.inbox.admits(effect.entry):
            self._counters["full:inbox"] += 1
            return "full"
        home.inbox.count(effect.entry)
        return self.tell(effect.process, effect.entry, now)

    def _group_add(self, effect: GroupAdd, now: int) -> SendResult:
        generation = self._registry.tell(effect.process, effect.entry, now)
        if generation is None:
            return self._gone()
        self._groups.add(effect.group, effect.process, generation)
        self._registry.processes[effect.process].groups.add(effect.group)
        return "ok"

    def _group_send(self, effect: GroupSend, now: int) -> None:
        for process in self._groups.processes(effect.group):
            inbox = self._registry.processes[process].inbox
            if inbox.admits(effect.entry):
                inbox.count(effect.entry)
                self.tell(process, effect.entry, now)
                continue
            self._counters["gap"] += 1
            if inbox.note_gap(effect.group):
                self.tell(process, codec.encode_entry(codec.GAP, effect.group), now)
        self._groups.expire(effect.group, now)
        for channel, limits in self._groups.channels(effect.group).items():
            delivery = Delivery(channel, effect.payload)
            if self._queues.reached(delivery.channel, limits):
                self.count("skipped", delivery.channel)
            else:
                self._queues.append(delivery)

    def _refused(self, channel: str, full: Full) -> Full:
        self.count("full", channel)
        if full != "full":
            self._counters[full.replace(":", "_")] += 1
        return full

    def _reached(self, channel: str, limits: QueueLimits, source: str) -> Full | None:
        full = self._queues.reached(channel, limits)
        if not source or full == "full:total":
            return full
        if full is not None:
            if self._queues.is_new(channel, source, limits):
                return self._queues.reached(channel, QueueLimits(0, 0, limits.total))
            return full
        return "full:share" if self._queues.exceeds_share(channel, source, limits) else None

    def _refuses(
        self, channel: str, limits: QueueLimits, now: int, *, source: str = ""
    ) -> Full | None:
        full = self._reached(channel, limits, source)
        if full:
            # What has expired does not count.
            for delivery in self._queues.take_expired(channel, source, now):
                self._counters["giveup:expired"] += 1
                if delivery.keep:
                    self.bury(delivery, "expired", now)
            full = self._reached(channel, limits, source)
        return self._refused(channel, full) if full else None
