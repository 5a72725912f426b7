"""Faults, made to happen: from the schedule to the fleet, and what there is to say of each.

From ``run``, which plays the schedule; on to ``fleet``, ``proxy`` and ``store``. Each fault
leaves a record::

    {"kind", "at", "until", "target", "pid", …}      seconds on the monotonic clock

``since``: where the store lost what was written, from when on. Faults of processes run
beside each other; those of the store and the proxy, one after the other.
"""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

from djchan.layers.redis import RedisChannelLayer, RedisSentinelChannelLayer
from djchan.layers.redis.scripts import SHA
from tests.chaos.fleet import Fleet, Slot
from tests.chaos.schedule import Fault
from tests.chaos.store import Collector, SentinelStore, Store

Record = dict[str, Any]

SLOW = 0.03  # Seconds that each piece is late by.
LOSSY = 0.03  # The chance of an answer to be lost.
LOSE = 2  # Answers that one proxy.lose loses.
LEAST = {"claim": 200, "inbox": 120}  # Bytes of an answer in which something comes.
FREE = 20.0  # Seconds to wait for a process that no other fault is at.
PATIENCE = 2.5  # Seconds to wait for a worker to begin a long job.
REPLICATION = 1.0  # Seconds that a replica may be behind its master.
UNNOTICED = 2.0  # And that a master may have been away before another one was made.
DEMOTION = 5.0  # And that it may still be taken for the master, min-replicas-max-lag among it.


