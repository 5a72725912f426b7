"""Move an element of a written list to its front, with its line, or within its line.

From ``djchan.upgrade.python``, for INSTALLED_APPS; on to edits. An element that has a line of
its own takes that line along, with the comment at its end; comments above stay where they are.
"""

import re
from collections.abc import Sequence

from djchan.upgrade.source import Edit

Span = tuple[int, int]

_REST_OF_LINE = re.compile(rb"[ \t]*(,?)([ \t]*(?:#[^\r\n]*)?)(\r\n|\r|\n)")
_LINE_END = re.compile(rb"[ \t]*(?:#[^\r\n]*)?(\r\n|\r|\n)")


def moved(
    source: bytes, opened: int, spans: Sequence[Span], index: int, new: str
) -> list[Edit] | None:
    """``new`` before all elements, in place of the one at ``index``; None: not possible.

    ``opened``: where the bracket ends. ``spans``: where the elements are.
    """
    start, end = spans[index]
    line = source.rfind(b"\n", 0, start) + 1
    indent = source[line:start]
    rest = _REST_OF_LINE.match(source, end)
    first = _LINE_END.match(source, opened)
    if first is not None and rest is not None and not indent.strip():
        comment, newline = rest.group(2), rest.group(3)
        front = indent + new.encode() + b"," + comment + newline
        return [Edit(first.end(), first.end(), front.decode()), Edit(line, rest.end(), "")]
    before = spans[index - 1][1]
    if not re.fullmatch(rb"[ \t]*,[ \t]*", source[before:start]):
        return None
    at = spans[0][0]
    return [Edit(at, at, f"{new}, "), Edit(before, end, "")]
