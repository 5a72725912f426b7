"""What an exception carries besides its message: its causes, and the frames of its tracebacks.

Error reports such as Sentry's show the local variables of those frames.
"""

import traceback
from collections.abc import Iterator


def with_causes(error: BaseException) -> Iterator[BaseException]:
    """``error``, and each exception that led to it, once."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__]


def clear_locals(error: BaseException) -> None:
    """Delete the local variables of the functions that ``error`` and its causes have ended.

    Those that still run keep theirs, and the traceback keeps its lines.
    """
    for each in with_causes(error):
        traceback.clear_frames(each.__traceback__)
