"""What a Send or a Commit does to channels, groups and inboxes, in memory. No I/O here.

From ``layers.memory.engine``, which has checked numbers, leases and floors; on to ``queues``,
``registry`` and ``groups``. Nothing in here can fail, so a Commit is whole.
"""

from collections import Counter
from typing import assert_never

from djchan.layers.memory.groups import Groups
from djchan.layers.memory.queues import Delivery, Queues
from djchan.layers.memory.registry import Registry
from djchan.layers.operations import (
    Address,
    Body,
    Delay,
    Effect,
    GroupAdd,
    GroupAddChannel,
    GroupDiscard,
    GroupDiscardChannel,
    GroupSend,
    Push,
    SendResult,
    Tell,
)


class Effects:
    def __init__(
        self, queues: Queues, registry: Registry, groups: Groups, *, counters: Counter[str]
    ) -> None:
        self._queues = queues
        self._registry = registry
        self._groups = groups
        self._counters = counters

    def apply(self, effect: Effect, now: int, *, admission: bool) -> SendResult:
        """Apply one effect; with ``admission``, it meets the capacity of its channel."""
        match effect:
            case Push():
                if effect.if_served and not self._registry.is_served(effect.channel):
                    return "unserved"
                if admission and self._refuses(effect.channel, effect.capacity, now):
                    return "full"
                channel, payload, _, frames, _, expires, keep = effect
                self._queues.append(Delivery(channel, payload, frames, expires=expires, keep=keep))
            case Tell() | GroupDiscard():
                return self.tell(effect.process, effect.entry, now)
            case GroupSend():
                self._group_send(effect, now)
            case GroupAdd():
                return self._group_add(effect, now)
            case GroupAddChannel():
                self._groups.add_channel(effect.group, effect.channel)
            case GroupDiscardChannel():
                self._groups.discard_channel(effect.group, effect.channel)
            case Delay():
                channel, payload, delay, expires, keep = effect
                delayed = Delivery(channel, payload, expires=expires, keep=keep)
                self._queues.delay(delayed, now + delay)
            case Body():
                self._queues.expire(now)
                if admission and self._refuses(effect.channel, effect.capacity, now):
                    return "full"
                body = Delivery(effect.channel, effect.payload)
                self._queues.append_expiring(body, now + effect.ttl)
            case _:
                assert_never(effect)
        return "ok"

    def tell(self, process: str, entry: bytes, now: int) -> SendResult:
        if self._registry.tell(process, entry, now) is None:
            self._counters["gone"] += 1
            return "gone"
        return "ok"

    def answer(self, address: Address, entry: bytes, now: int) -> None:
        if not self._registry.answer(address, entry, now):
            self._counters["gone"] += 1

    def count(self, what: str, channel: str) -> None:
        # Single-reader channels have random names; they share one counter.
        head, mark, _ = channel.partition("?")
        self._counters[f"{what}:{head}{mark}"] += 1

    def _group_add(self, effect: GroupAdd, now: int) -> SendResult:
        generation = self._registry.tell(effect.process, effect.entry, now)
        if generation is None:
            self._counters["gone"] += 1
            return "gone"
        self._groups.add(effect.group, effect.process, generation)
        self._registry.processes[effect.process].groups.add(effect.group)
        return "ok"

    def _group_send(self, effect: GroupSend, now: int) -> None:
        for process in self._groups.processes(effect.group):
            self.tell(process, effect.entry, now)
        for channel in self._groups.channels(effect.group):
            if self._queues.is_full(channel, effect.capacity):
                self.count("skipped", channel)
            else:
                self._queues.append(Delivery(channel, effect.payload))

    def _refuses(self, channel: str, capacity: int, now: int) -> bool:
        full = self._queues.is_full(channel, capacity)
        if full:
            # What has expired does not count.
            for delivery in self._queues.take_expired(channel, now):
                self._counters["giveup:expired"] += 1
                if delivery.keep:
                    self._queues.bury(delivery, "expired", now)
                    self.count("dead", channel)
            full = self._queues.is_full(channel, capacity)
        if full:
            self.count("full", channel)
        return full
