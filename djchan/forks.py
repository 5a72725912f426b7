"""Resources of a worker that a forked child must not keep.

A consumer may fork: ``multiprocessing.Process``, a ``Pool``, ``os.fork()``. The child begins with
all that the worker has. As soon as it is forked it gives back what is the worker's alone:

- connections: their sockets are closed in the child, so that the worker's death is noticed
  when the worker dies;
- the handlers of SIGTERM and SIGINT, so that ``terminate()`` ends it;
- the sends that wait for the commit of the consumer (``djchan.outbox``): what a child sends goes
  out at once.

A child that comes back from its consumer ends (``djchan.dispatch`` looks here when a consumer has
ended): it would go on as if it were the worker.
"""

import logging
import os
import weakref
from typing import NoReturn, Protocol

from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))

seen = 0  # How many forks lie between this process and the one that imported this.


class Inherited(Protocol):
    """A resource of a process that its forked children must not keep."""

    def give_back(self) -> None:
        """Called in the child, before anything else runs there."""


_inherited: "weakref.WeakSet[Inherited]" = weakref.WeakSet()


def give_back_in_child(thing: Inherited) -> None:
    """Have a forked child call ``thing.give_back()``, as long as ``thing`` exists."""
    _inherited.add(thing)


def close_copy(descriptor: int) -> None:
    """Close a child's copy of a socket without sending anything to the other end.

    The null device takes its descriptor, which the owning object will close.
    """
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.dup2(null, descriptor, inheritable=False)
    finally:
        os.close(null)


def _forked() -> None:
    global seen
    seen += 1
    for thing in tuple(_inherited):
        thing.give_back()


os.register_at_fork(after_in_child=_forked)


def end_child(consumer: str, message: object) -> NoReturn:
    """End this process, which is not the one that called ``consumer`` for ``message``."""
    logger.error(
        "A child that %s forked came back from it, for %s: it ends here. End it in the consumer "
        "by os._exit(), or start it with subprocess or multiprocessing.",
        consumer,
        message,
    )
    # Not sys.exit(), nor a flush: what is open and not yet written belongs to the worker.
    os._exit(1)
