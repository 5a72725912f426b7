"""Where log records go: to the handlers of the project, and without any to the terminal.

The loggers of every module of djchan are ``djchan.…``::

    djchan.worker ──► djchan ──► django.channels ──► django ──► root
                        ▲
    daphne.server ──► daphne      where the project has configured djchan's and not Daphne's

A project that comes from Channels 1.x has ``django.channels`` in its LOGGING; so that its
handlers, level and propagation go on working, that logger is the parent of ``djchan``. It
is the tree itself that changes, not a handler that passes records on: a handler would never
see what a level above it muted, and would show twice what both ways lead to the root.

A handler is added only where the project has configured none, and no level or ``propagate`` is
changed that the project could have set. ``djchan.terminal`` decides which handler writes a
record that several of them could.

What a client or Redis gave may stand in a record. ``escaping`` makes sure that it ends no line
and steers no terminal, in whatever handler; every logger of djchan is made with it. It also gives
a record the fields of its arguments (``log_fields``), for handlers that write JSON.
"""

import logging
import traceback
from collections.abc import Iterable
from typing import Any

from djchan import terminal
from djchan.legible import escaped
from djchan.terminal import Rank, handlers_of, rank_of
from djchan.utils import name_that_thing

LIBRARY = "djchan"
CHANNELS_1 = "django.channels"
SERVER = "daphne"
REQUESTS = "django.server.djchan"  # Of runserver; a child of Django's own.
DAPHNE = ("daphne.server", "daphne.http_protocol", "daphne.ws_protocol")

handler = logging.StreamHandler()
handler.setFormatter(logging.Formatter(terminal.FORMAT))


def setup_tree(defaults: Iterable[logging.Handler] = (), style: object = None) -> None:
    """Give our loggers and Daphne's their places, when Django starts. Safe to repeat.

    ``defaults``: the handlers of Django's own default LOGGING that are still in use. ``style``:
    colors for Daphne's root handler, of ``django.core.management.color``.
    """
    enable_loggers()
    join_loggers()
    for default in defaults:
        terminal.mark(default, Rank.DJANGO)
    for each in logging.getLogger().handlers:
        if isinstance(each, logging.StreamHandler) and terminal.is_daphnes(each):
            each.setFormatter(terminal.formatter(each.stream, style))
            terminal.mark(each, Rank.DAPHNE)
    _place_daphne()


def enable_loggers() -> None:
    """Enable the loggers that a LOGGING with Python's default has disabled.

    ``disable_existing_loggers`` disables every logger that exists before ``django.setup()``: an
    asgi.py imports djchan and Daphne first. A LOGGING that wants silence sets a level.
    """
    for name, logger in list(logging.root.manager.loggerDict.items()):
        is_ours = name == REQUESTS or name.partition(".")[0] in (LIBRARY, SERVER)
        if is_ours and isinstance(logger, logging.Logger):
            logger.disabled = False


def join_loggers() -> None:
    """Make ``django.channels`` the parent of ``djchan``. Safe to repeat."""
    _move(logging.getLogger(LIBRARY), logging.getLogger(CHANNELS_1))


def setup_logger(
    name: str, verbosity: int = 1, *, style: object = None, force_color: bool = False
) -> logging.Logger:
    """Show the records of a logger, and of Daphne's, on the terminal; return the logger.

    Where the project has configured a handler for it, the project decides, and nothing is done.
    ``verbosity``: the command's; 0 shows WARNING and up, and 2 DEBUG, unless the project has set a
    level. ``style``: colors for a terminal, of ``django.core.management.color``; with
    ``force_color`` for whatever the records are written to.
    """
    enable_loggers()
    join_loggers()
    logger = logging.getLogger(name)
    for other in (name, LIBRARY):
        logging.getLogger(other).removeHandler(handler)
    if not _is_configured(logger):
        handler.setLevel(logging.WARNING if verbosity < 1 else logging.NOTSET)
        handler.setFormatter(terminal.formatter(handler.stream, style, force_color=force_color))
        terminal.mark(handler, Rank.OURS)
        logger.addHandler(handler)
        if verbosity > 1 and logger.level == logging.NOTSET:
            logger.setLevel(logging.DEBUG)
    _place_daphne()
    return logger


