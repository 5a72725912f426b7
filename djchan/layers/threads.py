"""Threads of djchan's own, in a process that may not have one more."""

import threading

from djchan.exceptions import BrokerUnavailable


def start(thread: threading.Thread) -> None:
    """Start ``thread``. Raises BrokerUnavailable, after which the caller tries again later."""
    try:
        thread.start()
    except RuntimeError as error:
        raise BrokerUnavailable(
            f"{thread.name} was not started: this process can have no more threads ({error}). "
            "Raise its limit (TasksMax in systemd, the pids limit of a container, ulimit -u in a "
            "shell), or give it fewer threads.",
            sent=False,
            transient=True,
        ) from error
