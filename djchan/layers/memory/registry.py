"""The processes of the layer, and all that goes when one of them goes. No I/O happens here.

From ``layers.memory.engine``; on to nobody. A process is known from Register to Reap, and
then its id is dead: it is refused, so that what is left of it cannot come back as half a
process.
"""

from collections import deque
from itertools import dropwhile, islice

from djchan.layers.memory.bells import Signal
from djchan.layers.memory.queues import Delivery
from djchan.layers.operations import Address, ProcessKind, SendResult

TOMBSTONES = 10_000  # Dead ids remembered; the oldest are forgotten.
READ_COUNT = 256  # Entries of an inbox that one read returns at most.

EntryId = tuple[int, int]
NEVER: EntryId = (0, 0)


def parse_id(text: str) -> EntryId:
    """The id ``"<ms>-<n>"`` of an inbox entry, to compare: as text, 9-0 would be above 10-0.

    ``"<ms>"`` alone is ``"<ms>-0"``, so ``"0"`` is before everything.
    """
    milliseconds, _, number = text.partition("-")
    return int(milliseconds), int(number or 0)


class Process:
    """One living process. A worker has leases, an interface an inbox and floors."""

    __slots__ = (
        "_inbox",
        "_last_id",
        "answered",
        "beat",
        "bells",
        "channels",
        "clients",
        "closing",
        "cut",
        "floors",
        "groups",
        "info",
        "kind",
        "leases",
    )

    def __init__(self, kind: ProcessKind, info: bytes) -> None:
        self.kind = kind
        self.info = info
        self.beat = 0
        self.clients = ""
        self.channels: tuple[str, ...] = ()
        self.closing = False
        self.bells: set[str] = set()
        self.leases: dict[int, Delivery] = {}  # Token -> delivery, in the order of claiming.
        # link -> (the number it said last, what a Send of that number answered). Only the
        # last one is kept: a link says nothing new before it knows the answer.
        self.answered: dict[str, tuple[int, tuple[SendResult, ...]]] = {}
        self.cut: set[str] = set()  # Connections whose clients left during a response.
        self.floors: dict[str, int] = {}  # Connection -> highest answered seq.
        self.groups: set[str] = set()
        self._inbox: deque[tuple[EntryId, bytes]] = deque()
        self._last_id = NEVER

    def tell(self, entry: bytes, now: int) -> EntryId:
        """Append to the inbox. Ids only grow, also when the clock is set back."""
        milliseconds, number = self._last_id
        self._last_id = (now, 0) if now > milliseconds else (milliseconds, number + 1)
        self._inbox.append((self._last_id, entry))
        return self._last_id

    def start_ids_above(self, cursor: EntryId) -> None:
        self._last_id = max(self._last_id, cursor)

    def read(self, cursor: EntryId, *, trim: bool) -> list[tuple[str, bytes]]:
        inbox = self._inbox
        if trim:
            while inbox and inbox[0][0] <= cursor:
                inbox.popleft()
        rest = dropwhile(lambda item: item[0] <= cursor, inbox)
        return [(f"{key[0]}-{key[1]}", entry) for key, entry in islice(rest, READ_COUNT)]


class Registry:
    def __init__(self, signals: set[Signal]) -> None:
        self._signals = signals
        self._dead: dict[str, None] = {}
        self._serving: dict[str, set[str]] = {}  # Channel -> workers.
        self.processes: dict[str, Process] = {}

    def clear(self) -> None:
        self._dead.clear()
        self._serving.clear()
        self.processes.clear()

    def is_dead(self, process: str) -> bool:
        return process in self._dead

    def register(
        self, process: str, kind: ProcessKind, info: bytes, *, channels: tuple[str, ...] = ()
    ) -> Process:
        known = self.processes.get(process)
        if known is None:
            known = self.processes[process] = Process(kind, info)
        self._unserve(process, known)
        known.channels = channels
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
        self._dead[process] = None
        if len(self._dead) > TOMBSTONES:
            del self._dead[next(iter(self._dead))]

    def is_served(self, channel: str) -> bool:
        return channel in self._serving

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
        return known.tell(entry, now)

    def is_answered(self, address: Address) -> bool:
        home = self.interface(address.process)
        return home is not None and address.seq <= home.floors.get(address.connection, 0)

    def answer(self, address: Address, entry: bytes, now: int) -> bool:
        """Raise the floor, then give the connection's process the entry; False: it is gone."""
        home = self.interface(address.process)
        if home is None:
            return False
        home.floors[address.connection] = address.seq
        if entry:
            self.tell(address.process, entry, now)
        return True

    def _unserve(self, process: str, known: Process) -> None:
        for channel in known.channels:
            workers = self._serving.get(channel)
            if workers is not None:
                workers.discard(process)
                if not workers:
                    del self._serving[channel]
