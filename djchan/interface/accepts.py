"""Connections that a server on asyncio cannot take, for want of a file descriptor.

asyncio logs a traceback for each attempt, and makes as many attempts as its backlog is long (2048
with uvicorn): a disk is full within the hour. Here it is one line now and then.
"""

import asyncio
import errno
import logging

from djchan.interface.journal import Journal

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


def log_briefly(loop: asyncio.AbstractEventLoop, log: Journal) -> None:
    """Take over how ``loop`` reports them. All other errors go where they went before."""
    before = loop.get_exception_handler()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        if (
            isinstance(error, OSError)
            and error.errno in _EXHAUSTED
            and str(context.get("message")).startswith("socket.accept()")
        ):
            log.say(
                "accept.exhausted",
                "New connections have to wait, since this process cannot take them (%s). Raise its "
                "limit (LimitNOFILE in systemd, ulimit -n in a shell), or lower connections under "
                "INTERFACE in CHANNEL_LAYERS.",
                error,
                level=logging.ERROR,
            )
        elif before is None:
            loop.default_exception_handler(context)
        else:
            before(loop, context)

    loop.set_exception_handler(handle)
