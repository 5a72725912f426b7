"""A child that a consumer has forked, and that comes back from that consumer.

From ``djchan.dispatch``, which looks here when a consumer has ended; on to nowhere: such a child
ends. It has copies of the worker's connections to Redis, and would claim and commit over them
as if it were the worker.
"""

import logging
import os
from typing import Any, NoReturn

logger = logging.getLogger(__name__)

seen = 0  # How many forks lie between this process and the one that imported this.


def _count() -> None:
    global seen
    seen += 1


os.register_at_fork(after_in_child=_count)


def end_child(consumer: str, message: Any) -> NoReturn:
    """End this process, which is not the one that called ``consumer`` for ``message``."""
    logger.error(
        "A child that %s forked came back from it, for %s: it ends here. End it in the consumer "
        "by os._exit(), or start it with subprocess or multiprocessing.",
        consumer,
        message,
    )
    # Not sys.exit(), nor a flush: what is open and not yet written belongs to the worker.
    os._exit(1)