class Faults:
    """Plays a schedule on a fleet; ``records`` are what happened."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.records: list[Record] = []
        self._store = asyncio.Lock()
        self._play: dict[str, Callable[[Fault, Record], Awaitable[None]]] = {
            "worker.kill": self._worker_kill,
            "worker.term": self._worker_term,
            "worker.stop": self._worker_stop,
            "interface.kill": self._interface_kill,
            "interface.term": self._interface_term,
            "store.kill": self._store_kill,
            "store.flush": self._store_flush,
            "store.oom": self._store_oom,
            "store.older": self._store_older,
            "store.failover": self._store_failover,
            "proxy.cut": self._proxy_cut,
            "proxy.hold": self._proxy_hold,
            "proxy.slow": self._proxy_slow,
            "proxy.lossy": self._proxy_lossy,
            "proxy.lose": self._proxy_lose,
            "other.kill": self._other_kill,
            "other.cut": self._other_cut,
            "other.away": self._other_away,
            "other.lose": self._other_lose,
        }

    async def play(self, faults: list[Fault], began: float) -> list[str]:
        """Each at its time after ``began``; when all are over, which could not be made."""
        made = await asyncio.gather(
            *(self._at(fault, began) for fault in faults), return_exceptions=True
        )
        return [
            f"{fault.kind} at {fault.at:.1f} could not be made: {error!r}"
            for fault, error in zip(faults, made, strict=True)
            if error is not None
        ]

    async def _at(self, fault: Fault, began: float) -> None:
        await asyncio.sleep(began + fault.at - time.monotonic())
        record: Record = {"kind": fault.kind, "at": 0.0, "until": 0.0, "planned": fault.at}
        if fault.kind.startswith(("store", "proxy")):
            async with self._store:
                await self._happen(fault, record)
        else:
            await self._happen(fault, record)

    async def _happen(self, fault: Fault, record: Record) -> None:
        record["at"] = time.monotonic()
        self.records.append(record)
        record["until"] = float("inf")  # While it lasts.
        await self._play[fault.kind](fault, record)
        if record["until"] == float("inf"):
            record["until"] = time.monotonic()

    async def _take(self, slots: list[Slot], target: int, record: Record) -> Slot:
        """The slot ``target``, or the next one that is up and that no fault is at."""
        deadline = time.monotonic() + FREE
        while time.monotonic() < deadline:
            for step in range(len(slots)):
                index = (target + step) % len(slots)
                slot = slots[index]
                # One of them stays, so that there is somebody to notice.
                if slot.up and sum(other.up for other in slots) > 1:
                    slot.busy = True
                    assert slot.process is not None
                    record.update(target=index, pid=slot.process.pid, at=time.monotonic())
                    return slot
            await asyncio.sleep(0.05)
        self.records.remove(record)  # What was not made explains nothing.
        raise AssertionError(f"no process was free for {record['kind']} within {FREE:g} s")

    async def _in_the_act(self, slot: Slot, record: Record) -> None:
        """Wait for a moment at which the worker has something to lose, but not for ever."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and not self.fleet.toils(slot):
            await asyncio.sleep(0.01)
        record.update(at=time.monotonic(), busy=self.fleet.toils(slot))

    # ---------------------------------------------------------------- processes

    async def _worker_kill(self, fault: Fault, record: Record) -> None:
        slot = await self._take(self.fleet.workers, fault.target, record)
        assert slot.process is not None
        await self._in_the_act(slot, record)
        await asyncio.to_thread(slot.process.kill9)
        record["until"] = time.monotonic()
        await asyncio.sleep(fault.seconds)
        await asyncio.to_thread(self.fleet.start_worker, slot)
        slot.busy = False

    async def _worker_term(self, fault: Fault, record: Record) -> None:
        slot = await self._take(self.fleet.workers, fault.target, record)
        assert slot.process is not None
        old = slot.process
        old.send_signal(signal.SIGTERM)
        await asyncio.to_thread(self.fleet.start_worker, slot)
        record["status"] = await asyncio.to_thread(old.wait_exit, timeout=40)
        record["until"] = record["at"]
        slot.busy = False

    async def _worker_stop(self, fault: Fault, record: Record) -> None:
        slot = await self._take(self.fleet.workers, fault.target, record)
        assert slot.process is not None
        await self._in_the_act(slot, record)
        slot.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(fault.seconds)
        record["until"] = time.monotonic()
        slot.process.send_signal(signal.SIGCONT)
        slot.busy = False

    async def _interface_kill(self, fault: Fault, record: Record) -> None:
        slot = await self._take(self.fleet.interfaces, fault.target, record)
        assert slot.process is not None
        await asyncio.to_thread(slot.process.kill9)
        await asyncio.sleep(fault.seconds)
        await asyncio.to_thread(self.fleet.start_interface, slot)
        slot.busy = False

    async def _interface_term(self, fault: Fault, record: Record) -> None:
        slot = await self._take(self.fleet.interfaces, fault.target, record)
        assert slot.process is not None
        record["status"] = await asyncio.to_thread(slot.process.stop, timeout=40)
        await asyncio.to_thread(self.fleet.start_interface, slot)
        slot.busy = False

    # -------------------------------------------------------------------- store

    async def _store_kill(self, fault: Fault, record: Record) -> None:
        store = self.fleet.store
        with await self._paused(self.fleet.collector):
            await self._restart(store, fault, record)

    async def _restart(self, store: Store, fault: Fault, record: Record) -> None:
        record["at"] = time.monotonic()
        await asyncio.to_thread(store.kill)
        await asyncio.sleep(fault.seconds)
        await asyncio.to_thread(store.start)
        record["until"] = time.monotonic()

    async def _store_flush(self, fault: Fault, record: Record) -> None:
        with await self._paused(self.fleet.collector):
            record["since"] = await asyncio.to_thread(self.fleet.collector.drain)
            record["at"] = time.monotonic()
            await asyncio.to_thread(self.fleet.store.flush)
            # Sockets are told to the layer again by their processes, a plain channel is not.
            await self.join()
            record["until"] = time.monotonic()

    async def _store_oom(self, fault: Fault, record: Record) -> None:
        store = self.fleet.store
        await asyncio.to_thread(store.refuse_writes, True)
        await asyncio.sleep(fault.seconds)
        await asyncio.to_thread(store.refuse_writes, False)

    async def _store_older(self, fault: Fault, record: Record) -> None:
        store = self.fleet.store
        with await self._paused(self.fleet.collector):
            record["since"] = record["at"] = time.monotonic()
            copy = await asyncio.to_thread(store.copy)
        await asyncio.sleep(fault.seconds)
        with await self._paused(self.fleet.collector):
            record["at"] = time.monotonic()
            await asyncio.to_thread(store.kill)
            await asyncio.to_thread(store.restore, copy)
            await asyncio.to_thread(store.start)
            record["until"] = time.monotonic()

    async def _store_failover(self, fault: Fault, record: Record) -> None:
        store = self.fleet.store
        assert isinstance(store, SentinelStore)
        with await self._paused(self.fleet.collector):
            record["at"] = time.monotonic()
            record["since"] = record["at"] - REPLICATION
            record["until"] = float("inf")
            await asyncio.to_thread(store.fail_over)
            record["until"] = time.monotonic()
        await asyncio.to_thread(store.revive)

    def note_unplanned(self) -> None:
        """Record the failovers that sentinels made on their own, on a machine that was slow."""
        if not isinstance(self.fleet.store, SentinelStore):
            return
        planned = [record for record in self.records if record["kind"] == "store.failover"]
        for at in self.fleet.store.promotions():
            if any(record["at"] <= at <= record["until"] for record in planned):
                continue
            self.records.append(
                {
                    "kind": "store.failover",
                    "at": at - UNNOTICED,
                    "until": at + DEMOTION,
                    "since": at - UNNOTICED - REPLICATION,
                    "planned": None,
                }
            )

    async def join(self, *, leave: bool = False) -> None:
        """Make the plain channel ``tally`` a member of the group that consumers write to."""
        fleet = self.fleet
        config = dict(fleet.config)
        if fleet.sentinels:
            layer: Any = RedisSentinelChannelLayer(**config)
        else:
            config["hosts"] = [f"redis://127.0.0.1:{fleet.store.port}/0"]
            layer = RedisChannelLayer(**config)
        await asyncio.to_thread(layer.group_discard if leave else layer.group_add, "books", "tally")
        layer.close()

    async def _paused(self, collector: Collector) -> ExitStack:
        """A collector's pause, as a context; waited for in a thread, as it may take a while."""
        stack = ExitStack()
        await asyncio.to_thread(stack.enter_context, collector.paused())
        return stack

    # -------------------------------------------------------------------- proxy

    async def _proxy_cut(self, fault: Fault, record: Record) -> None:
        await asyncio.to_thread(self.fleet.proxy.cut)

    async def _proxy_hold(self, fault: Fault, record: Record) -> None:
        await asyncio.to_thread(self.fleet.proxy.hold)
        await asyncio.sleep(fault.seconds)
        await asyncio.to_thread(self.fleet.proxy.release)

    async def _proxy_slow(self, fault: Fault, record: Record) -> None:
        self.fleet.proxy.slow(SLOW)
        await asyncio.sleep(fault.seconds)
        self.fleet.proxy.slow(0)

    async def _proxy_lossy(self, fault: Fault, record: Record) -> None:
        before = self.fleet.proxy.lost
        self.fleet.proxy.lossy(LOSSY)
        await asyncio.sleep(fault.seconds)
        self.fleet.proxy.disarm()
        record["lost"] = self.fleet.proxy.lost - before

    async def _proxy_lose(self, fault: Fault, record: Record) -> None:
        proxy = self.fleet.proxy
        before = proxy.lost
        pattern = b":in:" if fault.word == "inbox" else SHA[fault.word]
        record["word"] = fault.word
        proxy.lose(pattern, LOSE, least=LEAST.get(fault.word, 0))
        await asyncio.sleep(0.8)
        proxy.disarm()
        record["lost"] = proxy.lost - before

    # ------------------------------------------------------------- second layer

    async def _other_kill(self, fault: Fault, record: Record) -> None:
        with await self._paused(self.fleet.other_collector):
            await self._restart(self.fleet.other, fault, record)

    async def _other_cut(self, fault: Fault, record: Record) -> None:
        await asyncio.to_thread(self.fleet.other_proxy.cut)

    async def _other_away(self, fault: Fault, record: Record) -> None:
        proxy = self.fleet.other_proxy
        await asyncio.to_thread(proxy.refuse, True)
        await asyncio.sleep(fault.seconds)
        await asyncio.to_thread(proxy.refuse, False)

    async def _other_lose(self, fault: Fault, record: Record) -> None:
        proxy = self.fleet.other_proxy
        before = proxy.lost
        proxy.lose(SHA["send"], LOSE)
        await asyncio.sleep(0.8)
        proxy.disarm()
        record["lost"] = proxy.lost - before
