"""Where log records go: the commands' handler, and Channels 1.x's parent logger.

From every module of djchan, whose loggers are ``djchan.…``; on to the handlers that the
project configured, and in the commands to the terminal::

    djchan.worker ──► djchan ──► django.channels ──► django ──► root

A project that comes from Channels 1.x has ``django.channels`` in its LOGGING; so that its
handlers, level and propagation go on working, that logger is the parent of ``djchan``. It
is the tree itself that changes, not a handler that passes records on: a handler would never
see what a level above it muted, and would show twice what both ways lead to the root.
"""

import logging

LIBRARY = "djchan"
CHANNELS_1 = "django.channels"
DAPHNE = ("daphne.server", "daphne.http_protocol", "daphne.ws_protocol")

handler = logging.StreamHandler()
handler.setFormatter(logging.Formatter("%(asctime)s - %(levelname)s - %(module)s - %(message)s"))


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