def _is_configured(logger: logging.Logger, *but: Rank) -> bool:
    """Whether its records have a handler, other than Django's and those of the ranks ``but``."""
    return any(rank_of(each) not in (Rank.DJANGO, *but) for each in handlers_of(logger))


def _place_daphne() -> None:
    """Let Daphne's records go the way of ours, where the project has configured only that."""
    root, library, server = map(logging.getLogger, ("", LIBRARY, SERVER))
    _move(server, root)
    ours = _is_configured(library, Rank.DAPHNE)
    if ours and not _is_configured(server, Rank.DAPHNE):
        _move(server, library)


def _move(logger: logging.Logger, parent: logging.Logger) -> None:
    logger.parent = parent
    # Forgets what isEnabledFor has remembered of the levels on the old way up.
    logger.setLevel(logger.level)


# --------------------------------------------------------------------- fields


class ConsumerName(str):
    """The name of a consumer as an argument of a record, whose field ``consumer`` it is, too."""

    def log_fields(self) -> dict[str, object]:
        return {"consumer": str(self)}


class Seconds(float):
    """How long what a record is about took: its field ``duration``, too."""

    def log_fields(self) -> dict[str, object]:
        return {"duration": float(self)}


def name_of(consumer: object) -> ConsumerName:
    """The dotted path of a consumer, for a record."""
    return ConsumerName(name_that_thing(consumer))


def fields_of(*arguments: object) -> dict[str, object]:
    """The fields that a record with these arguments has: of a Message, the name of its
    consumer … ; those that are text are safe to show."""
    fields: dict[str, object] = {}
    for each in arguments:
        if hasattr(type(each), "log_fields"):
            fields |= each.log_fields()  # type: ignore[attr-defined]
    return {
        name: escaped(given) if isinstance(given, str) else given for name, given in fields.items()
    }


# --------------------------------------------------------------------- escaping


class Lines(str):
    """An argument of ours that has several lines, such as a stack. Its lines are kept."""


def escaping(logger: logging.Logger) -> logging.Logger:
    """``logger``, whose records are escaped from now on, before any handler sees them."""
    if _escape not in logger.filters:
        logger.addFilter(_escape)
    return logger


def _escape(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.__dict__.update(fields_of(*record.args))
    if isinstance(record.args, dict):
        record.args = {name: _safe(value) for name, value in record.args.items()}
    elif record.args:
        record.args = tuple([_safe(value) for value in record.args])
    record.msg = _safe(record.msg if not isinstance(record.msg, str) else Lines(record.msg))
    if record.exc_info and record.exc_info[1] is not None and not record.exc_text:
        record.exc_text = _traceback(record.exc_info[1])
    return True


class _Escaped(str):
    """The escaped text of an argument, whose ``%r`` is that of the argument itself."""

    original: object

    def __repr__(self) -> str:
        return repr(self.original)


def _safe(value: object) -> object:
    """``value``, or in its place what is shown of it."""
    if value is None or isinstance(value, bytes | int | float):
        return value
    text = str(value)
    safe = _lines(text) if isinstance(value, Lines) else escaped(text)
    if safe is text or safe == text:
        return value
    shown = _Escaped(safe)
    shown.original = value
    return shown


def _lines(text: str) -> str:
    return text if text.isprintable() else "\n".join(map(escaped, text.split("\n")))


def _traceback(error: BaseException) -> str | None:
    """The text of a traceback whose messages had to be escaped; None: it is as it is."""
    whole = traceback.TracebackException.from_exception(error)
    changed = False
    left = [whole]
    while left:
        each: Any = left.pop()
        for name in ("_str", "__notes__"):
            given = getattr(each, name, None)
            safe = [_quoted(str(text)) for text in given] if isinstance(given, list) else given
            safe = _quoted(safe) if isinstance(safe, str) else safe
            if safe != given:
                setattr(each, name, safe)
                changed = True
        left += [cause for cause in (each.__cause__, each.__context__) if cause is not None]
        left += getattr(each, "exceptions", None) or ()
    return "".join(whole.format()).removesuffix("\n") if changed else None


def _quoted(text: str) -> str:
    """Lines that cannot be taken for records: each but the first begins with a bar."""
    return "\n  | ".join(map(escaped, text.split("\n")))
