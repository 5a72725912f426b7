"""What is kept for consumers in memory, as a connection's session. No I/O happens here.

From ``layers.memory.engine``; on to nobody. A value whose time is over is none. Whoever keeps
one looks at two others, in turn, and takes off what is over: so that what nobody asks for any
more goes as well, and nothing runs by itself.
"""

from collections import OrderedDict

from djchan.layers.operations import Drop, Keep, Kept, Recall

LOOKS = 2  # Others that are looked at for each that is kept.


class KeptValues:
    def __init__(self) -> None:
        # Key -> what is kept, when it goes (ms). The next to be looked at is the first.
        self._values: OrderedDict[str, tuple[Kept, int]] = OrderedDict()
        # Not reset by a flush: a version of before must not fit a value of after.
        self._version = 0

    def __len__(self) -> int:
        return len(self._values)

    def clear(self) -> None:
        self._values.clear()

    def keep(self, operation: Keep, now: int) -> int:
        key, value, ttl, must, version = operation
        self._tidy(now)
        before = self._find(key, now)
        if must and (before is not None) != (must == "exist"):
            return 0
        if version and (before is None or before.version != version):
            return 0
        self._version += 1
        self._values[key] = (Kept(value, self._version), now + ttl)
        return self._version

    def recall(self, operation: Recall, now: int) -> Kept | None:
        key, ttl = operation
        kept = self._find(key, now)
        if kept is not None and ttl:
            self._values[key] = (kept, now + ttl)
        return kept

    def drop(self, operation: Drop, now: int) -> bool:
        there = self._find(operation.key, now) is not None
        self._values.pop(operation.key, None)
        return there

    def _find(self, key: str, now: int) -> Kept | None:
        kept, until = self._values.get(key, (None, 0))
        return kept if now < until else None

    def _tidy(self, now: int) -> None:
        for _ in range(min(LOOKS, len(self._values))):
            key, (_, until) = next(iter(self._values.items()))
            if until <= now:
                del self._values[key]
            else:
                self._values.move_to_end(key)
