"""Which connections leave when, at the end of an interface process. No I/O happens here.

From ``application``, at its shutdown; on to it again, which waits and tells them. All at once
would come back all at once, to the processes that are left: so they leave in batches of about
one size, spread over some seconds and each a little off its beat.
"""

import math
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

PACE = 0.1  # Seconds between two batches, on average.
UNHURRIED = 40  # A second: that many may come back at any time.


def schedule(
    connections: Sequence[T], seconds: float, *, chance: Callable[[], float] = random.random
) -> list[tuple[float, list[T]]]:
    """(seconds after the one before, batch) over at most ``seconds``, in random order.

    Fewer of them than ``UNHURRIED`` a second take less time. ``chance``: from 0 to 1.
    """
    if not connections:
        return []
    seconds = min(seconds, len(connections) / UNHURRIED)
    count = min(len(connections), max(1, math.ceil(seconds / PACE)))
    order = sorted(connections, key=lambda _: chance())
    moments = [(number + chance()) * seconds / count for number in range(count)]
    pauses = [moment - before for before, moment in zip([0.0, *moments], moments, strict=False)]
    return [(pause, order[number::count]) for number, pause in enumerate(pauses)]
