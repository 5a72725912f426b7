"""The last answer of each caller that is no registered process, in memory. No I/O happens here.

``layers.memory.engine`` asks here before it applies a numbered Pop, Part or anonymous Send, and
notes the answer afterwards, so that a repeated operation is answered again and changes nothing.
"""

from typing import Any

from djchan.layers.operations import REMEMBERED


class Answers:
    def __init__(self) -> None:
        # Caller -> number, answer, and until when it is kept (ms). The first goes first.
        self._last: dict[str, tuple[int, Any, int]] = {}

    def __len__(self) -> int:
        return len(self._last)

    def clear(self) -> None:
        self._last.clear()

    def find(self, link: str, number: int, now: int) -> tuple[bool, Any]:
        """Whether this number, or a later one, was applied; the answer, None for an older one."""
        last, answer, until = self._last.get(link, (0, None, 0))
        if not link or until <= now or number > last:
            return False, None
        return True, answer if number == last else None

    def note(self, link: str, number: int, answer: Any, now: int) -> None:
        if not link:
            return
        while self._last:
            first = next(iter(self._last))
            if self._last[first][2] > now:
                break
            del self._last[first]
        self._last.pop(link, None)
        self._last[link] = (number, answer, now + REMEMBERED)
