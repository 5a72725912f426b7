"""Log records on the terminal: one format, and each record once.

Beside the handlers of a project there may be three that it has not configured::

    our own    on ``djchan``, of runserver, runworker and rundelay
    Daphne's   on the root, of ``daphne`` itself
    Django's   ``console`` on ``django``, of its default LOGGING, with DEBUG on

Where several handlers write a record to the same terminal, only the first of these does, and a
handler of the project comes before them all. Levels and ``propagate`` stay as they are.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from enum import IntEnum
from logging.handlers import QueueHandler
from typing import TextIO

FORMAT = "%(asctime)s - %(levelname)s - %(module)s - %(message)s"
DAPHNE_FORMAT = "%(asctime)-15s %(levelname)-8s %(message)s"  # Without --log-fmt.

# The role that each level has in Django's palettes (DJANGO_COLORS).
_ROLES = {
    logging.DEBUG: "HTTP_NOT_MODIFIED",
    logging.INFO: "SUCCESS",
    logging.WARNING: "WARNING",
    logging.ERROR: "ERROR",
    logging.CRITICAL: "ERROR",
}
_NOT_MAILED = ("djchan", "daphne")


class Rank(IntEnum):
    """Which of the handlers that write a record to the terminal is the one to do so."""

    PROJECT = 0
    OURS = 1
    DAPHNE = 2
    DJANGO = 3


class Ranked(logging.Filter):
    """Marks a handler that the project has not configured, and lets it leave out what one of a
    lower rank writes to the terminal."""

    def __init__(self, handler: logging.Handler, rank: Rank) -> None:
        super().__init__()
        self.rank = rank
        self._handler = handler

    def filter(self, record: logging.LogRecord) -> bool:
        if not isinstance(self._handler, logging.StreamHandler):
            # Django's mails. A mail server that hangs would hold up an event loop and its sockets.
            return record.name.partition(".")[0] not in _NOT_MAILED
        return not _is_on_terminal(self._handler) or not any(
            rank_of(other) < self.rank
            and _is_on_terminal(other)
            and record.levelno >= other.level
            and other.filter(record)
            for other in handlers_of(_logger_of(record))
        )


def rank_of(handler: logging.Handler) -> Rank:
    """PROJECT for a handler that nobody has marked."""
    marks = (mark.rank for mark in handler.filters if isinstance(mark, Ranked))
    return next(marks, Rank.PROJECT)


def handlers_of(logger: logging.Logger) -> Iterator[logging.Handler]:
    """The handlers that get the records of ``logger``: its own and those above it."""
    above: logging.Logger | None = logger
    while above is not None:
        yield from above.handlers
        above = above.parent if above.propagate else None


def mark(handler: logging.Handler, rank: Rank) -> None:
    """Note that the project has not configured ``handler``. Safe to repeat."""
    if rank_of(handler) is Rank.PROJECT:
        handler.addFilter(Ranked(handler, rank))


def is_daphnes(handler: logging.Handler) -> bool:
    """Whether it is the root handler of ``daphne``, started without ``--log-fmt``."""
    if type(handler) is not logging.StreamHandler or handler.name is not None:
        return False
    line = getattr(handler.formatter, "_fmt", None)
    return rank_of(handler) is Rank.DAPHNE or line == DAPHNE_FORMAT


def formatter(
    stream: TextIO, style: object = None, *, force_color: bool = False
) -> logging.Formatter:
    """Our format, for a handler that writes to ``stream``.

    ``style``: of ``django.core.management.color``; None: no colors. They are for terminals, unless
    ``refuses_color()``; ``force_color``: always.
    """
    wanted = stream.isatty() and not refuses_color()
    return _Colored(style) if style is not None and (force_color or wanted) else _plain()


def refuses_color() -> bool:
    """Whether NO_COLOR is set, for all programs: https://no-color.org."""
    return bool(os.environ.get("NO_COLOR"))


class _Colored(logging.Formatter):
    def __init__(self, style: object) -> None:
        super().__init__(FORMAT)
        self._of_level = {level: _plain(getattr(style, role)) for level, role in _ROLES.items()}

    def format(self, record: logging.LogRecord) -> str:
        known = self._of_level.get(record.levelno)
        return super().format(record) if known is None else known.format(record)


def _plain(paint: Callable[[str], str] = str) -> logging.Formatter:
    return logging.Formatter(FORMAT.replace("%(levelname)s", paint("%(levelname)s")))


def _logger_of(record: logging.LogRecord) -> logging.Logger:
    known = logging.Logger.manager.loggerDict.get(record.name)
    return known if isinstance(known, logging.Logger) else logging.getLogger()


def _is_on_terminal(handler: logging.Handler) -> bool:
    """Whether it writes to the standard output or error. Rich's handlers have a ``console``; who
    has a queue writes there at its other end, as a rule."""
    stream = getattr(handler, "stream", None) or getattr(
        getattr(handler, "console", None), "file", None
    )
    standard = (sys.stderr, sys.stdout, sys.__stderr__, sys.__stdout__)
    return isinstance(handler, QueueHandler) or (
        stream is not None and any(stream is each for each in standard)
    )
