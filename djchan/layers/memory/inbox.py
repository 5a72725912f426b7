"""The inbox of an interface in memory: its entries, and how many bytes of them wait.

From ``layers.memory.registry`` and ``layers.memory.effects``; on to the interface, which
reads by cursor. Its limit is of group messages and replies: what was written less what the
interface says it has read. Answers are not counted, each connection waits for one at most.

::

    within the limit ──a group message that does not fit──► one gap per group is told
          ▲                                                        │
          └── Beat finds half the limit free (or Resume) ◄─────────┘  more is only counted
"""

from collections import deque
from itertools import dropwhile, islice

READ_COUNT = 256  # Entries of an inbox that one read returns at most.

EntryId = tuple[int, int]
NEVER: EntryId = (0, 0)


def parse_id(text: str) -> EntryId:
    """The id ``"<ms>-<n>"`` of an entry, to compare: as text, 9-0 would be above 10-0.

    ``"<ms>"`` alone is ``"<ms>-0"``, so ``"0"`` is before everything.
    """
    milliseconds, _, number = text.partition("-")
    return int(milliseconds), int(number or 0)


class Inbox:
    __slots__ = ("_entries", "_gaps", "_last_id", "_limit", "_read", "_written")

    def __init__(self, limit: int = 0) -> None:
        self._entries: deque[tuple[EntryId, bytes]] = deque()
        self._last_id = NEVER
        self._limit = limit  # Bytes; 0: none.
        self._written = 0
        self._read = 0
        self._gaps: set[str] = set()  # Groups that were told of a gap.

    def append(self, entry: bytes, now: int) -> EntryId:
        """Ids only grow, also when the clock is set back."""
        milliseconds, number = self._last_id
        self._last_id = (now, 0) if now > milliseconds else (milliseconds, number + 1)
        self._entries.append((self._last_id, entry))
        return self._last_id

    def read(self, cursor: EntryId, *, trim: bool) -> list[tuple[str, bytes]]:
        entries = self._entries
        if trim:
            while entries and entries[0][0] <= cursor:
                entries.popleft()
        rest = dropwhile(lambda item: item[0] <= cursor, entries)
        return [(f"{key[0]}-{key[1]}", entry) for key, entry in islice(rest, READ_COUNT)]

    def count(self, entry: bytes) -> None:
        self._written += len(entry)

    def admits(self, entry: bytes) -> bool:
        waiting = self._written - self._read + len(entry)
        return self._limit == 0 or waiting <= self._limit

    def note_gap(self, group: str) -> bool:
        """Whether ``group`` has to be told that a message of it was dropped."""
        known = group in self._gaps
        self._gaps.add(group)
        return not known

    def confirm(self, read: int) -> None:
        """The interface has taken ``read`` bytes so far."""
        self._read = max(self._read, read)
        if self._written - self._read <= self._limit // 2:
            self._gaps.clear()

    def resume(self, cursor: EntryId, read: int, limit: int) -> None:
        """Go on above what was read; nothing else that was counted is known any more."""
        self._last_id = max(self._last_id, cursor)
        self._limit = limit
        self._written = self._read = read
        self._gaps.clear()
