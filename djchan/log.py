"""Where log records go: the commands' handler, and Channels 1.x's parent logger.

From every module of djchan, whose loggers are ``djchan.…``; on to the handlers that the
project configured, and in the commands to the terminal::

    djchan.worker ──► djchan ──► django.channels ──► django ──► root

A project that comes from Channels 1.x has ``django.channels`` in its LOGGING; so that its
handlers, level and propagation go on working, that logger is the parent of ``djchan``. It
is the tree itself that changes, not a handler that passes records on: a handler would never
see what a level above it muted, and would show twice what both ways lead to the root.

What a client or Redis gave may stand in a record. ``escaping`` makes sure that it ends no line
and steers no terminal, in whatever handler; every logger of djchan is made with it.
"""

import logging
import traceback
from typing import Any

from djchan.legible import escaped

LIBRARY = "djchan"
CHANNELS_1 = "django.channels"
DAPHNE = ("daphne.server", "daphne.http_protocol", "daphne.ws_protocol")

handler = logging.StreamHandler()
handler.setFormatter(logging.Formatter("%(asctime)s - %(levelname)s - %(module)s - %(message)s"))


def enable_loggers() -> None:
    """Enable the loggers that a LOGGING with Python's default has disabled.

    ``disable_existing_loggers`` disables every logger that exists before ``django.setup()``: an
    asgi.py imports djchan and Daphne first. A LOGGING that wants silence sets a level.
    """
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and name.partition(".")[0] in (LIBRARY, "daphne"):
            logger.disabled = False


def join_loggers() -> None:
    """Make ``django.channels`` the parent of ``djchan``. Safe to repeat."""
    library = logging.getLogger(LIBRARY)
    library.parent = logging.getLogger(CHANNELS_1)
    # Forgets what isEnabledFor has remembered of the levels on the old way up.
    library.setLevel(library.level)


def setup_logger(name: str, verbosity: int = 1) -> logging.Logger:
    """Show the records of a logger, and of Daphne's, on the terminal; return the logger.

    ``verbosity``: the command's; above 1 shows DEBUG, else INFO and up. What is shown here
    does not go on to the parents' handlers, where it would be shown twice; handlers that
    the project gave to ``django.channels`` get the records of ``djchan`` all the same.
    """
    level = logging.DEBUG if verbosity > 1 else logging.INFO
    for shown in (*DAPHNE, name):
        logger = logging.getLogger(shown)
        logger.setLevel(level)
        logger.addHandler(handler)
    logger.propagate = False
    if name == LIBRARY:
        join_loggers()
        parent = logging.getLogger(CHANNELS_1)
        if any(own is not handler for own in parent.handlers):
            logger.propagate = True
            parent.propagate = False
    return logger


# --------------------------------------------------------------------- escaping


class Lines(str):
    """An argument of ours that has several lines, such as a stack. Its lines are kept."""


def escaping(logger: logging.Logger) -> logging.Logger:
    """``logger``, whose records are escaped from now on, before any handler sees them."""
    if _escape not in logger.filters:
        logger.addFilter(_escape)
    return logger


def _escape(record: logging.LogRecord) -> bool:
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
