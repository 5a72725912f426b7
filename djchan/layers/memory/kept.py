"""What is kept for consumers in memory, as a connection's session. No I/O happens here.

From ``layers.memory.engine``; on to nobody. A value whose time is over is none. Whoever keeps
one looks at two others, in turn, and takes off what is over: so that what nobody asks for any
more goes as well, and nothing runs by itself.
"""

from collections import OrderedDict

from djchan.layers.operations import Drop, Keep, Recall

LOOKS = 2  # Others that are looked at for each that is kept.


class Kept:
    def __init__(self) -> None:
        # Key -> value, when it goes (ms). The next to be looked at is the first.
        self._values: OrderedDict[str, tuple[bytes, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def clear(self) -> None:
        self._values.clear()

    def keep(self, operation: Keep, now: int) -> bool:
        key, value, ttl, must = operation
        self._tidy(now)
        if must and (self._find(key, now) is not None) != (must == "exist"):
            return False
        self._values[key] = (value, now + ttl)
        return True

    def recall(self, operation: Recall, now: int) -> bytes | None:
        key, ttl = operation
        value = self._find(key, now)
        if value is not None and ttl:
            self._values[key] = (value, now + ttl)
        return value

    def drop(self, operation: Drop, now: int) -> bool:
        there = self._find(operation.key, now) is not None
        self._values.pop(operation.key, None)
        return there

    def _find(self, key: str, now: int) -> bytes | None:
        value, until = self._values.get(key, (None, 0))
        return value if now < until else None

    def _tidy(self, now: int) -> None:
        for _ in range(min(LOOKS, len(self._values))):
            key, (_, until) = next(iter(self._values.items()))
            if until <= now:
                del self._values[key]
            else:
                self._values.move_to_end(key)
