"""The processes of the layer, and all that goes when one of them goes. No I/O happens here.

From ``layers.memory.engine``; on to nobody. ::

    Register, Resume ──► known ──Reap──► dead: its id is refused, so that what is left of it
                        ▲     │          cannot come back as half a process
                 Resume │     │ History (a new run of the store)
                        └ stale: an interface, to whose connections nothing is committed
"""

from collections.abc import Iterator
from typing import Any

from djchan.layers.memory.bells import Signal
from djchan.layers.memory.inbox import EntryId, Inbox
from djchan.layers.memory.queue import Delivery
from djchan.layers.operations import Address, ProcessKind

Floor = tuple[int, int]

TOMBSTONES = 10_000  # Dead ids remembered; the oldest are forgotten.


class Process:
    """One living process. A worker has leases, an interface an inbox and floors."""

    __slots__ = (
        "answered",
        "beat",
        "bells",
        "channels",
        "claims",
        "clients",
        "closing",
        "cut",
        "floors",
        "granted",
        "groups",
        "inbox",
        "info",
        "kind",
        "leases",
        "listening",
        "records",
        "suspect",
    )

    def __init__(self, kind: ProcessKind, info: bytes, inbox: int) -> None:
        self.kind = kind
        self.info = info
        self.beat = 0
        self.clients = ""
        self.channels: tuple[str, ...] = ()
        self.closing = False
        self.bells: set[str] = set()
        self.leases: dict[int, Delivery] = {}  # Token -> delivery, in the order of claiming.
        self.suspect = 0  # The token of the suspect it claimed last.
        self.claims: dict[str, tuple[int, range]] = {}  # Link -> number and tokens of its last.
        # link -> (the number it said last, what it was answered). Only the last one is kept:
        # a link says nothing new before it knows the answer.
        self.answered: dict[str, tuple[int, tuple[Any, ...]]] = {}
        self.cut: set[str] = set()  # Connections whose clients left during a response.
        self.granted: dict[str, int] = {}  # Connection -> bytes of its response, in total.
        self.listening: dict[str, str] = {}  # Connection -> bell to be rung when that changes.
        # Connection -> the highest answered seq, and how many frames of the next one are.
        self.floors: dict[str, Floor] = {}
        self.records: dict[str, Delivery] = {}  # Connection -> its last delivery.
        self.groups: set[str] = set()
        self.inbox = Inbox(inbox)

    def number(self, link: str) -> int:
        """Of the last numbered operation that was applied."""
        return self.answered[link][0] if link in self.answered else 0


class Registry:
    def __init__(self, signals: set[Signal]) -> None:
        self._signals = signals
        self._dead: dict[str, None] = {}
        self._serving: dict[str, set[str]] = {}  # Channel -> workers.
        self._routed: set[str] = set()  # Channels that any worker ever served.
        self._history = ""
        self._stale: set[str] = set()
        # Floors of the dead, for connections of which a delivery is queued or leased still.
        self._left: dict[str, dict[str, Floor]] = {}
        self.processes: dict[str, Process] = {}

    def clear(self) -> None:
        self._history = ""
        for part in (
            self._dead,
            self._serving,
            self._routed,
            self._stale,
            self._left,
            self.processes,
        ):
            part.clear()

    def is_dead(self, process: str) -> bool:
        return process in self._dead

    def register(
        self,
        process: str,
        kind: ProcessKind,
        info: bytes,
        *,
        channels: tuple[str, ...] = (),
        inbox: int = 0,
    ) -> Process:
        known = self.processes.get(process)
        if known is None:
            known = self.processes[process] = Process(kind, info, inbox)
        self._unserve(process, known)
        known.channels = channels
        self._routed.update(channels)
        if not known.closing:
            for channel in channels:
                self._serving.setdefault(channel, set()).add(process)
        return known

    def close(self, process: str) -> None:
        known = self.processes[process]
        known.closing = True
        self._unserve(process, known)

    def bury(self, process: str) -> None:
        self._unserve(process, self.processes.pop(process))
        self._stale.discard(process)
        self._dead[process] = None
        if len(self._dead) > TOMBSTONES:
            del self._dead[next(iter(self._dead))]

    def is_served(self, channel: str) -> bool:
        return channel in self._serving

    def was_served(self, channel: str) -> bool:
        return channel in self._routed

    def begin(self, run: str) -> bool:
        """Note which run of the store this is; whether another one was known."""
        known, self._history = self._history, run
        if known in ("", run):
            return False
        self._stale = {name for name, each in self.processes.items() if each.kind == "interface"}
        return True

    def is_stale(self, process: str) -> bool:
        return process in self._stale

    def refresh(self, process: str) -> None:
        self._stale.discard(process)

    def interface(self, process: str) -> Process | None:
        """The process, if it is alive and has an inbox."""
        known = self.processes.get(process)
        return known if known is not None and known.kind == "interface" else None

    def tell(self, process: str, entry: bytes, now: int) -> EntryId | None:
        """The id of the new inbox entry, or None when that process is gone."""
        known = self.interface(process)
        if known is None:
            return None
        self._signals.add(("inbox", process))
        return known.inbox.append(entry, now)

    def is_answered(self, address: Address) -> bool:
        """Whether it was, or its connection never was or is over."""
        floor = self._floors(address).get(address.connection)
        return floor is None or address.seq <= floor[0]

    def is_over(self, owner: tuple[str, str] | None, seq: int) -> bool:
        """Whether delivery ``seq`` (0: it has no number) was answered, or its connection is over.

        The floors of a stale interface are not known, so nothing is.
        """
        if owner is None or not seq or self.is_stale(owner[0]):
            return False
        return self.is_answered(Address(*owner, seq))

    def frames(self, address: Address) -> int:
        """How many frames of it were answered, if it was not as a whole."""
        seq, frames = self._floors(address).get(address.connection, (0, 0))
        return frames if address.seq == seq + 1 else 0

    def _floors(self, address: Address) -> dict[str, Floor]:
        home = self.interface(address.process)
        return self._left.get(address.process, {}) if home is None else home.floors

    def leave_floors(self, process: str, floors: dict[str, Floor]) -> None:
        """Keep those of a process that was buried, until ``drop_floor``."""
        if floors:
            self._left[process] = floors

    def drop_floor(self, process: str, connection: str) -> None:
        """A connection of a buried process has no delivery any more."""
        floors = self._left.get(process)
        if floors is not None and floors.pop(connection, None) is not None and not floors:
            del self._left[process]

    def answer(self, address: Address, entry: bytes, now: int, *, frames: int = 0) -> bool:
        """Raise the floor, then give the connection's process the entry; False: it is gone.

        ``frames``: that many of it alone are answered.
        """
        floor = (address.seq - 1, frames) if frames else (address.seq, 0)
        home = self.interface(address.process)
        if home is None:
            if frames:
                self._left[address.process][address.connection] = floor
            return False
        home.floors[address.connection] = floor
        if entry:
            self.tell(address.process, entry, now)
        return True

    def leased(self) -> Iterator[Delivery]:
        for process in self.processes.values():
            yield from process.leases.values()

    def _unserve(self, process: str, known: Process) -> None:
        for channel in known.channels:
            workers = self._serving.get(channel)
            if workers is not None:
                workers.discard(process)
                if not workers:
                    del self._serving[channel]
