"""The clock of a layer in memory, which a test may move, so that nobody waits for a delay."""

from datetime import datetime, timedelta

from django.utils import timezone

from djchan.layers.base import BaseChannelLayer

Until = datetime | timedelta | float


def move_clock(layer: BaseChannelLayer, milliseconds: float) -> None:
    """Let so much time have passed for ``layer``. Raises ValueError: it is not in memory."""
    move = getattr(layer, "move_clock", None)
    if move is None:
        raise ValueError(
            f"The clock of a {type(layer).__name__} cannot be moved, since it is Redis's: until= "
            "is for layers in memory, which tests have unless they ask for TEST_CONFIG."
        )
    move(milliseconds)


def moment(until: Until, now: int) -> int:
    """``until`` in ms since the epoch: a date, or a time (in seconds, if a number) after ``now``.

    Raises TypeError.
    """
    if isinstance(until, datetime):
        if timezone.is_naive(until):
            until = timezone.make_aware(until)
        return round(until.timestamp() * 1000)
    if isinstance(until, timedelta):
        return now + round(until / timedelta(milliseconds=1))
    if isinstance(until, int | float) and not isinstance(until, bool):
        return now + round(until * 1000)
    raise TypeError(f"until is a datetime, a timedelta or a number of seconds, not {until!r:.80}.")
